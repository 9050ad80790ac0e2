"""A backup that was put back draws and posts nothing again, and what was wanted gone since then goes again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from bot.domain.moderation import Block
from bot.domain.preferences import Preferences
from bot.storage.database import Database
from bot.storage.restore import put_in_place
from bot.storage.restored import Settled, restored_at, settle
from tests.empty_database import begin_at
from tests.fakes import InMemoryImageStore
from tests.storage.samples import NOW, Store, assert_sound
from tests.storage.test_backup import back_up
from tests.storage.test_log_marks import leave

LATER = NOW + timedelta(hours=1)
RESTORED = NOW + timedelta(days=1)
Step = Callable[[Store], Awaitable[None]]


async def nothing(store: Store) -> None:
    del store


@asynccontextmanager
async def put_back(
    folder: Path, before: Step, after: Step, *, files: InMemoryImageStore | None = None, damaged: bool = False
) -> AsyncGenerator[tuple[Store, Settled]]:
    """`before`, a backup, `after`, kill -9, the backup put back and opened."""
    path = begin_at(folder / "first" / "pastel.db")
    async with Database.open(path) as database:
        await before(Store.over(database))
        await asyncio.to_thread(back_up, path, folder / "backup.db")
        await after(Store.over(database))
        killed = leave(path, folder / "data")
    if damaged:
        killed.write_bytes(b"\xa5" * killed.stat().st_size)
    put_in_place(folder / "backup.db", killed, lambda: None, now=LATER)
    async with Database.open(killed) as database:
        settled = await settle(database, files or InMemoryImageStore(), now=RESTORED)
        assert settled is not None
        assert await settle(database, InMemoryImageStore(), now=RESTORED) is None, "once"
        await database.read(assert_sound)
        assert await restored_at(database) == RESTORED
        yield Store.over(database), settled


async def statuses(store: Store) -> dict[int, str]:
    sql = "SELECT interaction_id, status FROM jobs"
    rows = await store.database.read(lambda connection: connection.execute(sql).fetchall())
    return {row["interaction_id"]: row["status"] for row in rows}


async def open_entries(store: Store) -> dict[int, int]:
    """Of entries still to be shown: whether only by edits."""
    sql = "SELECT interaction_id, edits_only FROM outbox JOIN jobs ON id = job_id WHERE closed_at IS NULL"
    rows = await store.database.read(lambda connection: connection.execute(sql).fetchall())
    return {row["interaction_id"]: row["edits_only"] for row in rows}


async def test_what_waited_is_cancelled_and_given_back_and_nothing_is_posted(tmp_path: Path) -> None:
    async def before(store: Store) -> None:
        await store.succeeded(1)
        await store.running(2)
        await store.add(3)
        await store.database.transaction(lambda c: c.execute("UPDATE jobs SET suspect = 0").rowcount)

    async with put_back(tmp_path, before, nothing) as (store, settled):
        assert await statuses(store) == {1: "succeeded", 2: "cancelled", 3: "cancelled"}
        assert await open_entries(store) == {1: 1, 2: 1, 3: 1}
        assert settled.cancelled == 2
        assert settled.unread == ()
        assert await store.scalar("SELECT SUM(reserved) FROM ledger") == 0
        assert await store.jobs.claim(now=RESTORED, lease_until=RESTORED, batch=64) is None


async def test_a_database_that_was_no_backup_is_left_alone(tmp_path: Path) -> None:
    async with Database.open(begin_at(tmp_path / "pastel.db")) as database:
        store = Store.over(database)
        await store.add(1)

        assert await settle(database, InMemoryImageStore(), now=NOW) is None
        assert await restored_at(database) is None
        assert await statuses(store) == {1: "queued"}


async def test_a_card_that_was_shown_after_the_backup_is_left_as_it_is(tmp_path: Path) -> None:
    async def before(store: Store) -> None:
        await store.succeeded(1)
        await store.add(2)
        await store.add(3)

    async def after(store: Store) -> None:
        entries = await store.outbox.due(now=LATER, limit=9)
        await store.outbox.delivered(entries[0].job_id, channel_id=300, message_id=888, now=LATER)
        drawn = await store.claim()
        await store.jobs.cancel(drawn.id, now=LATER)
        await store.outbox.delivered(drawn.id, channel_id=300, message_id=999, now=LATER)
        await store.jobs.set_message((await store.claim()).id, channel_id=300, message_id=777)

    async with put_back(tmp_path, before, after) as (store, _):
        assert await statuses(store) == {1: "delivered", 2: "cancelled", 3: "cancelled"}
        assert await open_entries(store) == {3: 1}
        places = await store.database.read(lambda c: c.execute("SELECT message_id FROM jobs ORDER BY seq").fetchall())
        assert [row[0] for row in places] == [888, 999, 777]


async def test_an_erasure_after_the_backup_is_begun_again_for_all_that_it_took_in(tmp_path: Path) -> None:
    async def before(store: Store) -> None:
        await store.succeeded(1, user_id=100)
        await store.succeeded(2, user_id=101)
        no_hats = Preferences(negative_prompt="hats")
        await store.repositories.preferences.change(100, lambda _: no_hats, now=NOW)

    async def after(store: Store) -> None:
        records = store.repositories.privacy
        erasure = await records.begin(100, now=LATER)
        assert erasure is not None
        await records.remove(erasure, await records.content(erasure), now=LATER)
        await records.erased(erasure, now=LATER)
        await store.add(3, user_id=100, now=LATER)

    async with put_back(tmp_path, before, after) as (store, settled):
        records = store.repositories.privacy
        erasure = await records.to_do(100)

        assert settled.erasures == 1
        assert await records.open() == (100,)
        assert erasure is not None
        assert erasure.requested_at == LATER
        assert await store.scalar("SELECT COUNT(*) FROM preferences") == 0
        assert await store.scalar("SELECT COUNT(*) FROM jobs WHERE words_removed_at IS NULL AND user_id = 100") == 0
        assert await store.scalar("SELECT COUNT(*) FROM jobs WHERE words_removed_at IS NULL AND user_id = 101") == 1


async def test_an_erasure_that_the_backup_knows_is_not_begun_again(tmp_path: Path) -> None:
    async def before(store: Store) -> None:
        records = store.repositories.privacy
        await store.jobs.cancel((await store.add(1)).id, now=NOW)
        erasure = await records.begin(100, now=NOW)
        assert erasure is not None
        await records.remove(erasure, await records.content(erasure), now=NOW)
        await records.erased(erasure, now=NOW)
        await records.close(100, now=NOW)

    async with put_back(tmp_path, before, nothing) as (store, settled):
        assert settled.erasures == 0
        assert await store.repositories.privacy.open() == ()


async def test_blocks_and_their_ends_after_the_backup_hold_again(tmp_path: Path) -> None:
    def block(user_id: int, hours: int = 0) -> Block:
        at = NOW + timedelta(hours=hours)
        return Block(guild_id=200, user_id=user_id, reason=f"No, {hours}.", blocked_by=900, blocked_at=at)

    async def before(store: Store) -> None:
        await store.repositories.moderation.block(block(100))
        await store.repositories.moderation.block(block(101))

    async def after(store: Store) -> None:
        moderation = store.repositories.moderation
        await moderation.unblock(200, 100, by=901, now=LATER)
        await moderation.block(block(101, hours=1))  # another in its place
        await moderation.block(block(555, hours=1))

    async with put_back(tmp_path, before, after) as (store, settled):
        moderation = store.repositories.moderation
        found = {block.user_id: block.blocked_at for block in await moderation.blocks(200, limit=9, now=RESTORED)}
        assert found == {101: LATER, 555: LATER}
        assert settled.blocks == 4
        assert await store.scalar("SELECT lifted_by FROM blocks WHERE user_id = 100") == 901


async def test_pictures_that_were_removed_after_the_backup_go_again_with_their_files(tmp_path: Path) -> None:
    files = InMemoryImageStore()

    async def before(store: Store) -> None:
        for number in (1, 2, 3):
            for image in await store.jobs.images((await store.succeeded(number)).id):
                files.files[image.key] = b"came back with the pictures"

    async def after(store: Store) -> None:
        deleted, expired, _ = sorted(await store.outbox.due(now=LATER, limit=9), key=lambda entry: entry.created_at)
        for entry in (deleted, expired):
            await store.outbox.delivered(entry.job_id, channel_id=1, message_id=2, now=LATER)
        await store.jobs.mark_deleted(deleted.job_id, by=900, now=LATER)
        shelf = store.repositories.retention
        await shelf.remove(await shelf.expired(200, before=RESTORED, now=RESTORED, words=False), words=False, now=LATER)

    async with put_back(tmp_path, before, after, files=files) as (store, settled):
        left = await store.database.read(lambda c: c.execute("SELECT key FROM images").fetchall())
        assert settled.removed == 2
        assert set(files.files) == {row["key"] for row in left}
        assert len(files.files) == 1
        assert await store.scalar("SELECT COUNT(*) FROM jobs WHERE deleted_at IS NOT NULL") == 1


async def test_a_damaged_database_aside_is_told_and_hinders_nothing(tmp_path: Path) -> None:
    async def before(store: Store) -> None:
        await store.add(1)

    async with put_back(tmp_path, before, nothing, damaged=True) as (store, settled):
        assert await statuses(store) == {1: "cancelled"}
        assert set(settled.unread) == {"erasures", "blocks", "reports", "removals", "cards"}
        assert "cannot be read there" in settled.sentence


@pytest.mark.parametrize("broken", ["_adopt", "_wish_again", "_block_again"])
async def test_a_start_that_is_cut_off_is_done_again_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    path = begin_at(tmp_path / "pastel.db")
    async with Database.open(path) as database:
        await Store.over(database).add(1)
        await asyncio.to_thread(back_up, path, tmp_path / "backup.db")
    put_in_place(tmp_path / "backup.db", path, lambda: None, now=LATER)

    def cut_off(*_: object) -> None:
        raise KeyError("from the test")

    monkeypatch.setattr(f"bot.storage.restored.{broken}", cut_off)
    async with Database.open(path) as database:
        with pytest.raises(KeyError):
            await settle(database, InMemoryImageStore(), now=RESTORED)
    monkeypatch.undo()

    async with Database.open(path) as database:
        settled = await settle(database, InMemoryImageStore(), now=RESTORED)
        assert settled is not None
        assert await statuses(Store.over(database)) == {1: "cancelled"}
        assert await open_entries(Store.over(database)) == {1: 1}
        await database.read(assert_sound)
