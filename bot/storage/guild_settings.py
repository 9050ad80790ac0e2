"""Stores servers' settings and the trail of their changes in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bot.domain.guild_settings.audit_log import Change, Edit, Revision, TrailEntry, changes
from bot.domain.guild_settings.serialization import from_values
from bot.domain.guild_settings.settings import UNCHANGED, GuildSettings
from bot.storage.database import Database
from bot.storage.members import remember_guild
from bot.storage.rows import from_micros, to_micros

GET = "SELECT document FROM guild_settings WHERE guild_id = ?"

SET = """--sql
INSERT INTO guild_settings (guild_id, document, changed_at) VALUES (:guild_id, :document, :now)
ON CONFLICT (guild_id) DO UPDATE SET document = excluded.document, changed_at = excluded.changed_at
"""

NOTE = """--sql
INSERT INTO settings_changes (guild_id, changed_by, changed_at, setting, before, after)
VALUES (:guild_id, :by, :now, :setting, :before, :after)
"""

TRAIL = """--sql
SELECT id, changed_by, changed_at, setting, before, after
FROM settings_changes
WHERE guild_id = :guild_id AND id < :older_than
ORDER BY id DESC
LIMIT :limit
"""

NEWEST = 2**63 - 1


class SqliteGuildSettings:
    """Implements services.guild_settings.GuildSettingsRepository."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, guild_id: int) -> GuildSettings:
        return await self._database.read(lambda connection: _get(connection, guild_id))

    async def change(self, guild_id: int, edit: Edit, *, by: int, now: datetime) -> Revision:
        def apply(connection: sqlite3.Connection) -> Revision:
            before = _get(connection, guild_id)
            after = edit(before)
            changed = changes(before, after)
            if changed:
                _set(connection, guild_id, after, now)
                _note(connection, guild_id, changed, by, now)
            return Revision(settings=after, changes=changed)

        return await self._database.transaction(apply)

    async def trail(self, guild_id: int, *, limit: int, older_than: int | None) -> tuple[TrailEntry, ...]:
        values = {"guild_id": guild_id, "limit": limit, "older_than": NEWEST if older_than is None else older_than}
        return await self._database.read(lambda connection: tuple(_entry(row) for row in connection.execute(TRAIL, values)))


def _get(connection: sqlite3.Connection, guild_id: int) -> GuildSettings:
    row = connection.execute(GET, (guild_id,)).fetchone()
    return UNCHANGED if row is None else from_values(json.loads(row["document"]), UNCHANGED)


def _set(connection: sqlite3.Connection, guild_id: int, settings: GuildSettings, now: datetime) -> None:
    remember_guild(connection, guild_id, now=now)
    document = {change.setting: change.after for change in changes(UNCHANGED, settings)}
    connection.execute(SET, {"guild_id": guild_id, "document": _json(document), "now": to_micros(now)})


def _note(connection: sqlite3.Connection, guild_id: int, changed: Sequence[Change], by: int, now: datetime) -> None:
    for change in changed:
        values = {
            "guild_id": guild_id,
            "by": by,
            "now": to_micros(now),
            "setting": change.setting,
            "before": _json(change.before),
            "after": _json(change.after),
        }
        connection.execute(NOTE, values)


def _entry(row: sqlite3.Row) -> TrailEntry:
    return TrailEntry(
        id=row["id"],
        changed_by=row["changed_by"],
        changed_at=from_micros(row["changed_at"]),
        change=Change(setting=row["setting"], before=json.loads(row["before"]), after=json.loads(row["after"])),
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
