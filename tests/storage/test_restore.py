"""A backup takes the place of the database with all that belongs to it, or nothing is changed."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from bot.errors import DatabaseError, FolderError, OperatorError
from bot.storage.database import Database
from bot.storage.log_marks import check_log
from bot.storage.migrator import load_migrations
from bot.storage.restore import is_decided, moved_aside, put_in_place
from tests.empty_database import begin_at
from tests.storage.samples import NOW, Store, assert_file_sound, listing
from tests.storage.test_backup import back_up
from tests.storage.test_log_marks import jobs_in, leave

NEWEST = load_migrations()[-1].version
OLD, NEW = 5, 2  # jobs in the database that is there, and in the backup


class Killed(BaseException):
    """Raised where a process would be gone."""


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A database that kill -9 left with its log, and a backup of an earlier state in `backup.db` above it."""
    source = begin_at(tmp_path / "source" / "pastel.db")
    async with Database.open(source) as database:
        store = Store.over(database)
        for number in range(OLD):
            if number == NEW:
                await asyncio.to_thread(back_up, source, tmp_path / "backup.db")
            await store.add(number)
        return leave(source, tmp_path / "data")


def restore(path: Path) -> Path | None:
    return put_in_place(path.parent.parent / "backup.db", path, lambda: None, now=NOW)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


async def test_the_backup_is_in_place_and_what_was_there_is_whole_beside_it(path: Path) -> None:
    before = contents(path.parent)

    aside = restore(path)

    assert aside == path.parent / "before-restore-20261123-120000"
    assert contents(aside) == before
    assert listing(path.parent) == [aside.name, "pastel.db"]
    assert await jobs_in(path) == NEW
    assert await jobs_in(aside / "pastel.db") == OLD


async def test_a_second_restore_in_the_same_second_keeps_the_first_ones_files(path: Path) -> None:
    first, second = restore(path), restore(path)

    assert first != second
    assert len(moved_aside(path)) == 2
    assert await jobs_in(path) == NEW


async def test_into_an_empty_folder_nothing_is_moved(path: Path, tmp_path: Path) -> None:
    place = tmp_path / "new" / "pastel.db"
    place.parent.mkdir()

    assert put_in_place(tmp_path / "backup.db", place, lambda: None, now=NOW) is None
    assert listing(place.parent) == ["pastel.db"]
    assert await jobs_in(place) == NEW


async def test_a_kill_between_any_two_steps_leaves_the_old_state_or_the_new(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, seen = Path.rename, set[int]()
    for steps in range(20):
        data = tmp_path / f"life-{steps}"
        shutil.copytree(path.parent, data)
        left = steps

        def killed_at(file: Path, target: Path) -> Path:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return rename(file, target)

        monkeypatch.setattr(Path, "rename", killed_at)
        try:
            put_in_place(tmp_path / "backup.db", data / "pastel.db", lambda: None, now=NOW)
        except Killed:
            was_decided = is_decided(data / "pastel.db")
        else:
            break
        finally:
            monkeypatch.setattr(Path, "rename", rename)
        found = await jobs_in(data / "pastel.db")
        seen.add(found)
        assert found == (NEW if was_decided else OLD)
        assert_file_sound(data / "pastel.db")
        assert [name for name in listing(data) if not name.startswith("before-restore-")] == ["pastel.db"]
        assert [await jobs_in(old) for old in moved_aside(data / "pastel.db")] == ([OLD] if was_decided else [])
    else:
        pytest.fail("it never came to its end")
    assert steps >= 4, "the old file, its log, the decision and the new name are four renames"
    assert seen == {OLD, NEW}


async def test_a_log_beside_the_file_that_is_put_back_belongs_to_it(path: Path, tmp_path: Path) -> None:
    """So that what was moved aside can be put back as it is."""
    aside = restore(path)
    assert aside is not None

    put_in_place(aside / "pastel.db", path, lambda: None, now=NOW + timedelta(hours=1))

    assert await jobs_in(path) == OLD
    assert sorted(file.name for file in aside.iterdir() if file.suffix != ".db-shm") == ["pastel.db", "pastel.db-wal"]
    check_log(aside / "pastel.db")


def nothing(file: Path) -> None:
    file.unlink()


def empty(file: Path) -> None:
    file.write_bytes(b"")


def words(file: Path) -> None:
    file.write_text("Dear diary, " * 1000)


def half(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def garbled(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(5 * 4096)
        opened.write(random.Random(1).randbytes(20 * 4096))


def another_programs(file: Path) -> None:
    file.unlink()
    run(file, "CREATE TABLE theirs (id INTEGER)")


def newer(file: Path) -> None:
    run(file, f"PRAGMA user_version = {NEWEST + 1}")


def unbalanced(file: Path) -> None:
    run(file, "DELETE FROM ledger WHERE id = 1")


def with_a_foreign_log(file: Path) -> None:
    shutil.copy(file.parent / "data" / "pastel.db-wal", file.with_name("backup.db-wal"))


def run(file: Path, sql: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(sql)


BAD_FILES = [
    (nothing, FolderError, "There is no file"),
    (empty, DatabaseError, "is no database"),
    (words, DatabaseError, "is no database"),
    (half, DatabaseError, "is damaged"),
    (garbled, DatabaseError, "is damaged"),
    (another_programs, DatabaseError, "another program"),
    (newer, DatabaseError, f"newer Pastel .schema {NEWEST + 1}, this one knows {NEWEST}.. Update Pastel"),
    (unbalanced, DatabaseError, "does not add up"),
    (with_a_foreign_log, DatabaseError, "is not the log"),
]


@pytest.mark.parametrize(("spoil", "kind", "sentence"), BAD_FILES, ids=[row[0].__name__ for row in BAD_FILES])
def test_a_file_that_cannot_be_put_back_changes_nothing(
    path: Path, spoil: Callable[[Path], None], kind: type[OperatorError], sentence: str
) -> None:
    spoil(path.parent.parent / "backup.db")
    before = contents(path.parent)

    with pytest.raises(kind, match=sentence) as caught:
        restore(path)

    assert contents(path.parent) == before
    assert len(caught.value.lines) == 1
    assert "backup.db" in str(caught.value)


def test_the_database_itself_is_no_backup(path: Path) -> None:
    before = contents(path.parent)

    with pytest.raises(FolderError, match="is the database itself"):
        put_in_place(path, path, lambda: None, now=NOW)

    assert contents(path.parent) == before


def test_what_cannot_be_brought_along_changes_nothing(path: Path) -> None:
    before = contents(path.parent)

    def fail() -> None:
        raise FolderError("The pictures do not fit.")

    with pytest.raises(FolderError, match="do not fit"):
        put_in_place(path.parent.parent / "backup.db", path, fail, now=NOW)

    assert contents(path.parent) == before
