"""Whose turn it is, and how many share it."""

from __future__ import annotations

import logging

import pytest

from bot.inference.denoising import padded_rows
from bot.inference.step_times import SETTLED, StepTimes


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
