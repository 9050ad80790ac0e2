"""Broken files and full disks: a clear line for the operator, and nothing that was accepted is lost."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bot.errors import DatabaseError, DiskFullError, FolderError, OperatorError
from bot.storage.database import Database
from bot.storage.faults import operator_error
from tests.storage.samples import Store, assert_file_sound, assert_sound, memory_folder

JOBS = 60
NOBODY = 65534
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed database with JOBS jobs."""

    async def fill(path: Path) -> None:
        async with Database.open(path) as database:
            store = Store.over(database)
            for number in range(JOBS):
                await store.succeeded(number)

    path = tmp_path_factory.mktemp("sound") / "pastel.db"
    asyncio.run(fill(path))
    return path


@pytest.fixture
def path(sound: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copy(sound, tmp_path / "pastel.db"))


async def opening(path: Path) -> bool:
    """Open `path` and ask it something."""
    async with Database.open(path) as database:
        return await database.answers()


def refusal(path: Path) -> OperatorError:
    """The error of opening `path`; the line names the file, and no thread is left."""
    with pytest.raises(OperatorError) as caught:
        asyncio.run(opening(path))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("database-")]
    (line,) = caught.value.lines
    assert str(path) in line
    assert "\n" not in line
    return caught.value


@contextmanager
def without_rights() -> Generator[None]:
    """root may write everywhere, so become somebody who may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_text("Dear diary, " * 1_000)

    error = refusal(path)

    assert isinstance(error, DatabaseError)
    for named in ("Put a backup in its place", "python -m bot restore FILE", "pastel.db, pastel.db-wal and pastel.db-shm"):
        assert named in str(error)
    assert path.read_text().startswith("Dear diary")


def test_an_empty_file_is_a_new_database(path: Path) -> None:
    path.write_bytes(b"")

    assert asyncio.run(opening(path))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_database_is_refused(path: Path, share: float) -> None:
    os.truncate(path, int(path.stat().st_size * share))

    assert isinstance(refusal(path), DatabaseError)
    with pytest.raises(DatabaseError, match="damaged"):
        asyncio.run(Database.examine(path))


@pytest.mark.parametrize("first_page", [1, 4, 10])
def test_garbled_pages_are_refused(path: Path, first_page: int) -> None:
    with path.open("r+b") as file:
        file.seek(first_page * 4096)
        file.write(random.Random(first_page).randbytes(3 * 4096))

    assert isinstance(refusal(path), DatabaseError)


def test_a_schema_that_is_no_longer_text_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'CREATE TABLE "jobs" (', b'CREATE TABLE "jobs" \xff'))

    assert isinstance(refusal(path), DatabaseError)


@pytest.mark.slow
def test_a_flipped_byte_is_refused_or_harms_nothing(sound: Path, tmp_path: Path) -> None:
    chance, data = random.Random(14), sound.read_bytes()
    path = tmp_path / "pastel.db"
    refused = 0
    for number in range(150):
        broken = bytearray(data)
        broken[chance.randrange(100 if number % 3 == 0 else len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        try:
            assert asyncio.run(opening(path))
        except OperatorError:
            refused += 1

    assert refused > 10


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    path.mkdir()

    assert isinstance(refusal(path), FolderError)


def test_a_path_through_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert isinstance(refusal(tmp_path / "file" / "pastel.db"), FolderError)


@pytest.mark.parametrize("what", ["new file", "old file"])
def test_a_read_only_folder_is_named(what: str, sound: Path) -> None:
    with memory_folder() as folder:
        path = folder / "pastel.db"
        if what == "old file":
            shutil.copy(sound, path)
            path.chmod(0o444)
        folder.chmod(0o555)
        try:
            with without_rights():
                error = refusal(path)
        finally:
            folder.chmod(0o755)

    assert isinstance(error, FolderError)
    assert "write access" in str(error)


def test_a_file_that_another_program_keeps_locked_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.storage.connection.BUSY_SECONDS", 0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")

        assert "Another program keeps" in str(refusal(path))


def test_a_sound_file_passes_the_doctor_unchanged(path: Path) -> None:
    before = path.read_bytes()

    asyncio.run(Database.examine(path))

    assert path.read_bytes() == before


async def test_a_missing_file_is_not_made_by_the_doctor(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="missing"):
        await Database.examine(tmp_path / "missing.db")

    assert not (tmp_path / "missing.db").exists()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_FULL, DiskFullError),
        (sqlite3.SQLITE_IOERR_WRITE, FolderError),
        (sqlite3.SQLITE_READONLY, FolderError),
        (sqlite3.SQLITE_CANTOPEN, FolderError),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, FolderError),
        (sqlite3.SQLITE_CORRUPT_VTAB, DatabaseError),
        (sqlite3.SQLITE_NOTADB, DatabaseError),
        (sqlite3.SQLITE_CONSTRAINT_CHECK, type(None)),
        (sqlite3.SQLITE_ERROR, type(None)),
    ],
)
def test_only_what_the_operator_can_cure_is_translated(code: int, kind: type) -> None:
    error = sqlite3.OperationalError("detail")
    error.sqlite_errorcode = code

    assert type(operator_error(error, Path("pastel.db"))) is kind


async def test_a_full_database_refuses_and_goes_on_once_there_is_space(store: Store) -> None:
    await store.add(0)
    pages = await store.scalar("PRAGMA page_count")
    await store.database.transaction(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    accepted, refused = {0}, 0
    for number in range(1, 200):
        try:
            await store.add(number, prompt="long " * 300)
        except FolderError as error:
            assert "full" in str(error)  # noqa: PT017  # some calls succeed
            refused += 1
        else:
            accepted.add(number)
    assert refused > 100
    await store.database.read(assert_sound)

    await store.database.transaction(lambda connection: connection.execute("PRAGMA max_page_count = 100000").fetchone())

    await store.add(1_000)
    rows = await store.database.read(lambda connection: connection.execute("SELECT interaction_id FROM jobs").fetchall())
    assert {row[0] for row in rows} == accepted | {1_000}


FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from bot.errors import FolderError
from bot.storage.database import Database
from tests.storage.samples import Store, NOW, images

async def main():
    refused = 0
    async with Database.open(Path(sys.argv[1])) as database:
        store = Store.over(database)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
        for number in range(400):
            try:
                job = await store.add(number, prompt="long " * 300)
                print(job.id, "queued", flush=True)
                job = await store.claim()
                assert await store.jobs.finish(job.id, job.attempt, images(job), now=NOW)
                print(job.id, "succeeded", flush=True)
            except FolderError:
                refused += 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await store.add(1000)
    print(refused)

asyncio.run(main())
"""


@pytest.mark.parametrize("limit", [150_000, 400_000])
def test_a_full_disk_loses_nothing_that_was_accepted(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "pastel.db"

    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), str(limit)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    *acknowledged, refused = done.stdout.splitlines()
    assert int(refused) > 100
    assert_file_sound(path)
    with closing(sqlite3.connect(path)) as connection:
        found = dict(connection.execute("SELECT id, status FROM jobs").fetchall())
    for line in acknowledged:
        job_id, status = line.split()
        assert found[job_id] in ({"succeeded"} if status == "succeeded" else {"queued", "running", "succeeded"})
