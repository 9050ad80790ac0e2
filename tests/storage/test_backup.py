"""A backup is whole, checked, and made beside whoever writes; or it is not there."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.errors import DatabaseError, FolderError
from bot.storage.backup import BACKUP_AT, check_restorable, new_backup
from bot.storage.database import Database
from bot.storage.log_marks import check_log
from bot.storage.picture_copies import copy_pictures
from tests.empty_database import begin_at
from tests.storage.samples import NOW, Store, assert_file_sound, listing, memory_folder
from tests.storage.test_damage import without_rights
from tests.storage.test_log_marks import leave


def back_up(path: Path, target: Path) -> Path:
    with new_backup(path, target, now=NOW):
        pass
    return target


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture
async def sound(tmp_path: Path) -> Path:
    """A closed database with some jobs."""
    path = begin_at(tmp_path / "pastel.db")
    async with Database.open(path) as database:
        store = Store.over(database)
        for number in range(20):
            await store.succeeded(number, prompt="long " * 100)
    return path


async def test_a_backup_beside_a_writer_is_one_state_and_holds_what_was_acknowledged_before(tmp_path: Path) -> None:
    path, target = begin_at(tmp_path / "pastel.db"), tmp_path / "backup.db"
    async with Database.open(path) as database:
        store = Store.over(database)
        for number in range(10):
            await store.succeeded(number)
        acknowledged, stop = [10], asyncio.Event()

        async def write() -> None:
            while not stop.is_set():
                await store.succeeded(acknowledged[-1])
                acknowledged.append(acknowledged[-1] + 1)

        writer = asyncio.create_task(write())
        await asyncio.to_thread(back_up, path, target)
        during = len(acknowledged)
        stop.set()
        await writer

    assert_file_sound(target)
    assert query(target, "SELECT COUNT(*) >= 10 AND COUNT(*) <= ? FROM jobs".replace("?", str(10 + during))) == [(1,)]
    assert query(target, f"SELECT name FROM meta WHERE name = '{BACKUP_AT}'") == [(BACKUP_AT,)]
    assert target.stat().st_mode & 0o077 == 0
    assert listing(tmp_path) == ["backup.db", "pastel.db"]
    check_restorable(target)


async def test_a_backup_does_not_take_the_log_of_what_it_was_made_of(tmp_path: Path) -> None:
    path = begin_at(tmp_path / "pastel.db")
    async with Database.open(path) as database:
        await Store.over(database).add(1)
        await asyncio.to_thread(back_up, path, tmp_path / "backup.db")
        killed = leave(path, tmp_path / "killed")
    check_log(killed)
    (tmp_path / "backup.db").replace(killed)

    with pytest.raises(DatabaseError, match="is not the log"):
        check_log(killed)


def test_nothing_is_overwritten(sound: Path, tmp_path: Path) -> None:
    (tmp_path / "backup.db").write_bytes(b"last night's")

    with pytest.raises(FolderError, match=r"backup\.db is there already"):
        back_up(sound, tmp_path / "backup.db")

    assert (tmp_path / "backup.db").read_bytes() == b"last night's"
    assert listing(tmp_path) == ["backup.db", "pastel.db"]


def test_a_full_place_is_named_and_keeps_nothing(sound: Path, tmp_path: Path) -> None:
    before = sound.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(FolderError) as caught:
            back_up(sound, tmp_path / "backup.db")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert str(tmp_path / "backup.db") in str(caught.value)
    assert len(caught.value.lines) == 1
    assert listing(tmp_path) == ["pastel.db"]
    assert sound.read_bytes() == before


@pytest.mark.parametrize("mode", [0o555, 0o500], ids=["that may not be written", "that may not be looked into"])
def test_a_place_of_somebody_elses_is_named(tmp_path: Path, mode: int) -> None:
    with memory_folder() as folder:
        (folder / "closed").mkdir()
        (folder / "closed").chmod(mode)  # whatever the umask is
        path = begin_at(folder / "pastel.db")
        path.chmod(0o666)
        folder.chmod(0o777)
        with without_rights(), pytest.raises(FolderError, match=r"closed/backup\.db cannot be written"):
            back_up(path, folder / "closed" / "backup.db")

        assert list((folder / "closed").iterdir()) == []


@pytest.mark.parametrize(("target", "sentence"), [("none/backup.db", "does not exist"), (".", "is there already")])
def test_a_place_that_is_none_is_named(sound: Path, tmp_path: Path, target: str, sentence: str) -> None:
    with pytest.raises(FolderError, match=sentence):
        back_up(sound, tmp_path / target)


def test_without_a_database_there_is_nothing_to_copy(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="nothing to copy"):
        back_up(tmp_path / "pastel.db", tmp_path / "backup.db")

    assert listing(tmp_path) == []


def test_a_ledger_that_does_not_add_up_gives_no_backup(sound: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(sound, isolation_level=None)) as connection:
        connection.execute("DELETE FROM ledger WHERE id = 3")

    with pytest.raises(DatabaseError, match="does not add up"):
        back_up(sound, tmp_path / "backup.db")

    assert listing(tmp_path) == ["pastel.db"]


def test_a_damaged_database_gives_no_backup(sound: Path, tmp_path: Path) -> None:
    os.truncate(sound, sound.stat().st_size // 2)

    with pytest.raises(DatabaseError, match="damaged"):
        back_up(sound, tmp_path / "backup.db")

    assert listing(tmp_path) == ["pastel.db"]


def test_pictures_are_copied_shared_with_earlier_ones_and_missed(sound: Path, tmp_path: Path) -> None:
    images, first, second = tmp_path / "images", tmp_path / "first", tmp_path / "second"
    keys = [str(key) for (key,) in query(sound, "SELECT key FROM images ORDER BY key")]
    (images / keys[0]).parent.mkdir(parents=True)
    for key in keys[:-1]:
        (images / key).write_bytes(key.encode())
    (images / "2026/11/0123456789abcdef-1-0.png").write_bytes(b"nobody knows it")

    copied = copy_pictures(sound, images, first)
    assert (copied.written, copied.shared, copied.missing) == (len(keys) - 1, 0, 1)
    (images / keys[-1]).write_bytes(b"came later")
    again = copy_pictures(sound, images, second, earlier=[first])

    assert (again.written, again.shared, again.missing) == (1, len(keys) - 1, 0)
    assert sorted(str(file.relative_to(second)) for file in second.rglob("*.png")) == keys
    assert (second / keys[0]).samefile(first / keys[0])
    assert (second / keys[0]).read_bytes() == keys[0].encode()


def test_a_key_that_leads_out_of_the_folder_is_not_followed(sound: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(sound, isolation_level=None)) as connection:
        connection.execute("UPDATE images SET key = '../pastel.db' WHERE key = (SELECT MIN(key) FROM images)")

    copied = copy_pictures(sound, tmp_path / "images", tmp_path / "to" / "pictures")

    assert (copied.found, copied.missing) == (0, 19)
    assert not (tmp_path / "to" / "pastel.db").exists()
