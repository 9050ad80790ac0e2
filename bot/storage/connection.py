"""Opens connections to the database file, each with its own thread."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Self, TypeVar

import aiosqlite

from bot.errors import DatabaseError, FolderError, OperatorError
from bot.storage.faults import damaged, foreign_log, operator_error, unwritable
from bot.storage.ledger_audit import audit
from bot.storage.log_marks import BUSY_SECONDS, check_log, has_log, is_sound_alone, unfolded
from bot.storage.migrator import Migration, migrate, schema_version
from bot.storage.private_files import make_private_file, make_private_folder

T = TypeVar("T")

OLDEST_SQLITE = (3, 37)  # the first with STRICT tables
LOG_BYTES = 16 * 1024 * 1024  # bytes of the log that stay on disk; SQLite folds it into the file every 4 MB

# Python cannot decode SQLite's message when that quotes a schema which is no longer text.
_FILE_FAULTS = (sqlite3.Error, UnicodeDecodeError)


class ThreadedConnection(aiosqlite.Connection):
    """An aiosqlite connection that runs whole functions on its thread.

    Nothing else can happen on the connection between the statements of one function, even if the caller is cancelled.
    aiosqlite's own execute() lets a cancelled caller leave a transaction open, because a statement that is already
    queued still runs.
    """

    def __init__(
        self, name: str, connector: Callable[[], sqlite3.Connection], again: Callable[[], sqlite3.Connection] | None = None
    ) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._thread.name = name
        self._again = again or connector
        self._has_let_go = False

    async def __aenter__(self) -> Self:
        """Opens the connection; if that fails or is cancelled, the thread has ended before the error is raised."""
        try:
            await self
        except BaseException:
            # aiosqlite has asked the thread to stop, but the thread's answer still needs this loop.
            await asyncio.to_thread(self._thread.join)
            raise
        return self

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run `function` on the thread and wait for it."""
        result: T = await self._execute(lambda: function(self.take_up()))  # pyright: ignore[reportUnknownMemberType]  # untyped there
        return result

    def let_go(self) -> None:
        """Close, on the thread, until the next function runs or `take_up` is called, so that the file can be replaced."""
        self._conn.close()
        self._has_let_go = True

    def take_up(self) -> sqlite3.Connection:
        """Returns the open connection, on the thread; after `let_go` it opens the file that is there now."""
        if self._has_let_go:
            self._connection = self._again()
            self._has_let_go = False
        return self._conn


def connect_writer(path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    """Opens, checks and migrates the file. Runs on the connection's thread. Raises DatabaseError or FolderError."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise DatabaseError(f"This Python brings SQLite {sqlite3.sqlite_version}; 3.37 is needed. Use a newer Python.")
    try:
        make_private_folder(path.parent)
        check_log(path)
        make_private_file(path)  # SQLite gives its log the rights of the database
        with unfolded(path):
            return _connect_checked(path, migrations)
    except _FILE_FAULTS as error:
        raise _explained(error, path) from error
    except OSError as error:
        raise unwritable(path, error.strerror or "unknown error") from error


def _connect_checked(path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        _configure(connection)
        _check(connection, path)
        migrate(connection, path, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_writer_again(path: Path) -> sqlite3.Connection:
    """Opens a file that `connect_writer` has opened and checked before. Runs on the connection's thread."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        _configure(connection)
        _use_log(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Opens an existing file for reading only. Runs on the connection's thread."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        _configure(connection)
        connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def examine(path: Path, newest: int) -> None:
    """Checks an existing file thoroughly without changing it. Raises DatabaseError or FolderError."""
    try:
        check_log(path)
        with unfolded(path), closing(connect_reader(path)) as connection:
            result: str = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if result != "ok":
                raise _broken(path, result)
            if schema_version(connection, path, newest=newest) == newest:
                _check_ledger(connection, path)
    except _FILE_FAULTS as error:
        raise _explained(error, path) from error


def _check_ledger(connection: sqlite3.Connection, path: Path) -> None:
    for problem in audit(connection):
        raise DatabaseError(f"The ledger of {path} does not add up: {problem}. Report this as a bug, or use an older backup.")


def in_transaction(connection: sqlite3.Connection, begin: str, function: Callable[[sqlite3.Connection], T]) -> T:
    """Runs `function` between `begin` and COMMIT; an exception, also of COMMIT itself, rolls everything back."""
    connection.execute(begin)
    try:
        result = function(connection)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return result


def fold_log(connection: sqlite3.Connection) -> bool:
    """Writes the log into the file and empties it, unless somebody reads it right now; returns whether it is empty.

    Does not wait for readers, as everybody would wait for the writer meanwhile. Runs outside of transactions.
    """
    patience: int = connection.execute("PRAGMA busy_timeout").fetchone()[0]
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        busy: int = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience}")
    return not busy


def _explained(error: sqlite3.Error | UnicodeDecodeError, path: Path) -> OperatorError:
    """Returns the error to raise while a file is opened: what SQLite cannot read is the file's fault."""
    known = operator_error(error, path) if isinstance(error, sqlite3.Error) else None
    return _broken(path, str(error)) if known is None or isinstance(known, DatabaseError) else known


def _broken(path: Path, detail: str) -> DatabaseError:
    """Returns the error of a damaged file, or of a log without marks (old, or another program's) that damages a sound one."""
    return foreign_log(path) if has_log(path) and is_sound_alone(path) else damaged(path, detail)


def _configure(connection: sqlite3.Connection) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    # FULL: acknowledged writes survive a power cut, not only a crash of the process.
    connection.execute("PRAGMA synchronous = FULL")
    # Wiped (tokens) or deleted values leave no bytes in free pages.
    connection.execute("PRAGMA secure_delete = ON")
    # Without it the log keeps the size of the largest transaction ever, which may have filled the disk.
    connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    # Sorting spills into memory, and not into /var/tmp, which may be small and is not erased.
    connection.execute("PRAGMA temp_store = MEMORY")


def _use_log(connection: sqlite3.Connection, path: Path) -> None:
    journal_mode: str = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if journal_mode != "wal":
        raise FolderError(f"The file system of {path} cannot hold the database. Set DATA_DIR to a folder on a local disk.")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    _use_log(connection, path)
    result: str = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if result != "ok":
        raise _broken(path, result)
