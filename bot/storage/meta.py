"""Stores small facts by name in SQLite."""

from __future__ import annotations

import sqlite3

from bot.storage.database import Database

SET = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


class SqliteMeta:
    """Implements ports.MetaRepository."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, name: str) -> str | None:
        def select(connection: sqlite3.Connection) -> str | None:
            row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
            return None if row is None else row["value"]

        return await self._database.read(select)

    async def set(self, name: str, value: str) -> None:
        await self._database.transaction(lambda connection: connection.execute(SET, (name, value)).rowcount)
