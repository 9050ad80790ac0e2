"""Whose turn it is, and how many share it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest

from bot.inference.denoising import padded_rows
from bot.inference.step_times import SETTLED, StepTimes
from bot.inference.turns import GroupOrder, next_pictures


@dataclass(eq=False)
class Picture:
    name: str
    last_turn: int = -1


def test_a_group_keeps_its_turn_for_a_slice_and_then_the_one_that_waited_longest_has_it() -> None:
    order: GroupOrder[str] = GroupOrder(slice_seconds=1.0)
    groups = ["square", "tall", "wide"]

    chosen = [order.choose(groups, now=0.4 * turn) for turn in range(12)]

    assert chosen == ["square"] * 3 + ["tall"] * 3 + ["wide"] * 3 + ["square"] * 3


def test_a_group_alone_keeps_the_model_and_a_newcomer_has_it_after_the_slice() -> None:
    order: GroupOrder[str] = GroupOrder(slice_seconds=1.0)
    for now in range(10):
        assert order.choose(["square"], now) == "square"

    assert order.choose(["square", "tall"], 10.0) == "tall"
    assert order.choose(["square", "tall"], 10.5) == "tall"
    assert order.choose(["square"], 10.6) == "square"


def test_steps_longer_than_a_slice_alternate_so_that_no_group_starves() -> None:
    order: GroupOrder[str] = GroupOrder(slice_seconds=1.0)

    chosen = [order.choose(["square", "tall", "wide"], now=30.0 * turn) for turn in range(9)]

    assert chosen == ["square", "tall", "wide"] * 3


def test_who_has_just_come_goes_first_and_then_whose_turn_lies_longest_back() -> None:
    pictures = [Picture("a", 3), Picture("b", 1), Picture("new"), Picture("c", 2)]

    assert [picture.name for picture in next_pictures(pictures, 3)] == ["new", "b", "c"]
    assert len(next_pictures(pictures, 9)) == 4


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
