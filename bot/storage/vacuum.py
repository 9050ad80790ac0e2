"""Writing a database as a new file, without gaps, beside whoever reads and writes it."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic, sleep

PACE_BYTES = 4 * 1024 * 1024  # of the copy that are written before they are synced
OPERATIONS = 2000  # of SQLite's machine between two looks at that; some 100 rows


def vacuum_into(source: sqlite3.Connection, target: Path) -> None:
    """Write what `source` reads to `target`, which must not exist; it is on the disk then, and its user's alone.

    The source is read as it stands when this begins, and is not held up. Raises sqlite3.Error and OSError; a part may be left.
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
    """Return when a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass
class _Pace:
    """How much of the copy is on the disk."""

    descriptor: int
    synced_bytes: int = 0


def _pace(pace: _Pace) -> int:
    """Give the copy to the disk bit by bit, and rest as long as that took: commits of others wait for the same disk.

    A GiB at once kept them waiting for more than a second. SQLite goes on when this returns 0.
    """
    size = os.fstat(pace.descriptor).st_size
    if size - pace.synced_bytes >= PACE_BYTES:
        began = monotonic()
        os.fdatasync(pace.descriptor)
        pace.synced_bytes = size
        sleep(monotonic() - began)
    return 0
