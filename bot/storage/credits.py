"""Stores members' credits outside of jobs in SQLite: their balance, and moderators' grants."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from bot.domain.job import made_at
from bot.domain.quota import Grant, Usage
from bot.storage import ledger
from bot.storage.database import Database
from bot.storage.members import remember_guild, remember_user


class SqliteCredits:
    """Implements services.quotas.CreditRepository."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def usage(self, user_id: int, guild_id: int | None, *, now: datetime) -> Usage:
        return await self._database.read(lambda connection: ledger.usage(connection, user_id, guild_id, now=now))

    async def grant(self, given: Grant, *, now: datetime) -> Usage:
        def give(connection: sqlite3.Connection) -> Usage:
            remember_user(connection, given.user_id, now=now)
            remember_guild(connection, given.guild_id, now=now)
            ledger.grant(connection, given, now=now)
            asked_at = made_at(given.interaction_id, otherwise=now)
            return ledger.usage(connection, given.user_id, given.guild_id, now=asked_at)

        return await self._database.transaction(give)
