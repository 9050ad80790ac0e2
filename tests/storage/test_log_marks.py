"""A log is replayed over the file that it was written over, and over no other."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from itertools import takewhile
from pathlib import Path

import pytest

from bot.errors import DatabaseError
from bot.storage.database import Database
from bot.storage.log_marks import files_of, has_log
from bot.storage.migrator import load_migrations
from tests.empty_database import begin_at
from tests.storage.samples import Store, assert_file_sound

BEFORE_MARKS = tuple(takewhile(lambda step: "log_mark" not in step.sql, load_migrations()))
FORGED = "pastel-log:0123456789abcdef:fedcba9876543210, 1girl"


def leave(path: Path, folder: Path) -> Path:
    """Copy file and log while somebody has them open: what kill -9 leaves at this moment."""
    folder.mkdir(exist_ok=True)
    for file in files_of(path)[:2]:
        shutil.copy(file, folder)
    return folder / path.name


async def jobs_in(path: Path) -> int:
    async with Database.open(path) as database:
        return await database.read(lambda connection: connection.execute("SELECT COUNT(*) FROM jobs").fetchone()[0])


async def refused(path: Path) -> str:
    """The one line, when file and log are as they were after it."""
    before = [file.read_bytes() for file in files_of(path)[:2] if file.exists()]
    for attempt in (jobs_in, Database.examine):
        with pytest.raises(DatabaseError) as caught:
            await attempt(path)
    assert [file.read_bytes() for file in files_of(path)[:2] if file.exists()] == before
    return str(caught.value)


async def life(path: Path, first: int, last: int, *, fold: bool = False, **values: object) -> Path:
    """Open the database, add jobs and leave it as kill -9 does; returns where that state is. `path` itself is closed well."""
    async with Database.open(begin_at(path)) as database:
        store = Store.over(database)
        for number in range(first, last):
            await store.add(number, **values)
            if fold:
                await database.fold_log()
        if fold:
            await store.add(last, **values)
        return await asyncio.to_thread(leave, path, path.parent / f"killed-{last}")


async def test_what_kill_9_leaves_is_replayed(tmp_path: Path) -> None:
    killed = await life(tmp_path / "pastel.db", 1, 6)
    assert has_log(killed)
    await Database.examine(killed)

    assert await jobs_in(killed) == 5
    assert_file_sound(killed)


async def test_a_log_that_was_folded_and_written_anew_is_replayed(tmp_path: Path) -> None:
    assert await jobs_in(await life(tmp_path / "pastel.db", 1, 6, fold=True)) == 6


async def test_a_log_whose_folding_was_cut_off_is_replayed(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    async with Database.open(begin_at(path)) as database:
        store = Store.over(database)
        for number in range(3):
            await store.add(number)
        await database._writer.run(lambda connection: connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone())
        killed = leave(path, tmp_path / "killed")
    await Database.examine(killed)

    assert await jobs_in(killed) == 3
    assert_file_sound(killed)


async def test_the_log_of_the_life_in_which_an_update_came_is_replayed(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    async with Database.open(path, migrations=BEFORE_MARKS):
        pass
    async with Database.open(path) as database:
        await Store.over(database).add(1)
        killed = leave(path, tmp_path / "killed")

    assert await jobs_in(killed) == 1


async def test_a_cold_copy_of_an_earlier_life_is_not_opened_with_a_later_log(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    await life(path, 1, 30)
    copy = shutil.copy(path, tmp_path / "copy.db")
    killed = await life(path, 30, 60, fold=True)
    shutil.copy(copy, killed)

    line = await refused(killed)

    for named in ("pastel.db", "pastel.db-wal", "pastel.db-shm", "python -m bot restore FILE"):
        assert named in line
    files_of(killed)[1].unlink()
    assert await jobs_in(killed) == 29


async def test_a_copy_of_the_file_alone_from_earlier_in_the_same_life_is_not_opened_with_the_log(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    async with Database.open(begin_at(path)) as database:
        store = Store.over(database)
        await store.add(1)
        await database.fold_log()
        copy = shutil.copy(path, tmp_path / "copy.db")
        await store.add(2)
        await database.fold_log()
        await store.add(3)
        killed = leave(path, tmp_path / "killed")
    shutil.copy(copy, killed)

    assert "is not the log" in await refused(killed)


async def test_an_empty_or_missing_file_does_not_cost_its_log(tmp_path: Path) -> None:
    killed = await life(tmp_path / "pastel.db", 1, 4)
    whole = killed.read_bytes()
    killed.write_bytes(b"")
    assert "is not the log" in await refused(killed)
    killed.unlink()
    with pytest.raises(DatabaseError, match="is not the log"):
        await jobs_in(killed)
    killed.write_bytes(whole)

    assert await jobs_in(killed) == 3


async def test_what_members_write_is_no_mark(tmp_path: Path) -> None:
    killed = await life(tmp_path / "pastel.db", 1, 4, fold=True, prompt=FORGED)
    assert FORGED.encode() in files_of(killed)[1].read_bytes()

    assert await jobs_in(killed) == 4


async def test_a_log_of_before_there_were_marks_is_not_folded_into_a_sound_file_that_it_breaks(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    async with Database.open(path, migrations=BEFORE_MARKS):
        pass
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        for number in range(400):
            connection.execute("INSERT INTO meta VALUES (?, ?)", (f"name {number}", "value" * 100))
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(path, tmp_path / "copy.db")
        connection.execute("DELETE FROM meta WHERE name < 'name 300'")
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("INSERT INTO meta VALUES ('more', ?)", ("value" * 1000,))
        connection.execute("UPDATE meta SET name = name || '!'")
        killed = leave(path, tmp_path / "killed")
    shutil.copy(tmp_path / "copy.db", killed)

    assert "is not the log" in await refused(killed)


async def test_a_damaged_file_keeps_its_log(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    await life(path, 1, 60)
    killed = await life(path, 60, 63)
    with killed.open("r+b") as file:
        file.seek(10 * 4096)
        file.write(b"\xa5" * 4096 * 10)

    assert "is damaged" in await refused(killed)


async def test_a_transaction_that_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    async with Database.open(begin_at(path)) as database:
        await database.transaction(lambda connection: connection.execute("DELETE FROM meta WHERE name = ''").rowcount)

        assert not has_log(path)
