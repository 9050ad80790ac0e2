"""Draining: nothing new, everything that waits is drawn and shown, then the end."""

from __future__ import annotations

import asyncio

import pytest

from bot.domain.delivery import DeliveryFault
from bot.domain.job import Actor, JobStatus
from bot.errors import NotAllowedError
from bot.services.drain import LAST_CARDS, LOOK_INTERVAL
from tests.examples import GUILD, MODERATOR, origin
from tests.services.world import World, fault


async def draining(world: World) -> asyncio.Task[None]:
    """Begin, and wait for the end in a task."""
    world.services.drain.begin()
    task = asyncio.create_task(world.services.drain.finished())
    world.tasks.append(task)
    return task


async def passing(world: World, task: asyncio.Task[None]) -> None:
    """Let time pass until the drain has ended."""
    async with asyncio.timeout(20):
        while not task.done():
            world.clock.advance(LOOK_INTERVAL)
            await asyncio.sleep(0.001)
    task.result()


async def test_what_waits_is_drawn_and_shown_before_the_end(world: World) -> None:
    jobs = [await world.submit(number) for number in (1, 2, 3)]
    world.start_worker()
    world.start_delivery()

    await passing(world, await draining(world))

    assert {await world.status(job) for job in jobs} == {JobStatus.DELIVERED}


async def test_nothing_new_is_taken_in_while_it_drains(world: World) -> None:
    world.services.drain.begin()
    world.services.drain.begin()

    with pytest.raises(NotAllowedError, match="take nothing new"):
        await world.submit(1)
    assert await world.jobs.counts() == {}


async def test_without_an_order_it_never_ends(world: World) -> None:
    task = asyncio.create_task(world.services.drain.finished())
    world.tasks.append(task)
    await asyncio.sleep(0)

    assert world.clock.sleeping == 0
    world.services.drain.begin()
    await passing(world, task)


async def test_a_job_that_still_runs_is_waited_for(world: World) -> None:
    world.generator.gate.clear()
    world.start_worker()
    world.start_delivery()
    job = await world.submit(1)
    await world.wait_for(JobStatus.RUNNING, job)
    task = await draining(world)
    for _ in range(20):
        world.clock.advance(LOOK_INTERVAL)
        await asyncio.sleep(0.001)

    assert not task.done()
    world.generator.gate.set()
    await passing(world, task)
    assert await world.status(job) is JobStatus.DELIVERED


async def test_paused_jobs_stay_on_disk(world: World) -> None:
    job = await world.submit(1)
    await world.services.server_queue.pause(Actor(user_id=MODERATOR, guild_id=GUILD, manages_guild=True))
    shown = await world.submit(2, origin=origin(2, guild_id=None))
    world.start_worker()
    world.start_delivery()

    await passing(world, await draining(world))

    assert await world.status(job) is JobStatus.QUEUED
    assert await world.status(shown) is JobStatus.DELIVERED


async def test_cards_that_discord_does_not_take_are_left_to_the_next_start(world: World) -> None:
    await world.drawn(1)
    world.messenger.fail("edit_by_token", *[fault(DeliveryFault.UNAVAILABLE)] * 1_000)
    began = world.clock.now()

    await passing(world, await draining(world))

    assert (world.clock.now() - began).total_seconds() >= LAST_CARDS
    assert await world.jobs.counts() == {"succeeded": 1}
