"""Members share the engine: nobody ends later than under equal sharing by more than one turn, whatever anybody asks for."""

from __future__ import annotations

import math
from itertools import accumulate

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.domain.batch_curve import BatchCurve
from bot.domain.equal_sharing import EqualSharing
from bot.domain.fairness import Share
from bot.inference.engine.batch_scheduler import NEWCOMER_SECONDS, BatchScheduler
from tests.inference.crowd import (
    AREA,
    CURVES,
    EPSILON,
    FLAT,
    Picture,
    Request,
    crowd,
    draw,
    draw_in_equal_shares,
    equal_ends,
    relative,
)

BATCHES = (1, 4, 8, 16)
FLOODER, MEMBER = 1, 2
WEIGHTS = {1: 1.0, 2: 1.0, 3: 1.0, 4: 0.25, 5: 0.5, 6: 3.0}


@st.composite
def crowds(draw_from: st.DrawFn) -> list[Request]:
    """Some members ask for pictures of any number and length, at once or one after another, and cancel some of them."""
    gaps = draw_from(st.lists(st.sampled_from((0.0, 0.0, 0.3, 1.0, 2.7, 9.0, 25.0)), min_size=1, max_size=12))
    requests: list[Request] = []
    for at in accumulate(gaps):
        member = draw_from(st.sampled_from(tuple(WEIGHTS)))
        steps, pictures = draw_from(st.integers(1, 12)), draw_from(st.sampled_from((1, 1, 1, 2, 4)))
        until = at + draw_from(st.sampled_from((math.inf, math.inf, math.inf, 0.4, 3.0, 20.0)))
        share = Share(member, WEIGHTS[member])
        requests.append(Request(at=at, share=share, pictures=[Picture(steps) for _ in range(pictures)], until=until))
    return requests


@pytest.mark.parametrize("most", BATCHES)
@pytest.mark.parametrize("curve", CURVES)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests=crowds())
def test_nobody_ends_later_than_under_equal_sharing_by_more_than_one_turn(
    requests: list[Request], most: int, curve: str
) -> None:
    check_nobody_is_late(requests, most, curve)


@pytest.mark.campaign
@pytest.mark.parametrize("most", BATCHES)
@pytest.mark.parametrize("curve", CURVES)
@settings(max_examples=3_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests=crowds())
def test_nobody_is_late_in_any_of_thousands_of_crowds(requests: list[Request], most: int, curve: str) -> None:
    check_nobody_is_late(requests, most, curve)


def check_nobody_is_late(requests: list[Request], most: int, curve: str) -> None:
    run = draw(requests, relative(curve), most)

    ends = equal_ends(requests)
    for request in requests:
        if request.cancelled is None:
            assert request.ended is not None
            assert request.ended <= ends[request] + run.turn + EPSILON


@pytest.mark.parametrize("most", BATCHES)
@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("pictures", [1, 4])
@pytest.mark.parametrize("flooders", [1, 3])
def test_with_flooders_a_picture_takes_at_most_as_many_times_as_long_as_members_draw(
    flooders: int, pictures: int, curve: str, most: int
) -> None:
    flood = [
        Request(at=0.0, share=Share(100 + number), pictures=[Picture(8) for _ in range(pictures)])
        for number in range(flooders)
        for _ in range(10)
    ]
    asked = Request(at=20.0, share=Share(MEMBER), pictures=[Picture(8)])

    run = draw([*flood, asked], relative(curve), most)

    assert asked.ended is not None
    assert asked.first is not None
    assert asked.ended - asked.at <= 8 * (1 + flooders) + 2 * run.turn + EPSILON
    assert asked.first - asked.at <= 2 * run.turn + EPSILON


def test_a_newcomers_first_step_is_taken_at_once_and_once_a_minute() -> None:
    turns: BatchScheduler[Request] = BatchScheduler(BatchCurve(tuple(FLAT.items())), AREA)
    short = Request(at=0.0, share=Share(FLOODER), pictures=[Picture(20)])
    turns.join(short)
    step(turns, 0.0)

    assert step(turns, 1.0, join=Request(at=1.0, share=Share(MEMBER), pictures=[Picture(28)])) == MEMBER
    assert step(turns, 2.0) == FLOODER
    second = Request(at=3.0, share=Share(MEMBER), pictures=[Picture(28)])
    assert step(turns, 3.0, join=second) == FLOODER
    assert step(turns, 1.0 + NEWCOMER_SECONDS) == MEMBER


