"""Whose turn it is, and how many share it."""

from __future__ import annotations

import logging
import math

import pytest

from bot.domain.batch_curve import BatchCurve
from bot.domain.fairness import Share
from bot.inference.denoising.unet_call import padded_rows
from bot.inference.engine.batch_scheduler import BatchScheduler
from bot.inference.engine.step_times import SETTLED, StepTimes
from tests.inference.crowd import AREA, Picture, Request


@pytest.mark.parametrize(("rows", "buckets", "padded"), [(3, (1, 2, 4, 8), 4), (4, (4,), 4), (9, (2, 8), 9), (5, (), 5)])
def test_rows_are_filled_up_to_the_next_bucket(rows: int, buckets: tuple[int, ...], padded: int) -> None:
    assert padded_rows(rows, buckets) == padded


def test_a_usual_time_is_known_after_a_few_calls_of_the_same_shape(caplog: pytest.LogCaptureFixture) -> None:
    times = StepTimes()
    with caplog.at_level(logging.WARNING):
        for count in range(SETTLED):
            assert times.usual(2, 64) is None
            times.add(2, 64, 1.0 + count)

    assert times.usual(2, 64) == 3.0
    assert times.usual(4, 64) is None


def test_a_pause_for_one_member_makes_no_other_late_and_keeps_nobody_from_a_first_step() -> None:
    turns: BatchScheduler[Request] = BatchScheduler(BatchCurve(((1, 1.0),)), AREA)
    one = Request(at=0.0, share=Share(1), pictures=[Picture(30)])
    other = Request(at=0.0, share=Share(2), pictures=[Picture(4)])
    turns.join(one)
    call = turns.next_call(0.0, lambda _: 1)
    turns.drawn(call, 0.0)
    assert turns.may_pause(call, math.inf, 0.0)

    turns.join(other)
    assert not turns.may_pause(call, 0.5, 0.0)
    first = turns.next_call(0.0, lambda _: 1)
    assert first[0].job is other
    turns.drawn(first, 0.0)
    other.pictures[0].step += 1
    # of 4 steps the other has had one; equal sharing would give it the last after 7 more of both, so 4 may go to somebody else
    assert turns.may_pause(call, 3.9, 0.0)
    assert not turns.may_pause(call, 4.1, 0.0)


def test_who_asked_for_a_pause_pays_for_it() -> None:
    turns: BatchScheduler[Request] = BatchScheduler(BatchCurve(((1, 1.0),)), AREA)
    one, other = (Request(at=0.0, share=Share(member), pictures=[Picture(8)]) for member in (1, 2))
    for request in (one, other):
        turns.join(request)
    turns.paused(one, 1.0, 1.0)

    assert turns.next_call(1.0, lambda _: 1)[0].job is other
