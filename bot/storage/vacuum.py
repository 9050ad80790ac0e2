"""Writes a database as a new file, without gaps, while others read and write it."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic, sleep

PACE_BYTES = 4 * 1024 * 1024  # bytes of the copy that are written between two syncs
OPERATIONS = 2000  # instructions of SQLite's machine between two looks at that; some 100 rows


def vacuum_into(source: sqlite3.Connection, target: Path) -> None:
    """Writes what `source` reads to `target`, which must not exist; it is then synced, and private to its user.

    The source is read in its state at the start, and is not blocked. Raises sqlite3.Error and OSError; a part may be left.
    """
    target.touch(0o600, exist_ok=False)
    descriptor = os.open(target, os.O_RDONLY)
    try:
        source.set_progress_handler(partial(_pace, _Pace(descriptor)), OPERATIONS)
        source.execute("VACUUM INTO ?", (str(target.absolute()),))
        os.fsync(descriptor)
    finally:
        source.set_progress_handler(None, 0)
        os.close(descriptor)


def sync(path: Path) -> None:
    """Returns when a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass
class _Pace:
    """Tracks how much of the copy is on the disk."""

    descriptor: int
    synced_bytes: int = 0


def _pace(pace: _Pace) -> int:
    """Syncs the copy bit by bit and pauses as long as each sync took: other commits wait for the same disk.

    A GiB at once delayed them by more than a second. SQLite continues when this returns 0.
    """
    size = os.fstat(pace.descriptor).st_size
    if size - pace.synced_bytes >= PACE_BYTES:
        began = monotonic()
        os.fdatasync(pace.descriptor)
        pace.synced_bytes = size
        sleep(monotonic() - began)
    return 0
