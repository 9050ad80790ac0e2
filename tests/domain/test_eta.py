"""Estimates: from the measured speed alone, corrected by the last jobs, and never led astray by one of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.batch_curve import BatchCurve
from bot.domain.eta import ENOUGH, QUICKEST, SLOWEST, DrawnJob, EngineSpeed, Estimate, Load, company, estimate

START = datetime(2026, 11, 30, 12, tzinfo=UTC)
FLAT = BatchCurve(((1, 0.1), (2, 0.2)))  # sharing gains nothing
STEEP = BatchCurve(((1, 0.1), (2, 0.12), (4, 0.16)))


def speed(curve: BatchCurve = FLAT, batch: int = 1) -> EngineSpeed:
    """0.1 s for a step of a picture of one megapixel."""
    return EngineSpeed(curve=curve, batch=batch, megapixels=1.0)


def load(work: float, *, ahead: float = 0.0, jobs: int = 0, pictures: int = 1, behind: int = 0) -> Load:
    return Load(work_ahead=ahead, jobs_ahead=jobs, jobs_behind=behind, work=work, pictures=pictures)


def seconds(of: Load, engine: EngineSpeed | None, recent: Sequence[DrawnJob] = ()) -> float | None:
    found = estimate(of, engine, recent)
    return None if found is None else found.seconds(1.0)


def drawn(begin: float, end: float, work: float, pictures: int = 1) -> DrawnJob:
    return DrawnJob(
        id=f"{begin}",
        started_at=START + timedelta(seconds=begin),
        finished_at=START + timedelta(seconds=end),
        pictures=pictures,
        work=work,
    )


def test_before_anything_is_known_no_time_is_told() -> None:
    assert seconds(load(20), None) is None


def test_before_the_first_job_has_ended_the_measured_speed_tells() -> None:
    assert seconds(load(20), speed()) == pytest.approx(2.0)
    assert seconds(load(20, ahead=60, jobs=3), speed()) == pytest.approx(8.0)


def test_where_sharing_pays_those_ahead_share_the_steps() -> None:
    several = load(20, ahead=60, jobs=3)

    assert seconds(several, speed(STEEP, batch=4)) == pytest.approx(20 * 0.16)
    assert seconds(several, speed(STEEP, batch=2)) == pytest.approx(80 / 2 * 0.12)


def test_no_job_is_quicker_than_its_own_steps_whatever_is_ahead() -> None:
    assert seconds(load(20, ahead=0.1, jobs=3), speed(STEEP, batch=4)) == pytest.approx(20 * 0.16)


def test_several_pictures_of_a_job_share_calls() -> None:
    assert seconds(load(80, pictures=4), speed(STEEP, batch=4)) == pytest.approx(20 * 0.16)


def test_what_all_of_the_last_jobs_took_longer_is_added() -> None:
    recent = [drawn(10 * number, 10 * number + 3, 20) for number in range(5)]  # 3 s where the steps take 2

    assert seconds(load(20), speed(), recent) == pytest.approx(3.0)


def test_jobs_that_were_drawn_side_by_side_do_not_make_a_lone_one_look_slow() -> None:
    recent = [drawn(0, 32, 20) for _ in range(16)]  # each took 32 s, and all together no longer than the steps

    assert seconds(load(20), speed(), recent) == pytest.approx(2.0)


def test_one_that_waited_for_the_weights_is_outvoted() -> None:
    recent = [drawn(0, 600, 20), *(drawn(700 + 10 * number, 702 + 10 * number, 20) for number in range(3))]

    assert seconds(load(20), speed(), recent) == pytest.approx(2.0)


@pytest.mark.parametrize(("took", "factor"), [(600.0, SLOWEST), (0.01, QUICKEST)])
def test_what_the_last_jobs_say_is_capped(took: float, factor: float) -> None:
    assert seconds(load(20), speed(), [drawn(0, took, 20)]) == pytest.approx(2.0 * factor)


def test_without_a_measured_speed_the_last_jobs_tell_alone() -> None:
    recent = [drawn(0, 8, 20), drawn(0, 8, 20)]  # 40 megapixel-steps in 8 s

    assert seconds(load(20, ahead=20, jobs=1), None, recent) == pytest.approx(8.0)


def test_a_job_that_took_no_time_says_nothing() -> None:
    assert seconds(load(20), None, [drawn(0, 0, 20)]) is None


def test_those_behind_share_the_calls_and_make_them_longer() -> None:
    assert seconds(load(20, behind=3), speed(STEEP, batch=4)) == pytest.approx(20 * 0.16)
    assert seconds(load(20, behind=3), speed()) == pytest.approx(2.0)


def test_what_jobs_waited_longer_than_told_is_added_to_the_next_wait_and_not_to_its_own_steps() -> None:
    told = [(Estimate(2.0, 10.0), 2.0 + 15.0)] * ENOUGH

    assert company(told) == pytest.approx(1.5)
    assert Estimate(4.0, 20.0).seconds(company(told)) == pytest.approx(34.0)


def test_jobs_that_hardly_waited_say_nothing_of_waiting() -> None:
    assert company([(Estimate(10.0, 1.0), 100.0)] * 20) == 1.0


def test_a_few_jobs_are_not_enough_and_what_many_say_is_capped() -> None:
    assert company([(Estimate(1.0, 10.0), 500.0)] * (ENOUGH - 1)) == 1.0
    assert company([(Estimate(1.0, 10.0), 500.0)] * ENOUGH) == SLOWEST
    assert company([(Estimate(1.0, 10.0), 1.0)] * ENOUGH) == QUICKEST
