"""Leases and fences: long drawings, lost jobs, cancellations."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bot.domain.job import Actor, JobStatus
from bot.errors import InvalidRequestError
from bot.services.attempt import HEARTBEAT, LEASE
from bot.services.worker import IDLE_INTERVAL, UPKEEP_INTERVAL
from tests.examples import MEMBER
from tests.services.world import World, drawing, outcomes, until

OWNER = Actor(user_id=MEMBER)


async def test_the_lease_is_kept_while_a_picture_takes_long(world: World) -> None:
    world.generator.gate.clear()
    world.start_worker()
    job = await world.submit()
    await drawing(world)

    for _ in range(20):
        await until(lambda: HEARTBEAT in world.clock.pauses)
        world.clock.advance(HEARTBEAT)
        lease_until = (await world.job(job.id)).lease_until
        assert lease_until is not None
        assert lease_until > world.clock.now()

    assert len(world.generator.started) == 1
    world.generator.gate.set()
    assert (await world.wait_for(JobStatus.SUCCEEDED, job)).attempt == 1


async def test_a_machine_that_was_suspended_goes_on_with_its_own_job(world: World) -> None:
    world.generator.gate.clear()
    world.start_worker()
    job = await world.submit()
    await drawing(world)
    await until(lambda: {HEARTBEAT, UPKEEP_INTERVAL} <= set(world.clock.pauses))

    world.clock.advance(3600)
    await world.services.worker._upkeep()  # by hand, so that its turn comes before the heartbeat's
    world.generator.gate.set()

    assert (await world.wait_for(JobStatus.SUCCEEDED, job)).attempt == 1


async def test_an_expired_lease_is_recovered_while_the_worker_runs(world: World) -> None:
    world.generator.gate.clear()
    world.start_worker()
    await until(lambda: {UPKEEP_INTERVAL, IDLE_INTERVAL} <= set(world.clock.pauses))
    job = await world.add()
    await world.claim()  # by a worker that is no more

    world.clock.advance(LEASE.total_seconds() + UPKEEP_INTERVAL)

    await drawing(world)
    world.generator.gate.set()
    assert (await world.wait_for(JobStatus.SUCCEEDED, job)).attempt == 2


async def test_a_worker_that_lost_its_job_stops_drawing_and_changes_nothing(world: World) -> None:
    world.generator.gate.clear()
    world.start_worker()
    job = await world.submit()
    await drawing(world)
    await world.jobs.recover(now=world.clock.now() + timedelta(hours=1), expired_only=True)
    other = await world.claim()
    await until(lambda: HEARTBEAT in world.clock.pauses)

    world.clock.advance(HEARTBEAT)
    await until(lambda: len(world.generator.ended) == 1)

    current = await world.job(job.id)
    assert (current.status, current.attempt) == (JobStatus.RUNNING, other.attempt)
    assert world.store.files == {}


async def test_a_finish_that_comes_too_late_leaves_no_files(world: World) -> None:
    world.generator.gate.clear()
    world.start_worker()
    job = await world.submit()
    await drawing(world)
    await world.jobs.recover(now=world.clock.now() + timedelta(hours=1), expired_only=True)
    other = await world.claim()

    world.generator.gate.set()
    await until(lambda: outcomes(world).get("lost") == 1)

    assert (await world.job(job.id)).attempt == other.attempt
    assert await world.status(job) is JobStatus.RUNNING
    assert world.store.files == {}


async def test_a_cancelled_job_stops_drawing_at_once_and_is_not_retried(world: World) -> None:
    world.generator.gate.clear()
    world.start_worker()
    world.start_delivery()
    job = await world.submit()
    await drawing(world)

    cancelled = await world.services.generation.cancel(job.id, OWNER)

    assert cancelled.status is JobStatus.CANCELLED
    await until(lambda: len(world.generator.ended) == 1)
    await until(lambda: world.cards()[-1].job.status is JobStatus.CANCELLED)
    assert len(world.generator.started) == 1
    assert world.store.files == {}


async def test_a_cancellation_between_claim_and_drawing_is_noticed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.generator.gate.clear()
    claim = world.jobs.claim
    job = await world.add()

    async def claim_then_cancel(**kwargs):
        claimed = await claim(**kwargs)
        if claimed is not None:
            await world.jobs.cancel(job.id, now=world.clock.now())
            world.services.worker.abort_job(job.id)  # finds nothing yet
        return claimed

    monkeypatch.setattr(world.jobs, "claim", claim_then_cancel)
    world.start_worker()

    await until(lambda: outcomes(world).get("lost") == 1)
    assert len(world.generator.ended) == len(world.generator.started)


@pytest.mark.parametrize("delay", range(0, 40, 4))
async def test_of_cancel_and_finish_exactly_one_wins_and_the_card_shows_it(world: World, delay: int) -> None:
    world.generator.gate.clear()
    world.start_worker()
    world.start_delivery()
    job = await world.submit()
    await drawing(world)

    world.generator.gate.set()
    for _ in range(delay):
        await asyncio.sleep(0)
    expected = JobStatus.CANCELLED
    try:
        await world.services.generation.cancel(job.id, OWNER)
    except InvalidRequestError:
        expected = JobStatus.DELIVERED

    done = await world.wait_for(expected, job)
    await until(lambda: world.cards()[-1].job.status in {JobStatus.CANCELLED, JobStatus.SUCCEEDED})
    assert bool(world.cards()[-1].files) is (done.status is JobStatus.DELIVERED)
    await until(lambda: bool(world.store.files) is (done.status is JobStatus.DELIVERED))
