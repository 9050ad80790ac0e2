"""What may happen to a job, as code that can be cut off anywhere and started again, as the bot is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from bot.domain.delivery import DeliveryFault
from bot.domain.job import ALLOWED_MOVES, Job, JobId, JobStatus
from bot.domain.quota import Limits, StepsTaken
from bot.storage.outbox import SqliteOutbox
from tests.storage.samples import LEASE, NOW, REASON, Store, images, new_job

Ack = Callable[[JobId, JobStatus], None]
Life = Callable[[Store, int, Ack], Awaitable[None]]

LATER = NOW + timedelta(minutes=1)


async def start(store: Store, number: int, ack: Ack) -> Job:
    """What the bot does when it starts, and the event that makes the job (replayed if it was seen)."""
    await store.jobs.recover(now=NOW, expired_only=False)
    await store.grant(1, interaction_id=number)
    job = (await store.jobs.add(new_job(number, num_images=2), limits=Limits(daily_credits=1), now=NOW)).job  # from both purses
    ack(job.id, job.status)
    return job


async def draw(store: Store, number: int, ack: Ack) -> None:
    job = await start(store, number, ack)
    if job.status is JobStatus.QUEUED:
        job = await store.claim()
        ack(job.id, job.status)
        await store.jobs.extend_lease(job.id, job.attempt, lease_until=LATER + LEASE)
        await store.jobs.finish(job.id, job.attempt, images(job), now=LATER)
        ack(job.id, JobStatus.SUCCEEDED)
    await show(store, job.id)
    ack(job.id, JobStatus.DELIVERED)


async def draw_after_an_abort(store: Store, number: int, ack: Ack) -> None:
    job = await start(store, number, ack)
    if job.status is JobStatus.QUEUED and job.attempt == 0:
        job = await store.claim()
        await store.jobs.set_message(job.id, channel_id=301, message_id=302)
        await store.jobs.put_back(job.id, job.attempt, aborted=True)
        ack(job.id, JobStatus.QUEUED)
    await draw(store, number, ack)


async def draw_and_delete(store: Store, number: int, ack: Ack) -> None:
    await draw(store, number, ack)
    job = await start(store, number, ack)
    await store.jobs.mark_deleted(job.id, by=900, now=LATER)
    ack(job.id, JobStatus.DELIVERED)


async def draw_in_vain(store: Store, number: int, ack: Ack) -> None:
    job = await start(store, number, ack)
    if job.status is JobStatus.QUEUED:
        job = await store.claim()
        await store.jobs.finish(job.id, job.attempt, images(job), now=LATER)
        ack(job.id, JobStatus.SUCCEEDED)
    await store.outbox.give_up(job.id, DeliveryFault.CHANNEL_GONE, now=LATER)
    ack(job.id, JobStatus.UNDELIVERABLE)


async def fail(store: Store, number: int, ack: Ack) -> None:
    job = await start(store, number, ack)
    if job.status is JobStatus.QUEUED:
        job = await store.claim()
        ack(job.id, job.status)
        await store.jobs.fail(job.id, job.attempt, REASON, now=LATER)
        ack(job.id, JobStatus.FAILED)
    await show(store, job.id)
    ack(job.id, JobStatus.FAILED)


async def interrupt_too_often(store: Store, number: int, ack: Ack) -> None:
    job = await start(store, number, ack)
    while (await store.get(job.id)).status is JobStatus.QUEUED:
        await store.claim()
        ack(job.id, JobStatus.RUNNING)
        await store.jobs.recover(now=LATER, expired_only=False)
    ack(job.id, JobStatus.FAILED)
    await show(store, job.id)


async def cancel(store: Store, number: int, ack: Ack) -> None:
    """After the last step but one of two pictures, so that a part of both purses is charged and the rest given back."""
    job = await start(store, number, ack)
    claimed = await store.jobs.claim(now=NOW, lease_until=LATER, batch=64)
    attempt = job.attempt if claimed is None else claimed.attempt
    await store.jobs.cancel(job.id, now=LATER, taken=StepsTaken(attempt=attempt, steps=55))
    ack(job.id, JobStatus.CANCELLED)
    await show(store, job.id)


async def keep_back(store: Store, number: int, ack: Ack) -> None:
    """Drawn, and not shown, because rules were tightened."""
    job = await start(store, number, ack)
    if job.status is JobStatus.QUEUED:
        job = await store.claim()
        await store.jobs.finish(job.id, job.attempt, images(job), now=LATER)
        ack(job.id, JobStatus.SUCCEEDED)
    await store.jobs.keep_back(job.id, REASON, now=LATER)
    ack(job.id, JobStatus.FAILED)
    await show(store, job.id)


async def show(store: Store, job_id: JobId) -> None:
    """Deliver the card by a post, at the second try."""
    outbox: SqliteOutbox = store.outbox
    for entry in await outbox.due(now=LATER, limit=9):
        assert entry.job_id == job_id
        if entry.attempts == 0:
            await outbox.retry(job_id, at=LATER, fault=DeliveryFault.UNAVAILABLE, now=LATER)
        await outbox.start_post(job_id, now=LATER)
        await outbox.delivered(job_id, channel_id=301, message_id=303, now=LATER)


LIVES: Mapping[str, Life] = {
    life.__name__: life
    for life in (
        draw,
        draw_after_an_abort,
        draw_and_delete,
        draw_in_vain,
        fail,
        interrupt_too_often,
        cancel,
        keep_back,
    )
}


def reachable(old: JobStatus, new: JobStatus) -> bool:
    """Whether a job that once was `old` may be `new` now."""
    seen, edge = {old}, {old}
    while edge:
        edge = {after for before in edge for after in ALLOWED_MOVES[before]} - seen
        seen |= edge
    return new in seen
