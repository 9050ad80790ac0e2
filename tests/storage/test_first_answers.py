"""Whether somebody was shown a job, on disk."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.domain.job import Job, JobStatus
from bot.domain.quota import UNLIMITED
from bot.storage.database import Database
from bot.storage.jobs import SqliteJobs
from bot.storage.migrator import load_migrations
from tests.storage.first_schema import OLD, make
from tests.storage.samples import LEASE, NOW, Store, assert_file_sound, new_job

LATER = NOW + timedelta(seconds=1)


async def unshown(store: Store, number: int = 1) -> Job:
    new = new_job(number)
    new = replace(new, reply=replace(new.reply, message_id=None))
    return (await store.jobs.add(new, limits=UNLIMITED, now=NOW)).job


async def test_a_job_waits_for_its_first_answer_and_keeps_its_place(store: Store) -> None:
    first, second = await unshown(store), await store.add(2)
    assert (await store.claim()).id == second.id
    assert await store.jobs.claim(now=NOW, lease_until=NOW + LEASE, batch=64) is None
    assert await store.jobs.owing_an_answer() == (first.id,)
    ahead = await store.jobs.ahead(first.id)
    assert ahead is not None
    assert not ahead.paused

    assert await store.jobs.set_shown(first.id, message_id=9, now=LATER)
    assert not await store.jobs.set_shown(first.id, message_id=10, now=LATER)

    assert await store.jobs.owing_an_answer() == ()
    claimed = await store.claim()
    assert (claimed.id, claimed.shown_at, claimed.reply.message_id) == (first.id, LATER, 9)


async def test_what_nobody_was_shown_is_withdrawn_with_its_price_and_its_token(store: Store) -> None:
    job = await unshown(store)

    assert await store.jobs.withdraw(job.id, now=LATER)

    ended = await store.get(job.id)
    assert (ended.status, ended.reply.token) == (JobStatus.CANCELLED, None)
    assert await store.scalar("SELECT TOTAL(reserved) + TOTAL(spent) FROM ledger") == 0
    assert await store.jobs.owing_an_answer() == ()
    assert await store.outbox.due(now=LATER, limit=9) == ()
    assert await store.outbox.next_due() is None


async def test_what_somebody_was_shown_is_not_withdrawn(store: Store) -> None:
    job = await store.add()

    assert not await store.jobs.withdraw(job.id, now=LATER)

    assert (await store.get(job.id)).status is JobStatus.QUEUED


async def test_one_that_was_cancelled_meanwhile_is_sent_only_once_it_is_known_to_be_shown(store: Store) -> None:
    job, other = await unshown(store), await unshown(store, 2)
    for each in (job, other):
        assert await store.jobs.cancel(each.id, now=LATER)
    assert await store.outbox.due(now=LATER, limit=9) == ()
    assert await store.outbox.next_due() is None
    assert await store.jobs.owing_an_answer() == (job.id, other.id)

    await store.jobs.set_shown(job.id, message_id=9, now=LATER)
    assert await store.jobs.withdraw(other.id, now=LATER)

    assert [entry.job_id for entry in await store.outbox.due(now=LATER, limit=9)] == [job.id]
    assert await store.jobs.owing_an_answer() == ()


async def test_the_database_draws_nothing_that_nobody_was_shown(store: Store) -> None:
    job = await unshown(store)
    claim = "UPDATE jobs SET status = 'running', attempt = 1, started_at = 1, lease_until = 1 WHERE id = ?"

    with pytest.raises(sqlite3.IntegrityError, match="nobody was shown"):
        await store.database.transaction(lambda connection: connection.execute(claim, (job.id,)))


async def test_jobs_of_before_were_answered_before_they_were_stored(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    make(path)
    async with Database.open(path, migrations=load_migrations()[:7]):
        pass

    async with Database.open(path) as database:
        assert await SqliteJobs(database).owing_an_answer() == ()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM jobs WHERE shown_at = created_at").fetchone()[0] == len(OLD)
    assert_file_sound(path)
