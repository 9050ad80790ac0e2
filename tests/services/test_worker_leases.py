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
from tests.services.harness import ServicesHarness, drawing, outcomes, until

OWNER = Actor(user_id=MEMBER)


async def test_the_lease_is_kept_while_a_picture_takes_long(harness: ServicesHarness) -> None:
    harness.generator.gate.clear()
    harness.start_worker()
    job = await harness.submit()
    await drawing(harness)

    for _ in range(20):
        await until(lambda: HEARTBEAT in harness.clock.pauses)
        harness.clock.advance(HEARTBEAT)
        lease_until = (await harness.job(job.id)).lease_until
        assert lease_until is not None
        assert lease_until > harness.clock.now()

    assert len(harness.generator.started) == 1
    harness.generator.gate.set()
    assert (await harness.wait_for(JobStatus.SUCCEEDED, job)).attempt == 1


async def test_a_machine_that_was_suspended_goes_on_with_its_own_job(harness: ServicesHarness) -> None:
    harness.generator.gate.clear()
    harness.start_worker()
    job = await harness.submit()
    await drawing(harness)
    await until(lambda: {HEARTBEAT, UPKEEP_INTERVAL} <= set(harness.clock.pauses))

    harness.clock.advance(3600)
    await harness.services.worker._upkeep()  # by hand, so that its turn comes before the heartbeat's
    harness.generator.gate.set()

    assert (await harness.wait_for(JobStatus.SUCCEEDED, job)).attempt == 1


async def test_an_expired_lease_is_recovered_while_the_worker_runs(harness: ServicesHarness) -> None:
    harness.generator.gate.clear()
    harness.start_worker()
    await until(lambda: {UPKEEP_INTERVAL, IDLE_INTERVAL} <= set(harness.clock.pauses))
    job = await harness.add()
    await harness.claim()  # by a worker that is no more

    harness.clock.advance(LEASE.total_seconds() + UPKEEP_INTERVAL)

    await drawing(harness)
    harness.generator.gate.set()
    assert (await harness.wait_for(JobStatus.SUCCEEDED, job)).attempt == 2


async def test_a_worker_that_lost_its_job_stops_drawing_and_changes_nothing(harness: ServicesHarness) -> None:
    harness.generator.gate.clear()
    harness.start_worker()
    job = await harness.submit()
    await drawing(harness)
    await harness.jobs.recover(now=harness.clock.now() + timedelta(hours=1), expired_only=True)
    other = await harness.claim()
    await until(lambda: HEARTBEAT in harness.clock.pauses)

    harness.clock.advance(HEARTBEAT)
    await until(lambda: len(harness.generator.ended) == 1)

    current = await harness.job(job.id)
    assert (current.status, current.attempt) == (JobStatus.RUNNING, other.attempt)
    assert harness.store.files == {}


async def test_a_finish_that_comes_too_late_leaves_no_files(harness: ServicesHarness) -> None:
    harness.generator.gate.clear()
    harness.start_worker()
    job = await harness.submit()
    await drawing(harness)
    await harness.jobs.recover(now=harness.clock.now() + timedelta(hours=1), expired_only=True)
    other = await harness.claim()

    harness.generator.gate.set()
    await until(lambda: outcomes(harness).get("lost") == 1)

    assert (await harness.job(job.id)).attempt == other.attempt
    assert await harness.status(job) is JobStatus.RUNNING
    assert harness.store.files == {}


async def test_a_cancelled_job_stops_drawing_at_once_and_is_not_retried(harness: ServicesHarness) -> None:
    harness.generator.gate.clear()
    harness.start_worker()
    harness.start_delivery()
    job = await harness.submit()
    await drawing(harness)

    cancelled = await harness.services.generation.cancel(job.id, OWNER)

    assert cancelled.status is JobStatus.CANCELLED
    await until(lambda: len(harness.generator.ended) == 1)
    await until(lambda: harness.cards()[-1].job.status is JobStatus.CANCELLED)
    assert len(harness.generator.started) == 1
    assert harness.store.files == {}


async def test_a_cancellation_between_claim_and_drawing_is_noticed(
    harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.generator.gate.clear()
    claim = harness.jobs.claim
    job = await harness.add()

    async def claim_then_cancel(**kwargs):
        claimed = await claim(**kwargs)
        if claimed is not None:
            await harness.jobs.cancel(job.id, now=harness.clock.now())
            harness.services.worker.abort_job(job.id)  # finds nothing yet
        return claimed

    monkeypatch.setattr(harness.jobs, "claim", claim_then_cancel)
    harness.start_worker()

    await until(lambda: outcomes(harness).get("lost") == 1)
    assert len(harness.generator.ended) == len(harness.generator.started)


@pytest.mark.parametrize("delay", range(0, 40, 4))
async def test_of_cancel_and_finish_exactly_one_wins_and_the_card_shows_it(harness: ServicesHarness, delay: int) -> None:
    harness.generator.gate.clear()
    harness.start_worker()
    harness.start_delivery()
    job = await harness.submit()
    await drawing(harness)

    harness.generator.gate.set()
    for _ in range(delay):
        await asyncio.sleep(0)
    expected = JobStatus.CANCELLED
    try:
        await harness.services.generation.cancel(job.id, OWNER)
    except InvalidRequestError:
        expected = JobStatus.DELIVERED

    done = await harness.wait_for(expected, job)
    await until(lambda: harness.cards()[-1].job.status in {JobStatus.CANCELLED, JobStatus.SUCCEEDED})
    assert bool(harness.cards()[-1].files) is (done.status is JobStatus.DELIVERED)
    await until(lambda: bool(harness.store.files) is (done.status is JobStatus.DELIVERED))
