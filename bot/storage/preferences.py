"""Stores members' preferences in SQLite."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict
from datetime import datetime

from bot.domain.preferences import NO_PREFERENCES, PersonalEdit, Preferences
from bot.storage.database import Database
from bot.storage.members import remember_user
from bot.storage.rows import to_micros

GET = "SELECT document FROM preferences WHERE user_id = ?"

SET = """--sql
INSERT INTO preferences (user_id, document, changed_at) VALUES (:user_id, :document, :now)
ON CONFLICT (user_id) DO UPDATE SET document = excluded.document, changed_at = excluded.changed_at
"""

FORGET = "DELETE FROM preferences WHERE user_id = ?"


class SqlitePreferences:
    """Implements services.preferences.PreferencesRepository."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, user_id: int) -> Preferences:
        return await self._database.read(lambda connection: _get(connection, user_id))

    async def change(self, user_id: int, edit: PersonalEdit, *, now: datetime) -> Preferences:
        def apply(connection: sqlite3.Connection) -> Preferences:
            after = edit(_get(connection, user_id))
            if after == NO_PREFERENCES:
                connection.execute(FORGET, (user_id,))
            else:
                remember_user(connection, user_id, now=now)
                document = json.dumps(asdict(after), ensure_ascii=False)
                connection.execute(SET, {"user_id": user_id, "document": document, "now": to_micros(now)})
            return after

        return await self._database.transaction(apply)


def _get(connection: sqlite3.Connection, user_id: int) -> Preferences:
    row = connection.execute(GET, (user_id,)).fetchone()
    return NO_PREFERENCES if row is None else Preferences.from_dict(json.loads(row["document"]))
