"""Brings a database file to the newest schema: numbered SQL files, forward only, counted in PRAGMA user_version."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bot.errors import DatabaseError
from bot.storage.private_files import make_private_file

MIGRATIONS_FOLDER = Path(__file__).parent / "migrations"
APPLICATION_ID = 0x50617374  # as 0001_initial.sql sets it

_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step; `version` is the schema's number after it, from 1 without gaps."""

    version: int
    sql: str


def load_migrations(folder: Path = MIGRATIONS_FOLDER) -> tuple[Migration, ...]:
    """Read `NNNN_name.sql` in order. Raises ValueError on a strange name or a gap: a fault of the program, not of its use."""
    migrations: list[Migration] = []
    for version, file in enumerate(sorted(folder.glob("*.sql")), start=1):
        match = _FILE_NAME.fullmatch(file.name)
        if match is None or int(match[1]) != version:
            raise ValueError(f"{file.name} should be {version:04}_name.sql")
        migrations.append(Migration(version=version, sql=file.read_text(encoding="utf-8")))
    return tuple(migrations)


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    """Run what is pending, each step in one transaction; an old file is copied beside itself first.

    Runs on the connection's thread. Raises DatabaseError for a file of another program or of a newer Pastel.
    """
    version = schema_version(connection, path, newest=migrations[-1].version)
    pending = [migration for migration in migrations if migration.version > version]
    if pending and version:
        back_up(connection, path.with_name(f"{path.name}.schema-{version}.backup"))
    # A table can only be rebuilt while its references are not enforced (sqlite.org/lang_altertable.html, section 7),
    # and the switch works outside of transactions only.
    connection.execute("PRAGMA foreign_keys = OFF")
    for migration in pending:
        _run(connection, migration)
    connection.execute("PRAGMA foreign_keys = ON")


def schema_version(connection: sqlite3.Connection, path: Path, *, newest: int) -> int:
    """The file's version, 0 when it is empty. Raises DatabaseError for a file of another program or of a newer Pastel."""
    application_id: int = connection.execute("PRAGMA application_id").fetchone()[0]
    objects: int = connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()[0]
    if objects and application_id != APPLICATION_ID:
        raise DatabaseError(f"{path} is a database of another program. Move it away, or set DATA_DIR to another folder.")
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > newest:
        raise DatabaseError(
            f"The database {path} was written by a newer Pastel (schema {version}, this one knows {newest}). "
            "Update Pastel, or put an older backup in its place."
        )
    return version


def back_up(connection: sqlite3.Connection, target: Path) -> None:
    """Copy the database to `target`, whole or not at all. Runs on the connection's thread."""
    partial = target.with_name(f"{target.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        make_private_file(partial)
        with closing(sqlite3.connect(partial, isolation_level=None)) as copy:
            connection.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a WAL beside it
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _run(connection: sqlite3.Connection, migration: Migration) -> None:
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{migration.sql}\nPRAGMA user_version = {migration.version};")
        dangling = connection.execute("PRAGMA foreign_key_check").fetchall()
        if dangling:
            raise sqlite3.IntegrityError(f"migration {migration.version} leaves {len(dangling)} dangling references")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
