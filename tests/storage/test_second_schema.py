"""What the step to purses, days and turns makes of a database of the first schema."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from bot.domain.quota import UNLIMITED, Limits, Usage, day_of
from bot.errors import QuotaError
from bot.storage.database import Database
from tests.storage.first_schema import EVENING, MORNING, OLD, make
from tests.storage.samples import LEASE, REASON, Store, assert_file_sound, assert_sound, new_job


@pytest.fixture
async def old(tmp_path: Path) -> AsyncGenerator[Store]:
    """An old file, opened by this program."""
    path = tmp_path / "pastel.db"
    make(path)
    async with Database.open(path) as database:
        yield Store.over(database)
    assert_file_sound(path)


async def test_every_posting_is_carried_over_with_the_day_and_the_server_it_came_from(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    make(path)
    with closing(sqlite3.connect(path)) as connection:
        before = connection.execute("SELECT id, job_id, user_id, kind, reserved, spent, posted_at FROM ledger").fetchall()

    async with Database.open(path) as database:
        await database.read(assert_sound)

    with closing(sqlite3.connect(path)) as connection:
        after = connection.execute("SELECT id, job_id, user_id, kind, reserved, spent, posted_at FROM ledger").fetchall()
        places = connection.execute("SELECT DISTINCT job_id, guild_id, purse, day FROM ledger ORDER BY job_id").fetchall()
    assert len(before) > len(OLD)
    assert sorted(after) == sorted(before)
    assert places == [(old.id, old.guild_id, "daily", day_of(EVENING)) for old in OLD]


async def test_what_was_used_before_counts_on_its_own_day_only(old: Store) -> None:
    here = await old.repositories.credits.usage(100, 200, now=EVENING)
    tomorrow = await old.repositories.credits.usage(100, 200, now=MORNING)

    assert here == Usage(spent=3, reserved=5, everywhere=8, waiting=2)
    assert tomorrow == Usage(waiting=2)
    limits = Limits(daily_credits=8)
    with pytest.raises(QuotaError):
        await old.jobs.add(new_job(50), limits=limits, now=EVENING)
    assert (await old.jobs.add(new_job(50), limits=limits, now=MORNING)).created


async def test_what_waited_is_drawn_in_turns_and_newcomers_find_their_place(old: Store) -> None:
    await old.jobs.recover(now=MORNING, expired_only=False)
    newcomer = (await old.jobs.add(new_job(50, user_id=104), limits=UNLIMITED, now=MORNING)).job

    order: list[int] = []
    while (job := await old.jobs.claim(now=MORNING, lease_until=MORNING + LEASE, batch=64)) is not None:
        order.append(job.origin.interaction_id)
        await old.jobs.fail(job.id, job.attempt, REASON, now=MORNING + timedelta(seconds=1))

    # what ran when the old program ended; then whoever would end first if all members drew at once: 4 has four pictures
    assert order == [8, 10, newcomer.origin.interaction_id, 9, 11, 4, 5]
