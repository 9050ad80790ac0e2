"""The arithmetic of turns; the queue that follows from it is tested on SQLite."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.fairness import Turn, have_room, turns
from bot.domain.request import StyleChoice

jobs = st.lists(st.tuples(st.integers(1, 400).map(float), st.sampled_from((0.5, 1.0, 2.0))), max_size=12)
times = st.integers(0, 10_000).map(float)


def test_a_members_jobs_follow_one_another() -> None:
    dealt = list(turns([(30, 1), (60, 1), (10, 1)], virtual_time=5, served=0))

    assert [(turn.start, turn.finish) for turn in dealt] == [(5, 35), (35, 95), (95, 105)]


@pytest.mark.parametrize(("virtual_time", "served", "start"), [(100, 40, 100), (40, 100, 100), (0, 0, 0)])
def test_the_first_starts_now_or_when_the_members_last_claimed_one_ends(
    virtual_time: float, served: float, start: float
) -> None:
    (turn,) = turns([(30, 1)], virtual_time=virtual_time, served=served)

    assert turn == Turn(start=start, finish=start + 30)


def test_a_weight_makes_a_job_count_for_less() -> None:
    dealt = list(turns([(30, 2), (30, 0.5), (30, 1)], virtual_time=0, served=0))

    assert [turn.finish - turn.start for turn in dealt] == [15, 60, 30]


def test_nobody_waiting_has_no_turns() -> None:
    assert list(turns([], virtual_time=3, served=9)) == []


@given(jobs, times, times, st.integers(0, 12))
def test_turns_dealt_again_after_a_claim_are_the_same(
    line: list[tuple[float, float]], virtual_time: float, served: float, claims: int
) -> None:
    dealt = list(turns(line, virtual_time=virtual_time, served=served))
    taken = dealt[:claims]
    if taken:
        virtual_time, served = max(virtual_time, taken[-1].start), taken[-1].finish

    assert list(turns(line[claims:], virtual_time=virtual_time, served=served)) == dealt[claims:]


@given(jobs, jobs, times, times)
def test_a_job_that_comes_last_changes_no_turn_before_it(
    line: list[tuple[float, float]], late: list[tuple[float, float]], virtual_time: float, served: float
) -> None:
    before = list(turns(line, virtual_time=virtual_time, served=served))

    assert list(turns(line + late, virtual_time=virtual_time, served=served))[: len(line)] == before


@pytest.mark.parametrize(
    ("loras", "drawn", "fits"),
    [
        ("", ["ab", "cd"], True),
        ("a", ["a", "b", "c", "d"], True),
        ("e", ["a", "b", "c", "d"], False),
        ("ab", ["cd"], True),
        ("ab", ["cd", "e"], False),
        ("abc", [], True),
        ("abcde", ["abcde"], True),
    ],
)
def test_no_more_loras_are_drawn_with_at_once_than_are_held_in_memory(loras: str, drawn: list[str], *, fits: bool) -> None:
    sets = [frozenset(StyleChoice(name=name, weight=1.0) for name in names) for names in (loras, *drawn)]

    assert have_room(sets[0], sets[1:]) is fits


def test_the_same_lora_with_five_weights_is_five_sets() -> None:
    sets = [frozenset({StyleChoice(name="ink", weight=0.1 * number)}) for number in range(1, 6)]

    assert have_room(sets[0], sets[1:4])
    assert not have_room(sets[0], sets[1:])