def test_a_newcomers_first_step_is_taken_at_once_whatever_texts_and_decoded_pictures_cost() -> None:
    turns: BatchScheduler[Request] = BatchScheduler(BatchCurve(tuple(FLAT.items())), AREA)
    flood = [Request(at=0.0, share=Share(FLOODER), pictures=[Picture(8)]) for _ in range(8)]
    for now, job in enumerate(flood):  # each is admitted between two steps of the first
        turns.join(job)
        turns.charge(job, 0.03)
        step(turns, now)
    newcomer = Request(at=8.0, share=Share(MEMBER), pictures=[Picture(8)])
    turns.join(newcomer)
    turns.charge(newcomer, 0.03)
    turns.charge(flood[0], 0.2)
    turns.leave(flood[0])

    assert step(turns, 8.0) == MEMBER


def test_a_crowd_of_newcomers_makes_nobody_late_who_is_nearly_done() -> None:
    nearly = Request(at=0.0, share=Share(FLOODER), pictures=[Picture(8)])
    others = [Request(at=6.5, share=Share(10 + number, 0.05), pictures=[Picture(28)]) for number in range(5)]

    run = draw([nearly, *others], FLAT, 8)

    assert nearly.ended is not None
    assert nearly.ended <= equal_ends(run.requests)[nearly] + run.turn + EPSILON


def step(turns: BatchScheduler[Request], now: float, *, join: Request | None = None) -> int:
    """Take one; returns whose it was."""
    if join is not None:
        turns.join(join)
    call = turns.next_call(now, lambda _: 1)
    turns.drawn(call, now)
    (row,) = call
    row.job.pictures[row.index].step += 1
    return row.job.share.member


def test_where_a_call_of_several_gains_nothing_whoevers_turn_it_is_is_drawn_alone() -> None:
    flood = [Request(at=0.0, share=Share(member), pictures=[Picture(8)]) for member in range(8)]

    assert draw(flood, FLAT, 8).calls == 8 * 8


def test_where_rows_are_given_away_nearly_for_nothing_calls_are_filled() -> None:
    flood = [Request(at=0.0, share=Share(member), pictures=[Picture(8)]) for member in range(8)]

    assert draw(flood, relative("nearly free"), 8).calls <= 10


def test_what_a_switch_costs_is_its_members() -> None:
    sharing: EqualSharing[str] = EqualSharing()
    sharing.join("styled", Share(FLOODER), 10.0)
    sharing.join("bare", Share(MEMBER), 11.0)
    assert [one.job for one in sharing.standings()] == ["styled", "bare"]

    sharing.change("styled", 3.0)
    sharing.pass_time(3.0)

    assert [one.job for one in sharing.standings()] == ["bare", "styled"]
    assert [one.engine_seconds for one in sharing.standings()] == pytest.approx([19.0, 21.0])


def test_who_drew_alone_before_others_came_is_level_with_them() -> None:
    turns: BatchScheduler[Request] = BatchScheduler(BatchCurve(tuple(FLAT.items())), AREA)
    for number in range(50):
        alone = Request(at=0.0, share=Share(FLOODER), pictures=[Picture(1)])
        assert step(turns, float(number), join=alone) == FLOODER
        turns.leave(alone)
    turns.join(Request(at=50.0, share=Share(MEMBER), pictures=[Picture(8)]))
    turns.join(Request(at=50.0, share=Share(FLOODER), pictures=[Picture(4)]))
    step(turns, 100.0)

    assert step(turns, 101.0) == FLOODER


@pytest.mark.parametrize("load", [0.5, 0.8, 0.95])
def test_on_a_cpu_everybody_waits_less_than_by_equal_shares_among_those_of_a_call(load: float) -> None:
    def times(drawn: list[Request]) -> tuple[float, float]:
        took = sorted((one.ended or math.inf) - one.at for one in drawn)
        return took[len(took) // 2], took[int(len(took) * 0.95)]

    now, before = (crowd(load, 400, seed=3) for _ in range(2))
    draw(now, FLAT, 8)
    draw_in_equal_shares(before, FLAT, 8)

    assert all(mine < theirs for mine, theirs in zip(times(now), times(before), strict=True))
