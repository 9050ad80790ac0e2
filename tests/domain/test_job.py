"""The life of a job, who may remove it, and its times."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.job import ALLOWED_MOVES, Actor, JobStatus, VariationStrength, new_job_id
from bot.domain.progress import Phase, Progress
from bot.domain.sampler import SAMPLERS
from tests.examples import GUILD, MEMBER, MODERATOR, OTHER, job, origin, reply
from tests.fakes import START

ENDS = {JobStatus.DELIVERED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.UNDELIVERABLE}


def test_exactly_the_four_ends_allow_no_move() -> None:
    assert {status for status in JobStatus if status.is_final} == ENDS


@pytest.mark.parametrize("status", list(JobStatus))
def test_every_state_leads_to_an_end(status: JobStatus) -> None:
    reached, frontier = {status}, {status}
    while frontier:
        frontier = {after for before in frontier for after in ALLOWED_MOVES[before]} - reached
        reached |= frontier
    assert reached & ENDS


def test_only_waiting_jobs_can_be_cancelled() -> None:
    waiting = {status for status in JobStatus if status.is_waiting}
    assert waiting == {before for before, moves in ALLOWED_MOVES.items() if JobStatus.CANCELLED in moves}


def test_a_try_that_a_shutdown_took_back_does_not_count() -> None:
    assert job(attempt=5, aborts=3).tries == 2


def test_a_job_takes_as_long_as_its_last_attempt() -> None:
    assert job().seconds is None
    assert job(started_at=START, finished_at=START + timedelta(seconds=9)).seconds == 9


@pytest.mark.parametrize(
    ("actor", "may"),
    [
        (Actor(user_id=MEMBER, guild_id=GUILD), True),
        (Actor(user_id=MEMBER), True),
        (Actor(user_id=OTHER, guild_id=GUILD), False),
        (Actor(user_id=MODERATOR, guild_id=GUILD, manages_messages=True), True),
        (Actor(user_id=MODERATOR, guild_id=GUILD + 1, manages_messages=True), False),
        (Actor(user_id=MODERATOR, guild_id=None, manages_messages=True), False),
    ],
)
def test_removing_belongs_to_the_owner_and_the_moderators_of_that_server(actor: Actor, may: bool) -> None:
    assert actor.may_remove(job()) is may


def test_nobody_moderates_a_private_conversation() -> None:
    private = job(origin=origin(guild_id=None))
    assert not Actor(user_id=OTHER, guild_id=None, manages_messages=True).may_remove(private)


def test_a_token_dies_at_its_hour_and_is_never_printed() -> None:
    target = reply()
    assert target.token_lives(START + timedelta(minutes=13, seconds=59))
    assert not target.token_lives(START + timedelta(minutes=14))
    assert not replace(target, token=None).token_lives(START)
    assert "secret-token" not in repr(job())


def test_an_id_fits_into_discords_nonce() -> None:
    ids = {new_job_id() for _ in range(100)}
    assert len(ids) == 100
    assert {len(job_id) for job_id in ids} == {16}


def test_a_subtle_variation_moves_less_than_a_strong_one() -> None:
    for sampler in SAMPLERS.values():
        assert 0 < VariationStrength.SUBTLE.share(sampler) < VariationStrength.STRONG.share(sampler) < 1


def test_progress_is_counted_over_all_pictures() -> None:
    assert Progress(phase=Phase.LOADING).fraction == 0
    assert Progress(phase=Phase.DENOISING, num_images=4, step=15, steps=40).fraction == pytest.approx(0.375)
    assert Progress(phase=Phase.DECODING, num_images=4, step=40, steps=40).fraction == 1
