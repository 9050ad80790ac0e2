from __future__ import annotations

import sqlite3
from datetime import timedelta

import pytest

from bot.domain.job import JobStatus
from bot.domain.quota import price
from bot.messages import message
from tests.storage.samples import NOW, REASON, Store, images

LATER = NOW + timedelta(seconds=9)


async def test_a_finished_job_has_its_pictures_its_charge_and_an_outbox_entry(store: Store) -> None:
    job = await store.running(num_images=2)

    assert await store.jobs.finish(job.id, 1, images(job), now=LATER)

    finished = await store.get(job.id)
    assert (finished.status, finished.finished_at, finished.lease_until) == (JobStatus.SUCCEEDED, LATER, None)
    assert finished.seconds == 9
    assert await store.jobs.images(job.id) == images(job)
    cost = price(job.request)
    assert await store.postings(job.id) == {"reserve": (cost, 0), "charge": (-cost, cost)}
    entry = (await store.outbox.due(now=LATER, limit=9))[0]
    assert (entry.job_id, entry.created_at, entry.next_attempt_at, entry.attempts) == (job.id, LATER, LATER, 0)


async def test_a_charge_is_what_was_set_aside_though_the_price_list_changed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await store.running()
    cost = price(job.request)
    monkeypatch.setattr("bot.domain.quota.CREDIT", 1)

    assert await store.jobs.finish(job.id, 1, images(job), now=LATER)

    assert price(job.request) > cost
    assert await store.postings(job.id) == {"reserve": (cost, 0), "charge": (-cost, cost)}


async def test_a_failed_job_keeps_its_reason_and_is_refunded(store: Store) -> None:
    job = await store.running()

    assert await store.jobs.fail(job.id, 1, message("Not enough memory. Choose a smaller size."), now=LATER)

    failed = await store.get(job.id)
    assert (failed.status, failed.finished_at) == (JobStatus.FAILED, LATER)
    assert failed.failure == message("Not enough memory. Choose a smaller size.")
    cost = price(job.request)
    assert await store.postings(job.id) == {"reserve": (cost, 0), "refund": (-cost, 0)}
    assert [entry.job_id for entry in await store.outbox.due(now=LATER, limit=9)] == [job.id]


@pytest.mark.parametrize("claimed", [False, True])
async def test_a_waiting_job_can_be_cancelled_and_is_refunded(store: Store, *, claimed: bool) -> None:
    job = await store.add()
    if claimed:
        await store.claim()

    assert await store.jobs.cancel(job.id, now=LATER)

    cancelled = await store.get(job.id)
    assert (cancelled.status, cancelled.finished_at, cancelled.lease_until) == (JobStatus.CANCELLED, LATER, None)
    assert set(await store.postings(job.id)) == {"reserve", "refund"}
    assert [entry.job_id for entry in await store.outbox.due(now=LATER, limit=9)] == [job.id]
    assert await store.jobs.claim(now=LATER, lease_until=LATER, batch=64) is None


async def test_all_that_a_member_waits_for_in_one_server_is_cancelled_and_refunded(store: Store) -> None:
    done = await store.succeeded(1, user_id=1, guild_id=1)
    running = await store.running(2, user_id=1, guild_id=1)
    waiting = await store.add(3, user_id=1, guild_id=1)
    elsewhere = [await store.add(4, user_id=1, guild_id=2), await store.add(5, user_id=1, guild_id=None)]
    others = await store.add(6, user_id=2, guild_id=1)

    cancelled = await store.jobs.cancel_all(1, guild_id=1, now=LATER)

    assert set(cancelled) == {running.id, waiting.id}
    for job in (running, waiting):
        assert (await store.get(job.id)).status is JobStatus.CANCELLED
        assert set(await store.postings(job.id)) == {"reserve", "refund"}
    assert (await store.get(done.id)).status is JobStatus.SUCCEEDED
    assert {(await store.get(job.id)).status for job in (*elsewhere, others)} == {JobStatus.QUEUED}


async def test_a_cancelled_job_cannot_be_finished_by_its_worker(store: Store) -> None:
    job = await store.running()
    await store.jobs.cancel(job.id, now=LATER)

    assert not await store.jobs.finish(job.id, 1, images(job), now=LATER)
    assert not await store.jobs.fail(job.id, 1, REASON, now=LATER)
    assert not await store.jobs.put_back(job.id, 1, aborted=True)
    assert not await store.jobs.extend_lease(job.id, 1, lease_until=LATER)

    assert (await store.get(job.id)).status is JobStatus.CANCELLED
    assert set(await store.postings(job.id)) == {"reserve", "refund"}


async def test_a_job_ends_once(store: Store) -> None:
    job = await store.succeeded()

    assert not await store.jobs.finish(job.id, 1, images(job), now=LATER)
    assert not await store.jobs.fail(job.id, 1, REASON, now=LATER)
    assert not await store.jobs.cancel(job.id, now=LATER)
    assert not await store.jobs.cancel("0" * 16, now=LATER)

    assert await store.get(job.id) == job
    assert set(await store.postings(job.id)) == {"reserve", "charge"}


async def test_a_finish_that_breaks_off_leaves_the_job_running(store: Store) -> None:
    job = await store.running()
    twice_the_same = (*images(job), *images(job))

    with pytest.raises(sqlite3.IntegrityError):
        await store.jobs.finish(job.id, 1, twice_the_same, now=LATER)

    assert await store.get(job.id) == job
    assert await store.jobs.finish(job.id, 1, images(job), now=LATER)


async def test_the_charge_is_what_was_reserved_even_if_prices_changed_since(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await store.running()
    cost = price(job.request)
    monkeypatch.setattr("bot.storage.ledger.price", lambda request: 1_000)

    await store.jobs.finish(job.id, 1, images(job), now=LATER)

    assert await store.postings(job.id) == {"reserve": (cost, 0), "charge": (-cost, cost)}
