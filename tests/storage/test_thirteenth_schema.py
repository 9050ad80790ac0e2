"""A file that the schema before the keys of totals wrote: its sums are carried over, and it is claimed and written anew."""

from __future__ import annotations

from pathlib import Path

from bot.domain.quota import Limits
from bot.storage.database import Database
from bot.storage.migrator import load_migrations
from tests.storage.samples import LEASE, NOW, Store, assert_file_sound

THIRTEENTH = 13


async def fill(path: Path) -> None:
    async with Database.open(path, migrations=load_migrations()[:THIRTEENTH]) as database:
        store = Store.over(database)
        await store.grant(50, user_id=100)
        await store.add(1, user_id=100, limits=Limits(daily_credits=0))
        await store.add(2, user_id=101)


async def test_what_members_have_and_what_waits_is_the_same_as_before(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    await fill(path)

    async with Database.open(path) as database:
        store = Store.over(database)
        sums = await store.scalar("SELECT group_concat(user_id || ':' || granted || ':' || reserved) FROM purse_totals")
        assert "100:50:" in str(sums)
        await store.add(3, user_id=100, limits=Limits(daily_credits=0))
        assert await store.jobs.claim(now=NOW, lease_until=NOW + LEASE, batch=8) is not None
        await database.rewrite(lambda _: None)

    assert_file_sound(path)
