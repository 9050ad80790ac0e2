"""Rewrites the database file beside the old one while the bot serves, and puts it in the old one's place.

secure_delete alone is not enough: where SQLite moved rows to other pages, the gaps between them keep the old bytes. VACUUM in
place would block the writer for as long as it takes (8 s a GiB). So the steps are:

1. temporary triggers of the one writer note the keys of all rows that change from now on;
2. VACUUM INTO writes a copy without gaps, from a snapshot, while others write;
3. noted rows are copied again, in rounds that get shorter;
4. with readers and writer closed, the last of them; SQLite folds the old log away; one rename.

kill -9 or a power cut before the rename leaves the old file with its log, whole; after it the new file, which has none. A log
never lies beside a file that it does not belong to: before the rename SQLite itself has removed the old one, which it does only
when nobody else has the file open, and an exclusive lock on the old file keeps it so.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

from bot.errors import FolderError
from bot.storage.log_marks import log_of
from bot.storage.vacuum import sync, vacuum_into

ROUNDS = 20  # of copying changed rows; on a disk that is slower than the bot's writes it would never end
FEW = 50  # rows that changed: copied while everybody waits
MOST_CHANGES = 200_000  # keys in memory; 20 MB

PENDING_BYTE, LOCK_BYTES = 0x40000000, 512  # where SQLite puts its locks on a file

IN_USE = "Another program has {} open, so that it cannot be written anew. Stop that program."
TOO_BUSY = "The database changes faster than it can be written anew."

# SQL below is built of names in the schema of our own file (noqa: S608).
Change = tuple[str, str]
"""A table, and the key of a row in it as JSON."""

TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
KEY = "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk"

ROWS_OF = {"INSERT": ("NEW",), "UPDATE": ("OLD", "NEW"), "DELETE": ("OLD",)}


def leftovers(path: Path) -> tuple[Path, ...]:
    """Returns the files that a rewrite makes, and leaves behind when it is cut off."""
    copy = copy_of(path)
    return copy, *(copy.with_name(f"{copy.name}{suffix}") for suffix in ("-journal", "-wal", "-shm"))


def copy_of(path: Path) -> Path:
    """Returns the path of the new file."""
    return path.with_name(f"{path.name}.rewrite")


def clear(path: Path) -> None:
    """Removes the files that an interrupted rewrite left behind."""
    for file in leftovers(path):
        file.unlink(missing_ok=True)


def watch(writer: sqlite3.Connection) -> None:
    """Records every change from now on. Temporary: it ends with the connection, and no other sees it."""
    unwatch(writer)
    writer.execute("CREATE TEMP TABLE changes (table_name TEXT, key TEXT)")
    for table, key in _keys(writer).items():
        for event, rows in ROWS_OF.items():
            notes = " ".join(
                f"INSERT INTO changes VALUES ('{table}', json_array({', '.join(f'{row}.{column}' for column in key)}));"  # noqa: S608
                for row in rows
            )
            writer.execute(f"CREATE TEMP TRIGGER changes_{table}_{event} AFTER {event} ON main.{table} BEGIN {notes} END")


def unwatch(writer: sqlite3.Connection) -> None:
    """Stops recording changes."""
    for row in writer.execute("SELECT name FROM sqlite_temp_schema WHERE type = 'trigger'").fetchall():
        writer.execute(f"DROP TRIGGER temp.{row['name']}")
    writer.execute("DROP TABLE IF EXISTS temp.changes")


def take(writer: sqlite3.Connection, *, most: int) -> tuple[Change, ...]:
    """Returns the changes since the last call. Raises FolderError for more than `most` rows."""
    rows = writer.execute("SELECT DISTINCT table_name, key FROM temp.changes LIMIT ?", (most + 1,)).fetchall()
    if len(rows) > most:
        raise FolderError(TOO_BUSY)
    writer.execute("DELETE FROM temp.changes")
    return tuple((row["table_name"], row["key"]) for row in rows)


def write_copy(path: Path, connected: Callable[[sqlite3.Connection], None]) -> None:
    """Writes the copy; `connected` is given the connection, which may be interrupted. Runs on a separate thread."""
    clear(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as source:
        connected(source)
        vacuum_into(source, copy_of(path))


class Copy:
    """The new file, open for changes. It has no triggers until it is complete, since they judged every change already."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = sqlite3.connect(copy_of(path), isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode = WAL", "synchronous = OFF", "foreign_keys = OFF", "secure_delete = ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("ATTACH ? AS old", (str(path),))
        self._keys = _keys(self._connection)
        triggers = self._connection.execute("SELECT name, sql FROM main.sqlite_schema WHERE type = 'trigger'").fetchall()
        self._triggers = {row["name"]: row["sql"] for row in triggers}
        for name in self._triggers:
            self._connection.execute(f"DROP TRIGGER main.{name}")

    def follow(self, changes: Iterable[Change]) -> None:
        """Bring the changed rows of the copy to their state in the old file."""
        keys: dict[str, list[str]] = defaultdict(list)
        for table, key in changes:
            keys[table].append(key)
        self._connection.execute("BEGIN")
        for table, rows in keys.items():
            delete = f"DELETE FROM main.{table} WHERE {self._chosen(table)}"  # noqa: S608
            self._connection.execute(delete, (_array(rows),))
        for table, rows in keys.items():
            insert = f"INSERT INTO main.{table} SELECT * FROM old.{table} WHERE {self._chosen(table)}"  # noqa: S608
            self._connection.execute(insert, (_array(rows),))
        self._connection.execute("COMMIT")

    def settle(self) -> None:
        """Write both files' logs out as far as possible now, so that the end is short."""
        self._connection.execute("PRAGMA main.wal_checkpoint(TRUNCATE)")
        self._connection.execute("PRAGMA old.wal_checkpoint(PASSIVE)")
        sync(copy_of(self._path))

    def complete(self, changes: Iterable[Change], mark: Callable[[sqlite3.Connection], None]) -> None:
        """Follow the last changes, `mark` the copy, and close it; only a rename remains."""
        self.follow(changes)
        self._connection.execute("BEGIN")
        # The highest numbers ever given: a row that was removed may have had one.
        self._connection.execute("DELETE FROM main.sqlite_sequence")
        self._connection.execute("INSERT INTO main.sqlite_sequence SELECT * FROM old.sqlite_sequence")
        for sql in self._triggers.values():
            self._connection.execute(sql)
        mark(self._connection)
        self._connection.execute("COMMIT")
        self.close()
        sync(copy_of(self._path))

    def close(self) -> None:
        self._connection.close()

    def _chosen(self, table: str) -> str:
        key = self._keys[table]
        parts = ", ".join(f"json_extract(value, '$[{index}]')" for index in range(len(key)))
        return f"({', '.join(key)}) IN (SELECT {parts} FROM json_each(?))"  # noqa: S608


