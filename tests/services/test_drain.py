"""Draining: nothing new, everything that waits is drawn and shown, then the end."""

from __future__ import annotations

import asyncio

import pytest

from bot.domain.delivery import DeliveryFault
from bot.domain.job import Actor, JobStatus
from bot.errors import NotAllowedError
from bot.services.drain import LAST_CARDS, LOOK_INTERVAL
from tests.examples import GUILD, MODERATOR, origin
from tests.services.harness import ServicesHarness, fault


async def draining(harness: ServicesHarness) -> asyncio.Task[None]:
    """Begin, and wait for the end in a task."""
    harness.services.drain.begin()
    task = asyncio.create_task(harness.services.drain.finished())
    harness.tasks.append(task)
    return task


async def passing(harness: ServicesHarness, task: asyncio.Task[None]) -> None:
    """Let time pass until the drain has ended."""
    async with asyncio.timeout(20):
        while not task.done():
            harness.clock.advance(LOOK_INTERVAL)
            await asyncio.sleep(0.001)
    task.result()


async def test_what_waits_is_drawn_and_shown_before_the_end(harness: ServicesHarness) -> None:
    jobs = [await harness.submit(number) for number in (1, 2, 3)]
    harness.start_worker()
    harness.start_delivery()

    await passing(harness, await draining(harness))

    assert {await harness.status(job) for job in jobs} == {JobStatus.DELIVERED}


async def test_nothing_new_is_taken_in_while_it_drains(harness: ServicesHarness) -> None:
    harness.services.drain.begin()
    harness.services.drain.begin()

    with pytest.raises(NotAllowedError, match="can't take new pictures"):
        await harness.submit(1)
    assert await harness.jobs.counts() == {}


async def test_without_an_order_it_never_ends(harness: ServicesHarness) -> None:
    task = asyncio.create_task(harness.services.drain.finished())
    harness.tasks.append(task)
    await asyncio.sleep(0)

    assert harness.clock.sleeping == 0
    harness.services.drain.begin()
    await passing(harness, task)


async def test_a_job_that_still_runs_is_waited_for(harness: ServicesHarness) -> None:
    harness.generator.gate.clear()
    harness.start_worker()
    harness.start_delivery()
    job = await harness.submit(1)
    await harness.wait_for(JobStatus.RUNNING, job)
    task = await draining(harness)
    for _ in range(20):
        harness.clock.advance(LOOK_INTERVAL)
        await asyncio.sleep(0.001)

    assert not task.done()
    harness.generator.gate.set()
    await passing(harness, task)
    assert await harness.status(job) is JobStatus.DELIVERED


async def test_paused_jobs_stay_on_disk(harness: ServicesHarness) -> None:
    job = await harness.submit(1)
    await harness.services.server_queue.pause(Actor(user_id=MODERATOR, guild_id=GUILD, manages_guild=True))
    shown = await harness.submit(2, origin=origin(2, guild_id=None))
    harness.start_worker()
    harness.start_delivery()

    await passing(harness, await draining(harness))

    assert await harness.status(job) is JobStatus.QUEUED
    assert await harness.status(shown) is JobStatus.DELIVERED


async def test_cards_that_discord_does_not_take_are_left_to_the_next_start(harness: ServicesHarness) -> None:
    await harness.drawn(1)
    harness.messenger.fail("edit_by_token", *[fault(DeliveryFault.UNAVAILABLE)] * 1_000)
    began = harness.clock.now()

    await passing(harness, await draining(harness))

    assert (harness.clock.now() - began).total_seconds() >= LAST_CARDS
    assert await harness.jobs.counts() == {"succeeded": 1}
