"""The arithmetic of turns; the queue that follows from it is tested on SQLite."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.fairness import Turn, turns

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
