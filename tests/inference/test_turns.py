"""Whose turn it is, and how many share it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest

from bot.inference.denoising import padded_rows
from bot.inference.step_times import SETTLED, StepTimes, best_batch
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


@pytest.mark.parametrize(
    ("seconds", "batch"),
    [
        ({1: 0.045, 2: 0.072, 4: 0.126, 8: 0.234, 16: 0.45}, 8),  # a large GPU: performance.md's H200 of 18 + 27 n ms
        ({1: 0.31, 2: 0.61, 4: 1.21}, 1),  # an A4000: one picture fills it
        ({1: 0.04, 2: 0.05, 4: 0.07, 8: 0.11, 16: 0.19}, 16),
        ({1: 0.04, 2: 0.05, 4: None}, 2),  # the next does not fit into memory
        ({1: 60.0}, 1),  # a full SDXL on a CPU: measuring two would take minutes
        ({1: None}, 1),
    ],
)
def test_a_call_holds_as_many_pictures_as_pay(seconds: dict[int, float | None], batch: int) -> None:
    assert best_batch(lambda size: seconds[size]) == batch


def test_measuring_stops_at_the_most_that_is_wanted() -> None:
    asked: list[int] = []

    def seconds(size: int) -> float:
        asked.append(size)
        return 0.01

    assert best_batch(seconds, most=4) == 4
    assert asked == [1, 2, 4]


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
