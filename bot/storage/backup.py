"""Makes a checked copy of the database while the bot writes, and checks a file that is to be put back."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from bot.errors import DatabaseError, DiskFullError, FolderError, OperatorError
from bot.storage.faults import NO_SPACE, damaged, operator_error
from bot.storage.ledger_audit import audit
from bot.storage.log_marks import (
    begin_anew,
    check_log,
    connect_alone,
    connect_with_log,
    files_of,
    has_log,
    has_marks,
    log_of,
)
from bot.storage.migrator import APPLICATION_ID, load_migrations, schema_version
from bot.storage.rows import to_micros
from bot.storage.vacuum import sync, vacuum_into

BACKUP_AT = "backup_at"  # in `meta` of every copy: opening it brings an earlier state back (bot.storage.restored)
BEGINNING = b"SQLite format 3\0"
MARK = "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)"
UNCHANGED = "Nothing was changed."


@contextmanager
def new_backup(path: Path, target: Path, *, now: datetime) -> Generator[Path]:
    """Copies and checks the database at `path`; the copy is renamed to `target` when the context ends well, else removed.

    Yields the copy's temporary path. Raises FolderError (the target exists already, the disk is full or may not be
    written, there is no database) and DatabaseError (the database is not sound).
    """
    check_is_free(target)
    partial = target.with_name(f"{target.name}.partial")
    try:
        with _told(target):
            _remove(partial)
            with _source(path) as source:
                write_marked(source, partial, now=now, source_path=path)
            _check_copy(partial, path)
        yield partial
        with _told(target):
            check_is_free(target)
            partial.rename(target)
            sync(target.parent)
    finally:
        with suppress(OSError):
            _remove(partial)


def check_is_free(target: Path) -> None:
    """Raises FolderError where `target` exists already, or its folder is missing or may not be searched."""
    try:
        is_taken, has_folder = target.exists() or target.is_symlink(), target.parent.is_dir()
    except OSError as error:
        raise told(target, error) from error
    if is_taken:
        raise FolderError(f"{target} is there already, and a backup overwrites nothing. Give another name.")
    if not has_folder:
        raise FolderError(f"The folder {target.parent} does not exist. Make it first, or give another place.")


def write_marked(source: sqlite3.Connection, target: Path, *, now: datetime, source_path: Path) -> None:
    """Writes the database of `source` to `target`, marked as a copy. Raises OperatorError and OSError."""
    try:
        vacuum_into(source, target)
    except sqlite3.Error as error:
        raise _explained(error, source_path, target) from error
    try:
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            copy.execute("PRAGMA journal_mode = MEMORY")  # an incomplete copy is no copy
            copy.execute("BEGIN")
            copy.execute(MARK, (BACKUP_AT, str(to_micros(now))))
            if has_marks(copy):
                begin_anew(copy)
            copy.execute("COMMIT")
    except sqlite3.Error as error:
        raise _explained(error, source_path, target) from error
    sync(target)


def check_restorable(file: Path) -> None:
    """Raises FolderError or DatabaseError with one sentence that says why `file` cannot be put back. Changes nothing."""
    try:
        with file.open("rb") as opened:
            beginning = opened.read(len(BEGINNING))
    except FileNotFoundError:
        raise FolderError(f"There is no file {file}. {UNCHANGED}") from None
    except OSError as error:
        raise FolderError(f"{file} cannot be read ({error.strerror}). {UNCHANGED}") from None
    if beginning != BEGINNING:
        raise DatabaseError(f"{file} is no database, so it is no backup of Pastel's. {UNCHANGED}")
    try:
        with closing(connect_backup(file)) as connection:
            _check_restorable(connection, file)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise _damaged_backup(file, str(error)) from error


def connect_backup(file: Path) -> sqlite3.Connection:
    """Opens a file that is to be put back, for reading, with its log where there is one. Raises DatabaseError."""
    if not has_log(file):
        return connect_alone(file)
    try:
        check_log(file)
    except DatabaseError:
        raise DatabaseError(
            f"{file}-wal is not the log of the {file.name} beside it. "
            f"Move it away, if the backup is {file.name} alone. {UNCHANGED}"
        ) from None
    return connect_with_log(file)


def told(target: Path, error: OSError) -> FolderError:
    """Returns the error for a file that could not be written."""
    if error.errno in NO_SPACE:
        return DiskFullError(f"The disk that holds {target} is full. Free some space, or give another place. {UNCHANGED}")
    return FolderError(f"{target} cannot be written ({error.strerror}). Give a place that this user may write to. {UNCHANGED}")


def _check_restorable(connection: sqlite3.Connection, file: Path) -> None:
    newest = load_migrations()[-1].version
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID or version == 0:
        raise DatabaseError(f"{file} is a database of another program, and no backup of Pastel's. {UNCHANGED}")
    if version > newest:
        raise DatabaseError(
            f"{file} was written by a newer Pastel (schema {version}, this one knows {newest}). "
            f"Update Pastel first. {UNCHANGED}"
        )
    problem = _problem(connection, is_newest=version == newest)
    if problem is not None:
        raise _damaged_backup(file, problem)


def _damaged_backup(file: Path, detail: str) -> DatabaseError:
    return DatabaseError(f"The backup {file} is damaged ({' '.join(detail.split())[:200]}). Use another one. {UNCHANGED}")


def _check_copy(copy: Path, path: Path) -> None:
    try:
        with closing(connect_alone(copy)) as connection:
            version = schema_version(connection, path, newest=(newest := load_migrations()[-1].version))
            problem = _problem(connection, is_newest=version == newest)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise damaged(path, str(error)) from error
    if problem is not None:
        raise DatabaseError(f"A copy of {path} was not sound, so it was not kept ({problem}). Report this as a bug.")


def _problem(connection: sqlite3.Connection, *, is_newest: bool) -> str | None:
    """Returns what is wrong with its pages or, where this program knows its tables, with the ledger; None: nothing."""
    result: str = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if result != "ok":
        return result
    problems = audit(connection) if is_newest else ()
    return f"the ledger does not add up: {problems[0]}" if problems else None


@contextmanager
def _source(path: Path) -> Generator[sqlite3.Connection]:
    """Yields the database at `path`, for reading, and leaves no new file beside it."""
    had_log = log_of(path).exists()
    try:
        with closing(_connect_source(path)) as source:
            yield source
    finally:
        if not had_log and log_of(path).exists():
            # SQLite itself removes an empty log with the last connection, if that may write and has read.
            with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as connection:
                connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()


def _connect_source(path: Path) -> sqlite3.Connection:
    if not path.exists():
        raise FolderError(f"There is no database {path} yet, so there is nothing to copy. Is DATA_DIR right?")
    try:
        check_log(path)
        source = connect_with_log(path)
        try:
            schema_version(source, path, newest=load_migrations()[-1].version)
        except BaseException:
            source.close()
            raise
    except sqlite3.Error as error:
        raise operator_error(error, path) or damaged(path, str(error)) from error
    except OSError as error:
        raise FolderError(f"{path} cannot be read ({error.strerror}). Run this as the user whom the bot runs as.") from error
    return source


def _explained(error: sqlite3.Error, path: Path, target: Path) -> OperatorError | KeyboardInterrupt:
    """Returns the error to raise: a full or unwritable file is the copy, a damaged one is the source."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_INTERRUPT:
        return KeyboardInterrupt()
    known = operator_error(error, path)
    if known is None or isinstance(known, DatabaseError):
        return damaged(path, str(error))
    if code == sqlite3.SQLITE_BUSY:
        return known
    return told(target, OSError(errno.ENOSPC if code == sqlite3.SQLITE_FULL else errno.EIO, str(error)))


@contextmanager
def _told(target: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise told(target, error) from error


def _remove(partial: Path) -> None:
    for file in files_of(partial):
        file.unlink(missing_ok=True)
