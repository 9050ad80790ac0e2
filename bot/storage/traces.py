"""Tracks the traces that erasures leave in the database file, and rewrites the file to end them, in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from bot.errors import FolderError
from bot.storage.database import Database
from bot.storage.disk_space import free_bytes, mebibytes
from bot.storage.meta import SET
from bot.storage.rows import from_micros, to_micros

ROOM = 2.2  # times the file: the new one, what is written meanwhile, and room for new pictures
REWRITTEN_AT = "rewritten_at"

OLDEST = "SELECT erased_at FROM erasures WHERE leaves_traces = 1 AND erased_at IS NOT NULL ORDER BY erased_at LIMIT 1"
FULFILLED = "SELECT id FROM erasures WHERE leaves_traces = 1 AND erased_at IS NOT NULL"
OVERWRITTEN = "UPDATE erasures SET leaves_traces = 0 WHERE id IN (SELECT value FROM json_each(?))"


class SqliteTraces:
    """Implements services.overwriting.TraceRepository."""

    def __init__(self, database: Database, *, free: Callable[[Path], int] = free_bytes) -> None:
        self._database = database
        self._free = free

    async def oldest(self) -> datetime | None:
        def select(connection: sqlite3.Connection) -> datetime | None:
            row = connection.execute(OLDEST).fetchone()
            return None if row is None else from_micros(row["erased_at"])

        return await self._database.read(select)

    async def overwritten_at(self) -> datetime | None:
        def select(connection: sqlite3.Connection) -> datetime | None:
            row = connection.execute("SELECT value FROM meta WHERE name = ?", (REWRITTEN_AT,)).fetchone()
            return None if row is None else from_micros(int(row["value"]))

        return await self._database.read(select)

    async def overwrite(self, *, now: datetime) -> float:
        self._check_room()
        # Chosen before the copy begins: what an erasure removes meanwhile may leave traces in it.
        ids = await self._database.walk(lambda connection: [row["id"] for row in connection.execute(FULFILLED)])

        def mark(copy: sqlite3.Connection) -> None:
            copy.execute(OVERWRITTEN, (json.dumps(ids),))
            copy.execute(SET, (REWRITTEN_AT, str(to_micros(now))))

        try:
            return await self._database.rewrite(mark)
        except BaseException:
            await self._database.fold_log()  # a log that could not be folded on a full disk would keep it full
            raise

    def _check_room(self) -> None:
        path = self._database.path
        needed, free = int(path.stat().st_size * ROOM), self._free(path.parent)
        if free < needed:
            raise FolderError(
                f"{path} holds traces of what members deleted until it is written anew. "
                f"That needs {mebibytes(needed)} MiB free in {path.parent}; {mebibytes(free)} are. Free some space."
            )
