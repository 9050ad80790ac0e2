"""Translates errors of SQLite for the operator."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from bot.errors import DatabaseError, DiskFullError, FolderError, OperatorError

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})  # EDQUOT: a quota of the system's is used up
_PRIMARY_CODE = 0xFF  # extended result codes keep the primary one in the low byte (sqlite.org/rescode.html)
_UNWRITABLE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}


def operator_error(error: sqlite3.Error, path: Path) -> OperatorError | None:
    """Returns the operator's error, or None where it is a bug of ours (a broken constraint, wrong SQL)."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY_CODE
    if code == sqlite3.SQLITE_FULL:
        return full(path)
    if code in _UNWRITABLE:
        return unwritable(path, str(error))
    if code in _BUSY:
        return FolderError(f"Another program keeps {path} locked. Stop it and start again.")
    if code == sqlite3.SQLITE_IOERR:
        return FolderError(f"{path} cannot be read or written ({_one_line(str(error))}). Check the disk and its free space.")
    if code in _DAMAGED:
        return damaged(path, str(error))
    return None


def full(path: Path) -> DiskFullError:
    """Returns the error for a full disk."""
    return DiskFullError(f"The disk that holds {path} is full. Free some space; nothing that was accepted is lost.")


def unwritable(path: Path, detail: str) -> FolderError:
    """Returns the error for a file or folder that permissions do not let us write."""
    return FolderError(
        f"The database {path} cannot be written ({_one_line(detail)}). "
        "Give this user write access to the file and its folder, or change DATA_DIR."
    )


def damaged(path: Path, detail: str) -> DatabaseError:
    """Returns the error for a damaged file; the remedy is a backup."""
    return DatabaseError(
        f"The database {path} is damaged ({_one_line(detail)}). Put a backup in its place with `python -m bot restore FILE`, "
        f"which moves {_all_three(path)} aside together; or move all three away to start empty."
    )


def foreign_log(path: Path) -> DatabaseError:
    """Returns the error for a log that was not written over the file; replaying it would break the file."""
    return DatabaseError(
        f"{path}-wal is not the log of the {path.name} beside it, so nothing was opened or changed. "
        "Put a backup in place with `python -m bot restore FILE`, "
        f"which moves {_all_three(path)} aside together; or lay the two beside each other that belong together."
    )


def _all_three(path: Path) -> str:
    return f"{path.name}, {path.name}-wal and {path.name}-shm"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
