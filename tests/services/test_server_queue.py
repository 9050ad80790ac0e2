"""A server's queue: who may look at it, stop it, and let it go on."""

from __future__ import annotations

import pytest

from bot.domain.card import QueuePosition
from bot.domain.job import Actor, JobStatus
from bot.domain.quota import Limits
from bot.errors import InvalidRequestError, NotAllowedError, NotFoundError
from tests.examples import GUILD, MEMBER, MODERATOR, OTHER, origin
from tests.services.harness import ServicesHarness, drawing, until

A_MANAGER = Actor(user_id=MODERATOR, guild_id=GUILD, manages_guild=True)
STRANGERS = [
    Actor(user_id=OTHER, guild_id=GUILD),
    Actor(user_id=OTHER, guild_id=GUILD, manages_messages=True),
    Actor(user_id=OTHER, guild_id=None, manages_guild=True),
]


async def test_the_overview_shows_everybodys_jobs_of_this_server_and_how_many_there_are(harness: ServicesHarness) -> None:
    mine = await harness.add(1)
    theirs = await harness.add(2, origin=origin(2, user_id=OTHER))
    await harness.add(3, origin=origin(3, user_id=OTHER, guild_id=GUILD + 1))
    await harness.add(4)

    overview = await harness.services.server_queue.overview(A_MANAGER, limit=2)

    assert [(entry.job.id, entry.position.ahead) for entry in overview.entries] == [(mine.id, 0), (theirs.id, 1)]
    assert (overview.total, overview.pause) == (3, None)


@pytest.mark.parametrize("actor", STRANGERS)
async def test_others_neither_see_nor_stop_it(harness: ServicesHarness, actor: Actor) -> None:
    queue = harness.services.server_queue
    for attempt in (queue.overview(actor, limit=5), queue.pause(actor), queue.resume(actor)):
        with pytest.raises(NotAllowedError, match="Manage Server"):
            await attempt

    assert (await queue.overview(A_MANAGER, limit=5)).pause is None


async def test_a_paused_queue_finishes_what_runs_and_goes_on_at_once_when_resumed(harness: ServicesHarness) -> None:
    harness.generator.gate.clear()
    harness.start_worker()
    running = await harness.submit(1)
    await drawing(harness)
    waiting = await harness.submit(2)

    await harness.services.server_queue.pause(A_MANAGER)
    harness.generator.gate.set()
    await harness.wait_for(JobStatus.SUCCEEDED, running)
    await until(lambda: harness.clock.sleeping >= 2)

    assert await harness.status(waiting) is JobStatus.QUEUED
    overview = await harness.services.server_queue.overview(A_MANAGER, limit=5)
    assert overview.pause is not None
    assert (overview.pause.paused_by, overview.pause.paused_at) == (MODERATOR, harness.clock.now())
    assert overview.entries[0].position == QueuePosition(ahead=0, is_paused=True)
    await harness.services.server_queue.resume(A_MANAGER)
    await harness.wait_for(JobStatus.SUCCEEDED, waiting)


async def test_pausing_and_resuming_twice_says_so(harness: ServicesHarness) -> None:
    queue = harness.services.server_queue
    with pytest.raises(InvalidRequestError, match="isn't paused"):
        await queue.resume(A_MANAGER)
    await queue.pause(A_MANAGER)

    with pytest.raises(InvalidRequestError, match="already paused"):
        await queue.pause(A_MANAGER)


async def test_a_pause_outlives_the_process(harness: ServicesHarness) -> None:
    await harness.submit(1)
    await harness.services.server_queue.pause(A_MANAGER)

    harness.build()

    assert await harness.jobs.claim(now=harness.clock.now(), lease_until=harness.clock.now(), batch=64) is None
    assert (await harness.services.server_queue.overview(A_MANAGER, limit=5)).pause is not None


async def test_who_manages_the_server_cancels_any_of_its_jobs_without_managing_messages(harness: ServicesHarness) -> None:
    job = await harness.submit(1)

    cancelled = await harness.services.generation.cancel(job.id, A_MANAGER)

    assert cancelled.status is JobStatus.CANCELLED
    foreign = await harness.submit(2, origin=origin(2, guild_id=GUILD + 1))
    with pytest.raises(NotFoundError):
        await harness.services.generation.cancel(foreign.id, A_MANAGER)


async def test_the_weight_of_the_limits_decides_about_turns(harness: ServicesHarness) -> None:
    for number in range(1, 7):
        harness.limits = Limits(weight=1.0 if number % 2 else 4.0)
        user_id = MEMBER if number % 2 else OTHER
        await harness.submit(number, origin=origin(number, user_id=user_id))

    order = [(await harness.claim()).origin.user_id for _ in range(6)]

    assert order == [OTHER, MEMBER, OTHER, OTHER, MEMBER, MEMBER]  # a first place each, then by weight
