"""Every way to stop the worker."""

from __future__ import annotations

import asyncio

import pytest

from bot.domain.job import Actor, JobStatus
from tests.examples import MEMBER
from tests.services.world import World, drawing

OWNER = Actor(user_id=MEMBER)


async def test_a_stop_waits_for_the_running_picture_within_its_grace(world: World) -> None:
    world.generator.gate.clear()
    running = world.start_worker()
    job, waiting = await world.submit(1), await world.submit(2)
    await drawing(world)

    stopping = asyncio.create_task(world.services.worker.stop(60))
    await asyncio.sleep(0)
    world.generator.gate.set()
    await stopping
    await running

    assert await world.status(job) is JobStatus.SUCCEEDED
    assert await world.status(waiting) is JobStatus.QUEUED


async def test_a_stop_puts_back_what_does_not_end_in_time_and_counts_no_try(world: World) -> None:
    world.generator.gate.clear()
    running = world.start_worker()
    job = await world.submit()
    await drawing(world)

    await world.services.worker.stop(0.01)
    await running

    back = await world.job(job.id)
    assert (back.status, back.attempt, back.tries) == (JobStatus.QUEUED, 1, 0)
    assert len(world.generator.ended) == 1


async def test_a_job_that_was_put_back_by_a_stop_is_finished_after_the_next_start(world: World) -> None:
    world.generator.gate.clear()
    world.start_worker()
    job = await world.submit()
    await drawing(world)
    await world.services.worker.stop(0)
    world.generator.gate.set()
    world.build()

    world.start_worker()
    world.start_delivery()

    assert (await world.wait_for(JobStatus.DELIVERED, job)).attempt == 2


async def test_a_generator_that_does_not_let_go_does_not_hold_up_the_stop(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.services.worker.ABORT_PATIENCE", 0.01)
    world.generator.gate.clear()
    world.generator.letting_go.clear()
    world.start_worker()
    job = await world.submit()
    await drawing(world)

    await world.services.worker.stop(0)

    back = await world.job(job.id)
    assert (back.status, back.tries) == (JobStatus.QUEUED, 0)


async def test_stopping_twice_and_without_a_start_is_harmless(world: World) -> None:
    await world.services.worker.stop(0)
    await world.services.worker.stop(0)
    job = await world.add()

    await world.services.worker.run()

    assert await world.status(job) is JobStatus.QUEUED


async def test_two_stops_at_once_end_both(world: World) -> None:
    world.generator.gate.clear()
    running = world.start_worker()
    await world.submit()
    await drawing(world)

    await asyncio.gather(world.services.worker.stop(60), world.services.worker.stop(0))

    await running


async def test_a_cancelled_run_puts_its_job_back_before_it_ends(world: World) -> None:
    world.generator.gate.clear()
    running = world.start_worker()
    job = await world.submit()
    await drawing(world)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert (await world.job(job.id)).tries == 0
    assert await world.status(job) is JobStatus.QUEUED


async def test_a_stop_while_a_picture_is_saved_lets_it_be_recorded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    save, saving, go_on = world.store.save, asyncio.Event(), asyncio.Event()

    async def slowly(*args):
        saving.set()
        await go_on.wait()
        return await save(*args)

    monkeypatch.setattr(world.store, "save", slowly)
    running = world.start_worker()
    job = await world.submit()
    await saving.wait()

    stopping = asyncio.create_task(world.services.worker.stop(0))
    await asyncio.sleep(0.02)  # the abort comes while the file is written
    go_on.set()
    await stopping
    await running

    assert await world.status(job) is JobStatus.SUCCEEDED
