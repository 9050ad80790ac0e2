from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.errors import DatabaseError, FolderError
from bot.storage.database import Database
from bot.storage.migrator import Migration, load_migrations, migrate
from tests.storage.first_schema import make
from tests.storage.samples import NOW, Store, assert_file_sound, assert_sound, listing

NEWEST = load_migrations()[-1].version
ADD_COLUMN = Migration(version=NEWEST + 1, sql="ALTER TABLE users ADD COLUMN locale TEXT NOT NULL DEFAULT 'en';")
REBUILD = Migration(
    version=NEWEST + 2,
    sql="""
    CREATE TABLE members (id INTEGER PRIMARY KEY, first_seen_at INTEGER NOT NULL, locale TEXT NOT NULL DEFAULT 'en') STRICT;
    INSERT INTO members SELECT id, first_seen_at, locale FROM users;
    DROP TABLE users;
    ALTER TABLE members RENAME TO users;
    """,
)
TABLES = ("guilds", "users", "jobs", "images", "outbox", "ledger", "meta")
LATER = (*load_migrations(), ADD_COLUMN, REBUILD)


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


async def filled(path: Path) -> None:
    """A database of this program with a few jobs."""
    async with Database.open(path) as database:
        store = Store.over(database)
        await store.jobs.cancel((await store.succeeded(1)).id, now=NOW)
        await store.add(2)


async def test_a_new_file_gets_the_newest_schema_and_no_backup(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "pastel.db"

    async with Database.open(path):
        pass

    assert query(path, "PRAGMA user_version") == [(load_migrations()[-1].version,)]
    assert listing(path.parent) == ["pastel.db"]


async def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    await filled(path)
    before = query(path, "SELECT * FROM jobs"), query(path, "SELECT * FROM sqlite_schema")

    async with Database.open(path):
        pass

    assert (query(path, "SELECT * FROM jobs"), query(path, "SELECT * FROM sqlite_schema")) == before
    assert listing(tmp_path) == ["pastel.db"]


async def test_the_oldest_schema_keeps_its_rows_up_to_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    make(path)
    columns = {table: [name for (name,) in query(path, f"SELECT name FROM pragma_table_info('{table}')")] for table in TABLES}
    kept = {table: f"SELECT {', '.join(names)} FROM {table} ORDER BY {names[0]}" for table, names in columns.items()}
    rows = {table: query(path, sql) for table, sql in kept.items()}

    async with Database.open(path, migrations=LATER) as database:
        await database.read(assert_sound)

    assert query(path, "PRAGMA user_version") == [(LATER[-1].version,)]
    assert set(query(path, "SELECT locale FROM users")) == {("en",)}
    assert {table: query(path, sql) for table, sql in kept.items()} == rows
    assert_file_sound(path)


async def test_an_old_file_is_copied_before_the_first_pending_step(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    make(path)
    before = query(path, "SELECT * FROM jobs")

    async with Database.open(path, migrations=LATER):
        pass

    backup = tmp_path / "pastel.db.schema-1.backup"
    assert listing(tmp_path) == [path.name, backup.name]
    assert query(backup, "PRAGMA user_version") == [(1,)]
    assert query(backup, "SELECT * FROM jobs") == before
    assert query(backup, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize(
    "broken",
    [
        "CREATE TABLE extra (id INTEGER) STRICT; SELECT nonsense;",
        "CREATE TABLE extra (id INTEGER) STRICT; DELETE FROM users;",  # leaves jobs without their member
    ],
)
async def test_a_step_that_fails_leaves_the_file_at_the_step_before(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "pastel.db"
    await filled(path)
    steps = (*load_migrations(), ADD_COLUMN, Migration(version=NEWEST + 2, sql=broken))

    with pytest.raises(DatabaseError):
        async with Database.open(path, migrations=steps):
            pass

    assert query(path, "PRAGMA user_version") == [(NEWEST + 1,)]
    assert query(path, "SELECT DISTINCT locale FROM users") == [("en",)]
    assert query(path, "SELECT name FROM sqlite_schema WHERE name = 'extra'") == []
    async with Database.open(path, migrations=LATER):
        pass
    assert_file_sound(path)


async def test_a_newer_file_is_refused_with_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    async with Database.open(path, migrations=LATER):
        pass

    with pytest.raises(
        DatabaseError, match=rf"pastel\.db was written by a newer Pastel \(schema {NEWEST + 2}, .* Update Pastel"
    ):
        async with Database.open(path):
            pass
    with pytest.raises(DatabaseError, match="newer Pastel"):
        await Database.examine(path)

    assert query(path, "PRAGMA user_version") == [(NEWEST + 2,)]


async def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (id INTEGER)")

    with pytest.raises(DatabaseError, match="another program"):
        async with Database.open(path):
            pass

    assert query(path, "SELECT name FROM sqlite_schema") == [("theirs",)]


def test_an_update_without_the_room_for_it_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    make(path)
    before = path.read_bytes()

    refusal = pytest.raises(FolderError, match=rf"schema 1 to {NEWEST} needs [\d.]+ MiB free .*; 0.0 are. Free some space")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection, refusal:
        migrate(connection, path, load_migrations(), free=lambda folder: 1000)

    assert path.read_bytes() == before
    assert listing(tmp_path) == ["pastel.db"]


async def test_an_update_says_what_it_does_and_a_new_file_says_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.storage.migrator.TOLD_EVERY", 0.0)
    monkeypatch.setattr("bot.storage.migrator.OPERATIONS", 10)
    caplog.set_level(logging.INFO, "bot.storage.migrator")
    path = tmp_path / "pastel.db"
    make(path)

    async with Database.open(tmp_path / "new.db"):
        assert [line for line in caplog.messages if "goes on" not in line] == []
    async with Database.open(path):
        pass

    told = "\n".join(caplog.messages)
    assert f"from schema 1 to {NEWEST}; a copy comes first" in told
    assert "the copy, 100 %" in told
    assert f"step {NEWEST - 1} of {NEWEST - 1} (schema {NEWEST})" in told
    assert f"step 1 of {NEWEST - 1} goes on" in told
    assert "The database is updated" in told


def test_migrations_are_numbered_without_gaps(tmp_path: Path) -> None:
    shipped = load_migrations()
    assert [migration.version for migration in shipped] == list(range(1, len(shipped) + 1))

    (tmp_path / "0001_first.sql").write_text("")
    (tmp_path / "0003_third.sql").write_text("")
    with pytest.raises(ValueError, match="0003_third"):
        load_migrations(tmp_path)
