from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from bot.domain.delivery import DeliveryFault
from bot.domain.job import Job, JobStatus
from bot.domain.quota import price
from bot.errors import NotFoundError
from tests.storage.samples import NOW, REASON, TOKEN, Store, listing

LATER = NOW + timedelta(minutes=1)
NOBODY = "0" * 16


async def ended(store: Store, how: str, number: int = 1) -> Job:
    if how == "succeeded":
        return await store.succeeded(number)
    job = await store.running(number)
    if how == "failed":
        await store.jobs.fail(job.id, 1, REASON, now=NOW)
    else:
        await store.jobs.cancel(job.id, now=NOW)
    return await store.get(job.id)


async def test_an_empty_outbox_is_never_due(store: Store) -> None:
    await store.running()

    assert await store.outbox.due(now=LATER, limit=9) == ()
    assert await store.outbox.next_due() is None


async def test_entries_are_due_oldest_first_and_up_to_the_limit(store: Store) -> None:
    jobs = [await ended(store, how, number) for number, how in enumerate(("failed", "cancelled", "succeeded"))]

    assert [entry.job_id for entry in await store.outbox.due(now=LATER, limit=9)] == [job.id for job in jobs]
    assert [entry.job_id for entry in await store.outbox.due(now=LATER, limit=2)] == [job.id for job in jobs[:2]]


async def test_a_clock_that_is_set_back_makes_nothing_wait(store: Store) -> None:
    """Nor an entry that is new, nor one that waits for another try."""
    first, second = await ended(store, "failed", 1), await ended(store, "failed", 2)
    await store.outbox.retry(first.id, at=LATER, fault=DeliveryFault.RATE_LIMITED, now=NOW)

    earlier = NOW - timedelta(days=1)
    assert {entry.job_id for entry in await store.outbox.due(now=earlier, limit=9)} == {first.id, second.id}
    await store.outbox.retry(first.id, at=earlier + timedelta(seconds=9), fault=DeliveryFault.RATE_LIMITED, now=earlier)
    assert [entry.job_id for entry in await store.outbox.due(now=earlier, limit=9)] == [second.id]


async def test_a_retry_counts_and_waits_for_its_time(store: Store) -> None:
    first, second = await ended(store, "failed", 1), await ended(store, "failed", 2)

    await store.outbox.retry(first.id, at=LATER, fault=DeliveryFault.RATE_LIMITED, now=NOW)

    assert [entry.job_id for entry in await store.outbox.due(now=NOW, limit=9)] == [second.id]
    assert await store.outbox.next_due() == NOW
    entry = (await store.outbox.due(now=LATER, limit=9))[0]
    assert (entry.job_id, entry.attempts, entry.next_attempt_at) == (first.id, 1, LATER)
    assert entry.last_fault is DeliveryFault.RATE_LIMITED
    await store.outbox.delivered(second.id, channel_id=1, message_id=2, now=NOW)
    assert await store.outbox.next_due() == LATER


@pytest.mark.parametrize(
    ("how", "after"),
    [
        ("succeeded", JobStatus.DELIVERED),
        ("failed", JobStatus.FAILED),
        ("cancelled", JobStatus.CANCELLED),
    ],
)
async def test_a_delivered_card_closes_its_entry_and_wipes_the_token(store: Store, how: str, after: JobStatus) -> None:
    job = await ended(store, how)
    assert job.reply.token == TOKEN

    await store.outbox.delivered(job.id, channel_id=301, message_id=302, now=LATER)

    shown = await store.get(job.id)
    assert shown.status is after
    assert (shown.reply.channel_id, shown.reply.message_id) == (301, 302)
    assert (shown.reply.token, shown.reply.token_expires_at) == (None, None)
    assert await store.outbox.due(now=LATER, limit=9) == ()
    assert await store.outbox.next_due() is None


async def test_pictures_that_cannot_be_shown_are_refunded_in_place_of_the_charge(store: Store) -> None:
    job = await store.succeeded()
    cost = price(job.request)

    await store.outbox.give_up(job.id, DeliveryFault.CHANNEL_GONE, now=LATER)

    lost = await store.get(job.id)
    assert (lost.status, lost.reply.token) == (JobStatus.UNDELIVERABLE, None)
    assert await store.postings(job.id) == {"reserve": (cost, 0), "charge": (-cost, cost), "refund": (0, -cost)}
    assert await store.scalar("SELECT last_fault FROM outbox") == "channel_gone"


@pytest.mark.parametrize("how", ["failed", "cancelled"])
async def test_giving_up_a_refunded_job_refunds_nothing_more(store: Store, how: str) -> None:
    job = await ended(store, how)
    before = await store.postings(job.id)

    await store.outbox.give_up(job.id, DeliveryFault.FORBIDDEN, now=LATER)

    after = await store.get(job.id)
    assert (after.status, after.reply.token) == (job.status, None)
    assert await store.postings(job.id) == before
    assert await store.outbox.next_due() is None


async def test_what_is_closed_stays_closed(store: Store) -> None:
    job = await store.succeeded()
    await store.outbox.delivered(job.id, channel_id=301, message_id=302, now=LATER)
    shown, postings = await store.get(job.id), await store.postings(job.id)

    await store.outbox.delivered(job.id, channel_id=1, message_id=2, now=LATER)
    await store.outbox.give_up(job.id, DeliveryFault.FORBIDDEN, now=LATER)
    await store.outbox.retry(job.id, at=NOW, fault=DeliveryFault.UNAVAILABLE, now=NOW)
    with pytest.raises(NotFoundError):
        await store.outbox.start_post(job.id, now=LATER)

    assert await store.get(job.id) == shown
    assert await store.postings(job.id) == postings
    assert await store.outbox.due(now=LATER, limit=9) == ()


async def test_a_job_without_an_entry_is_left_alone(store: Store) -> None:
    job = await store.running()

    await store.outbox.delivered(job.id, channel_id=1, message_id=2, now=LATER)
    await store.outbox.give_up(job.id, DeliveryFault.FORBIDDEN, now=LATER)
    await store.outbox.retry(NOBODY, at=NOW, fault=DeliveryFault.UNAVAILABLE, now=NOW)

    assert await store.get(job.id) == job


async def test_the_first_post_is_remembered_for_good(store: Store) -> None:
    job = await store.succeeded()

    first = await store.outbox.start_post(job.id, now=NOW + timedelta(seconds=10))
    again = await store.outbox.start_post(job.id, now=LATER)

    assert first.post_started_at == again.post_started_at == NOW + timedelta(seconds=10)
    assert (await store.outbox.due(now=LATER, limit=9))[0] == again


async def test_a_wiped_token_leaves_no_bytes_behind(store: Store, tmp_path: Path) -> None:
    secret = "unmistakable-" * 8
    for number in range(20):
        job = await store.succeeded(number)
        await store.database.transaction(
            lambda connection, job_id=job.id: (
                connection.execute("UPDATE jobs SET token = ? WHERE id = ?", (secret, job_id)).rowcount
            )
        )
        await store.outbox.delivered(job.id, channel_id=1, message_id=2, now=LATER)

    await store.database.close()

    assert listing(tmp_path) == ["pastel.db"]  # closing folds the WAL in
    assert secret.encode() not in (tmp_path / "pastel.db").read_bytes()
