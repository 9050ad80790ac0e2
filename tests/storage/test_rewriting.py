"""The file written anew while the bot serves: nothing is lost, whoever writes meanwhile and whatever cuts it off."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from bot.domain.delivery import DeliveryFault
from bot.errors import FolderError
from bot.storage import copying, rewriting
from bot.storage.database import Database
from tests.storage.samples import LEASE, NOW, REASON, Store, assert_file_sound, images, listing

OPEN = ["pastel.db", "pastel.db-shm", "pastel.db-wal"]


def compare(copy: sqlite3.Connection) -> None:
    """Run as the mark: the new file and the old one hold the same rows, and the same schema."""
    tables = [row["name"] for row in copy.execute("SELECT name FROM old.sqlite_schema WHERE type = 'table'").fetchall()]
    assert {"jobs", "images", "ledger", "sqlite_sequence"} <= set(tables)
    for table in tables:
        for one, other in (("main", "old"), ("old", "main")):
            sql = f"SELECT * FROM {one}.{table} EXCEPT SELECT * FROM {other}.{table}"
            assert copy.execute(sql).fetchall() == [], table
    schema = "SELECT type, name, tbl_name, sql FROM {}.sqlite_schema"
    assert set(copy.execute(schema.format("main"))) == set(copy.execute(schema.format("old")))


class Gate:
    """Holds a rewrite between its snapshot and the look at what changed since."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()
        monkeypatch.setattr(rewriting, "write_copy", self._write_copy)

    def _write_copy(self, path: Path, begin: Callable[[sqlite3.Connection], None]) -> None:
        copying.write_copy(path, begin)
        self.reached.set()
        self.go_on.wait(30)


async def everything_that_happens(store: Store) -> None:
    """Every kind of change: rows that come, change, change their key's neighbours, and go."""
    for number in range(100, 110):
        await store.add(number, user_id=number, guild_id=number)
    first = await store.claim()
    await store.jobs.finish(first.id, first.attempt, images(first, 4), now=NOW)
    await store.outbox.delivered(first.id, channel_id=1, message_id=2, now=NOW)
    await store.jobs.mark_deleted(first.id, by=first.origin.user_id, now=NOW)
    second = await store.claim()
    await store.jobs.extend_lease(second.id, second.attempt, lease_until=NOW + LEASE * 2)
    await store.jobs.fail(second.id, second.attempt, REASON, now=NOW)
    await store.outbox.retry(second.id, now=NOW, at=NOW + timedelta(seconds=9), fault=DeliveryFault.UNAVAILABLE)
    third = await store.claim()
    await store.jobs.put_back(third.id, third.attempt, aborted=True)
    await store.jobs.cancel(third.id, now=NOW)
    await store.grant(5, 900)
    await store.repositories.pauses.pause(101, by=1, now=NOW)
    await store.repositories.meta.set("a", "1")
    await store.repositories.meta.set("a", "2")
    with pytest.raises(LookupError):
        await store.database.transaction(_rolled_back)
    await store.database.transaction(lambda connection: connection.execute("DELETE FROM meta WHERE name = 'gone'").rowcount)


def _rolled_back(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO meta (name, value) VALUES ('never', '1')")
    raise LookupError


async def test_what_is_written_during_a_rewrite_is_in_the_new_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    for number in range(1, 40):
        await store.add(number)
    await store.repositories.meta.set("gone", "1")
    before = store.database.path.stat().st_ino
    rewrite = asyncio.create_task(store.database.rewrite(compare))
    await asyncio.to_thread(gate.reached.wait, 30)

    await everything_that_happens(store)
    gate.go_on.set()
    await rewrite

    assert store.database.path.stat().st_ino != before
    assert (await store.jobs.counts()) == {"queued": 46, "cancelled": 1, "delivered": 1, "failed": 1}
    assert await store.repositories.meta.get("a") == "2"
    assert await store.repositories.meta.get("gone") is None
    assert (await store.add(200)).id  # everything goes on, triggers and all
    assert listing(store.database.path.parent) == OPEN
    await store.database.close()
    assert_file_sound(store.database.path)


async def test_every_table_has_a_key_by_which_a_changed_row_is_found_in_the_copy(store: Store) -> None:
    """Not the hidden number of a row: VACUUM may change it."""

    def keys(connection: sqlite3.Connection) -> dict[str, list[str]]:
        tables = [row["name"] for row in connection.execute(copying.TABLES).fetchall()]
        return {table: [row["name"] for row in connection.execute(copying.KEY, (table,)).fetchall()] for table in tables}

    assert [table for table, key in (await store.database.read(keys)).items() if not key] == []


@pytest.mark.slow
async def test_nobody_notices_a_rewrite_under_a_load_of_readers_and_writers(store: Store) -> None:
    for number in range(1, 200):
        await store.add(number)
    done = asyncio.Event()
    written: list[int] = []

    async def write() -> None:
        while not done.is_set():
            number = 1000 + len(written)
            await store.add(number)
            written.append(number)

    async def read() -> None:
        while not done.is_set():
            assert (await store.jobs.waiting(100, limit=1)).total > 0
            assert await store.jobs.backlog() > 0

    tasks = [asyncio.create_task(work) for work in (write(), read(), read())]
    for _ in range(3):
        await store.database.rewrite(compare)
    done.set()
    await asyncio.gather(*tasks)

    assert written
    assert await store.jobs.backlog() == 199 + len(written)


async def test_a_file_that_another_program_has_open_stays_as_it_was(store: Store) -> None:
    job = await store.add(1)
    other = sqlite3.connect(store.database.path, isolation_level=None)
    other.execute("SELECT * FROM jobs").fetchone()
    before = store.database.path.stat().st_ino

    with pytest.raises(FolderError, match="Another program"):
        await store.database.rewrite(compare)

    assert store.database.path.stat().st_ino == before
    other.close()
    assert await store.get(job.id) == job
    assert (await store.claim()).id == job.id
    assert listing(store.database.path.parent) == OPEN
    await store.database.rewrite(compare)


IDLE_SHELL = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0)
print("open", flush=True)
sys.stdin.readline()
try:
    print(connection.execute("SELECT COUNT(*) FROM jobs").fetchone(), flush=True)
