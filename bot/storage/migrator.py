"""Brings a database file to the newest schema: numbered SQL files, forward only, counted in PRAGMA user_version."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from bot.errors import DatabaseError, FolderError
from bot.storage.disk_space import free_bytes, mebibytes
from bot.storage.private_files import make_private_file

MIGRATIONS_FOLDER = Path(__file__).parent / "migrations"
ROOM = 3.5  # times the file: the copy, a rebuilt table, its log, and as much as it may grow
COPIED_AT_ONCE = 2500  # pages; 10 MB
OPERATIONS = 100_000  # instructions of SQLite's machine between two looks at the clock; some 10 ms
TOLD_EVERY = 5.0  # seconds
APPLICATION_ID = 0x50617374  # as 0001_initial.sql sets it

log = logging.getLogger(__name__)

_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One migration step; `version` is the schema's number after it, from 1 without gaps."""

    version: int
    sql: str


def load_migrations(folder: Path = MIGRATIONS_FOLDER) -> tuple[Migration, ...]:
    """Reads `NNNN_name.sql` in order. Raises ValueError on a strange name or a gap: a fault of the program, not of its use."""
    migrations: list[Migration] = []
    for version, file in enumerate(sorted(folder.glob("*.sql")), start=1):
        match = _FILE_NAME.fullmatch(file.name)
        if match is None or int(match[1]) != version:
            raise ValueError(f"{file.name} should be {version:04}_name.sql")
        migrations.append(Migration(version=version, sql=file.read_text(encoding="utf-8")))
    return tuple(migrations)


def migrate(
    connection: sqlite3.Connection,
    path: Path,
    migrations: Sequence[Migration],
    *,
    free: Callable[[Path], int] = free_bytes,
) -> None:
    """Runs the pending steps, each in one transaction; an old file is copied beside itself first.

    Runs on the connection's thread. Raises DatabaseError for a file of another program or of a newer Pastel, and FolderError
    where the disk lacks the room, with nothing changed.
    """
    version = schema_version(connection, path, newest=migrations[-1].version)
    pending = [migration for migration in migrations if migration.version > version]
    if pending and version:
        _check_room(path, version, pending[-1].version, free)
        log.info(
            "Updating %s (%s MiB) from schema %d to %d; a copy comes first, and is kept for 30 days",
            path, mebibytes(path.stat().st_size), version, pending[-1].version,
        )  # fmt: skip
        back_up(connection, path.with_name(f"{path.name}.schema-{version}.backup"))
    # A table can only be rebuilt while its references are not enforced (sqlite.org/lang_altertable.html, section 7),
    # and the switch works outside of transactions only.
    connection.execute("PRAGMA foreign_keys = OFF")
    for number, migration in enumerate(pending, start=1):
        if version:
            log.info("Updating the database: step %d of %d (schema %d)", number, len(pending), migration.version)
        with _telling(connection, f"step {number} of {len(pending)}"):
            _run(connection, migration)
    connection.execute("PRAGMA foreign_keys = ON")
    if pending and version:
        log.info("The database is updated")


def schema_version(connection: sqlite3.Connection, path: Path, *, newest: int) -> int:
    """Returns the file's version, 0 when empty. Raises DatabaseError for a file of another program or a newer Pastel."""
    application_id: int = connection.execute("PRAGMA application_id").fetchone()[0]
    objects: int = connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()[0]
    if objects and application_id != APPLICATION_ID:
        raise DatabaseError(f"{path} is a database of another program. Move it away, or set DATA_DIR to another folder.")
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > newest:
        raise DatabaseError(
            f"The database {path} was written by a newer Pastel (schema {version}, this one knows {newest}). "
            "Update Pastel, or put an older backup in its place with `python -m bot restore FILE`."
        )
    return version


def back_up(connection: sqlite3.Connection, target: Path) -> None:
    """Copies the database to `target`, whole or not at all. Runs on the connection's thread."""
    partial = target.with_name(f"{target.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        make_private_file(partial)
        with closing(sqlite3.connect(partial, isolation_level=None)) as copy:
            connection.backup(copy, pages=COPIED_AT_ONCE, progress=_Told("the copy").pages)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a WAL beside it
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _check_room(path: Path, version: int, newest: int, free: Callable[[Path], int]) -> None:
    needed, is_free = int(path.stat().st_size * ROOM), free(path.parent)
    if is_free < needed:
        raise FolderError(
            f"Updating the database {path} from schema {version} to {newest} needs {mebibytes(needed)} MiB free in "
            f"{path.parent}; {mebibytes(is_free)} are. Free some space and start again; nothing was changed."
        )


@contextmanager
def _telling(connection: sqlite3.Connection, what: str) -> Generator[None]:
    """Logs now and then that a long step is still running."""
    connection.set_progress_handler(_Told(what).goes_on, OPERATIONS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


class _Told:
    """Logs a line every few seconds. SQLite calls both methods, and continues when they return nothing."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = self._last = monotonic()

    def goes_on(self) -> None:
        if self._is_due():
            log.info("Updating the database: %s goes on, %.0f s so far", self._what, monotonic() - self._began)

    def pages(self, status: int, remaining: int, total: int) -> None:
        del status
        if self._is_due():
            log.info("Updating the database: %s, %d %%", self._what, 100 * (total - remaining) // max(1, total))

    def _is_due(self) -> bool:
        is_due = monotonic() - self._last >= TOLD_EVERY
        if is_due:
            self._last = monotonic()
        return is_due


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
