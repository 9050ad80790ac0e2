"""Every way to stop the worker."""

from __future__ import annotations

import asyncio

import pytest

from bot.domain.job import Actor, JobStatus
from tests.examples import MEMBER
from tests.services.harness import ServicesHarness, drawing

OWNER = Actor(user_id=MEMBER)


async def test_a_stop_waits_for_the_running_picture_within_its_grace(harness: ServicesHarness) -> None:
    harness.generator.gate.clear()
    running = harness.start_worker()
    job, waiting = await harness.submit(1), await harness.submit(2)
    await drawing(harness)

    stopping = asyncio.create_task(harness.services.worker.stop(60))
    await asyncio.sleep(0)
    harness.generator.gate.set()
    await stopping
    await running

    assert await harness.status(job) is JobStatus.SUCCEEDED
    assert await harness.status(waiting) is JobStatus.QUEUED


async def test_a_stop_puts_back_what_does_not_end_in_time_and_counts_no_try(harness: ServicesHarness) -> None:
    harness.generator.gate.clear()
    running = harness.start_worker()
    job = await harness.submit()
    await drawing(harness)

    await harness.services.worker.stop(0.01)
    await running

    back = await harness.job(job.id)
    assert (back.status, back.attempt, back.tries) == (JobStatus.QUEUED, 1, 0)
    assert len(harness.generator.ended) == 1


async def test_a_job_that_was_put_back_by_a_stop_is_finished_after_the_next_start(harness: ServicesHarness) -> None:
    harness.generator.gate.clear()
    harness.start_worker()
    job = await harness.submit()
    await drawing(harness)
    await harness.services.worker.stop(0)
    harness.generator.gate.set()
    harness.build()

    harness.start_worker()
    harness.start_delivery()

    assert (await harness.wait_for(JobStatus.DELIVERED, job)).attempt == 2


async def test_a_generator_that_does_not_let_go_does_not_hold_up_the_stop(
    harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.services.worker.ABORT_PATIENCE", 0.01)
    harness.generator.gate.clear()
    harness.generator.letting_go.clear()
    harness.start_worker()
    job = await harness.submit()
    await drawing(harness)

    await harness.services.worker.stop(0)

    back = await harness.job(job.id)
    assert (back.status, back.tries) == (JobStatus.QUEUED, 0)


async def test_stopping_twice_and_without_a_start_is_harmless(harness: ServicesHarness) -> None:
    await harness.services.worker.stop(0)
    await harness.services.worker.stop(0)
    job = await harness.add()

    await harness.services.worker.run()

    assert await harness.status(job) is JobStatus.QUEUED


async def test_two_stops_at_once_end_both(harness: ServicesHarness) -> None:
    harness.generator.gate.clear()
    running = harness.start_worker()
    await harness.submit()
    await drawing(harness)

    await asyncio.gather(harness.services.worker.stop(60), harness.services.worker.stop(0))

    await running


async def test_a_cancelled_run_puts_its_job_back_before_it_ends(harness: ServicesHarness) -> None:
    harness.generator.gate.clear()
    running = harness.start_worker()
    job = await harness.submit()
    await drawing(harness)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert (await harness.job(job.id)).tries == 0
    assert await harness.status(job) is JobStatus.QUEUED


async def test_a_stop_while_a_picture_is_saved_lets_it_be_recorded(
    harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, saving, go_on = harness.store.save, asyncio.Event(), asyncio.Event()

    async def slowly(*args):
        saving.set()
        await go_on.wait()
        return await save(*args)

    monkeypatch.setattr(harness.store, "save", slowly)
    running = harness.start_worker()
    job = await harness.submit()
    await saving.wait()

    stopping = asyncio.create_task(harness.services.worker.stop(0))
    await asyncio.sleep(0.02)  # the abort comes while the file is written
    go_on.set()
    await stopping
    await running

    assert await harness.status(job) is JobStatus.SUCCEEDED