except sqlite3.OperationalError as error:
    print(error, flush=True)
connection.close()
"""


async def test_a_program_that_opened_the_file_before_does_not_take_the_log_of_the_new_one_for_its_own(store: Store) -> None:
    await store.add(1)
    pipe = asyncio.subprocess.PIPE
    path = store.database.path
    shell = await asyncio.create_subprocess_exec(sys.executable, "-c", IDLE_SHELL, str(path), stdin=pipe, stdout=pipe)
    assert shell.stdout is not None
    assert await shell.stdout.readline() == b"open\n"  # it has looked into nothing yet, so nothing tells that it is there

    await store.database.rewrite(compare)
    job = await store.add(2)
    said, _ = await shell.communicate(b"go on\n")

    assert said == b"database is locked\n"
    assert listing(path.parent) == OPEN
    await store.database.fold_log()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM jobs WHERE id = ?", (job.id,)).fetchone() == (1,)


async def test_a_full_disk_leaves_everything_as_it_was(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await store.add(1)

    def full(path: Path, _: Callable[[sqlite3.Connection], None]) -> None:
        copying.copy_of(path).write_bytes(b"half of it")
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(rewriting, "write_copy", full)

    with pytest.raises(FolderError, match="full"):
        await store.database.rewrite(compare)

    assert listing(store.database.path.parent) == OPEN
    assert (await store.claim()).id == job.id


async def test_closing_ends_a_rewrite_and_the_next_start_finds_the_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    async with Database.open(tmp_path / "pastel.db") as database:
        await Store.over(database).add(1)
        rewrite = asyncio.create_task(database.rewrite(compare))
        await asyncio.to_thread(gate.reached.wait, 30)
        gate.go_on.set()
    await asyncio.gather(rewrite, return_exceptions=True)

    assert listing(tmp_path) == ["pastel.db"]
    assert_file_sound(tmp_path / "pastel.db")


async def test_a_start_removes_what_a_rewrite_left_that_was_killed(tmp_path: Path) -> None:
    for file in copying.leftovers(tmp_path / "pastel.db"):
        file.write_bytes(b"somebody's words")

    async with Database.open(tmp_path / "pastel.db"):
        assert listing(tmp_path) == OPEN


async def test_too_many_changes_at_once_end_a_rewrite_and_not_the_writes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "MOST_CHANGES", 5)
    gate = Gate(monkeypatch)
    rewrite = asyncio.create_task(store.database.rewrite(compare))
    await asyncio.to_thread(gate.reached.wait, 30)
    for number in range(1, 10):
        await store.add(number)
    gate.go_on.set()

    with pytest.raises(FolderError, match="changes faster"):
        await rewrite

    assert await store.jobs.backlog() == 9
    await store.database.rewrite(compare)


async def test_the_log_of_a_large_transaction_does_not_stay_large(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    log = store.database.path.with_name("pastel.db-wal")

    def write(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO meta (name, value) VALUES ('large', ?)", ("x" * 40_000_000,))

    await store.database.transaction(write)
    assert log.stat().st_size > 32_000_000

    await store.database.transaction(lambda connection: connection.execute("DELETE FROM meta WHERE name = 'large'").rowcount)
    await store.repositories.meta.set("a", "1")
    await store.repositories.meta.set("a", "2")

    assert log.stat().st_size <= 16 * 1024 * 1024
