"""Stores which servers' queues are paused, in SQLite."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from bot.domain.queue import Pause
from bot.storage import fair_turns
from bot.storage.database import Database
from bot.storage.members import remember_guild
from bot.storage.rows import from_micros, to_micros

CURRENT = "SELECT guild_id, paused_by, paused_at FROM queue_pauses WHERE guild_id = ? AND resumed_at IS NULL"

PAUSE = """--sql
INSERT INTO queue_pauses (guild_id, paused_by, paused_at) VALUES (:guild_id, :by, :now)
ON CONFLICT (guild_id) WHERE resumed_at IS NULL DO NOTHING
"""

RESUME = """--sql
UPDATE queue_pauses SET resumed_by = :by, resumed_at = :now
WHERE guild_id = :guild_id AND resumed_at IS NULL
"""

WAITING_MEMBERS = "SELECT DISTINCT user_id FROM jobs WHERE guild_id = ? AND status IN ('queued', 'running')"


class SqlitePauses:
    """Implements services.server_queue.PauseRepository.

    Every change reassigns the turns of the members whom it concerns.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def current(self, guild_id: int) -> Pause | None:
        def select(connection: sqlite3.Connection) -> Pause | None:
            row = connection.execute(CURRENT, (guild_id,)).fetchone()
            return row and Pause(paused_by=row["paused_by"], paused_at=from_micros(row["paused_at"]))

        return await self._database.read(select)

    async def pause(self, guild_id: int, *, by: int, now: datetime) -> bool:
        def stop(connection: sqlite3.Connection) -> bool:
            remember_guild(connection, guild_id, now=now)
            return _change(connection, PAUSE, guild_id, by, now)

        return await self._database.transaction(stop)

    async def resume(self, guild_id: int, *, by: int, now: datetime) -> bool:
        def restart(connection: sqlite3.Connection) -> bool:
            fair_turns.end_idle_time(connection)  # while the paused jobs do not count yet
            return _change(connection, RESUME, guild_id, by, now)

        return await self._database.transaction(restart)


def _change(connection: sqlite3.Connection, sql: str, guild_id: int, by: int, now: datetime) -> bool:
    if connection.execute(sql, {"guild_id": guild_id, "by": by, "now": to_micros(now)}).rowcount != 1:
        return False
    for row in connection.execute(WAITING_MEMBERS, (guild_id,)).fetchall():
        fair_turns.assign(connection, row["user_id"])
    return True
