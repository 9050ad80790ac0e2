"""A group of pictures in the engine's calls against one after another: arithmetic over what calls of the UNet take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import pytest

from bot.domain.batch_curve import BatchCurve
from bot.domain.fairness import Share
from bot.inference.denoising.unet_call import padded_rows
from bot.inference.engine.batch_scheduler import BatchScheduler
from bot.inference.loading.compiling import COMPILED_ROWS
from bot.inference.measuring.curve_measurement import SIZES
from bot.inference.session import row_counts
from tests.inference.crowd import AREA, Picture, Request

Seconds = Callable[[float], float]  # of a call, by its rows
STEPS = 6


def between(measured: Mapping[int, float]) -> Seconds:
    """Straight between what was measured."""

    def seconds(rows: float) -> float:
        low, high = next(pair for pair in pairwise(sorted(measured)) if rows <= pair[1])
        return measured[low] + (measured[high] - measured[low]) * (rows - low) / (high - low)

    return seconds


MODELS: Mapping[str, Seconds] = {
    "H200, roofline": between({0: 6.0, 2: 32.3, 4: 58.8, 8: 109.3, 16: 211.0, 32: 421.0}),
    "H200, launches hidden": lambda rows: 18 + 13.5 * rows,
    "H200, nothing gained by a crowd": lambda rows: 0.1 + 14.5 * rows,
    "A4000": lambda rows: 10 + 150 * rows,
}


def engine_seconds(pictures: int, seconds: Seconds, buckets: Sequence[int]) -> float:
    """For one step of each of so many members' pictures, in the calls that the engine chooses."""
    curve = BatchCurve(tuple((size, seconds(padded_rows(2 * size, buckets))) for size in SIZES))
    turns: BatchScheduler[Request] = BatchScheduler(curve, AREA, padded=lambda rows: padded_rows(rows, buckets))
    requests = [Request(at=0.0, share=Share(member), pictures=[Picture(steps=STEPS)]) for member in range(pictures)]
    for request in requests:
        turns.join(request)
    spent, now = 0.0, 0.0
    while any(not request.done for request in requests):
        call = turns.next_call(now, lambda _: curve.best_batch())
        took = seconds(padded_rows(sum(row.rows for row in call), buckets))
        turns.drawn(call, now)
        for row in call:
            assert isinstance(row.picture, Picture)
            row.picture.step += 1
        for request in [one for one in requests if one.done and one.ended is None]:
            request.ended = now
            turns.leave(request)
        spent, now = spent + took, now + took
    return spent / STEPS


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_a_group_of_1_to_16_pictures_is_never_slower_than_one_after_another(model: str, compiled: bool) -> None:
    seconds = MODELS[model]
    buckets = row_counts(1, fixed=compiled, reproducible=False)
    for pictures in range(1, 17):
        assert engine_seconds(pictures, seconds, buckets) <= pictures * seconds(2) * (1 + 1e-9), pictures


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("model", ["H200, roofline", "H200, launches hidden"])
def test_nor_is_a_single_call_of_all_of_them(model: str, compiled: bool) -> None:
    """Whatever the engine knows of the times: an operator may have set the batch."""
    seconds = MODELS[model]
    buckets = row_counts(16, fixed=compiled, reproducible=False)
    for pictures in range(1, 17):
        assert seconds(padded_rows(2 * pictures, buckets)) <= pictures * seconds(2), pictures


def test_rows_are_filled_up_only_where_code_was_compiled_for_others_or_company_must_not_matter() -> None:
    assert row_counts(4, fixed=False, reproducible=False) == ()
    assert row_counts(4, fixed=True, reproducible=False) == COMPILED_ROWS
    assert row_counts(4, fixed=True, reproducible=True) == (8,)