class OldFile:
    """The file that is replaced, and its log, by their descriptors.

    They outlive the swap: freeing blocks of the disk takes a while (80 ms for a log on a busy disk, seconds for a file of a
    GiB), so `empty` does it when nobody waits any more. The lock stays until the process ends: a program that opened the old
    file earlier, but has not read it yet, would otherwise take the new file's log, which has the same name, for the old
    one's, and remove it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR)
        self._log: int | None = os.open(log_of(path), os.O_RDONLY)

    def swap(self) -> None:
        """Put the copy in the place of the file, once no connection of this process is left.

        Raises FolderError when another process has the file open; the file is unchanged then.
        """
        try:
            # The bytes of which every SQLite reader locks a part (sqlite.org/lockingv3.html).
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, LOCK_BYTES, PENDING_BYTE)
        except OSError:
            raise FolderError(IN_USE.format(self._path)) from None
        # SQLite removes its log with the last connection; if it still exists, ours was not the last.
        if log_of(self._path).exists():
            raise FolderError(IN_USE.format(self._path))
        sync(self._path.parent)  # a power cut must not bring the log back once the new file is there
        # The folder is synced again by SQLite, with the first log of the new file. Until then both files say the same.
        copy_of(self._path).replace(self._path)

    def empty(self) -> None:
        """Free the disk space of the old file and its log."""
        os.ftruncate(self._descriptor, 0)
        self._close_log()

    def close(self) -> None:
        """Release every lock of this process on the file; no connection to it may be open."""
        os.close(self._descriptor)
        self._close_log()

    def _close_log(self) -> None:
        if self._log is not None:
            os.close(self._log)
            self._log = None


def _keys(connection: sqlite3.Connection) -> dict[str, tuple[str, ...]]:
    tables: Sequence[str] = [row["name"] for row in connection.execute(TABLES).fetchall()]
    return {table: tuple(row["name"] for row in connection.execute(KEY, (table,)).fetchall()) for table in tables}


def _array(keys: Iterable[str]) -> str:
    """Returns the keys, each a JSON array, as one array of arrays."""
    return f"[{','.join(keys)}]"
