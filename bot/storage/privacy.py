"""What is stored of one member, and its erasure, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from datetime import datetime

from bot.domain.job import JobId, ReplyTarget
from bot.domain.privacy import Erasure, Holdings, MemberData, ShownCard
from bot.domain.report import Step
from bot.storage import endings, member_data
from bot.storage.database import Database
from bot.storage.member_data import Walk
from bot.storage.reports import close_about_member, forget_reasons
from bot.storage.rows import from_micros, to_micros

KNOWN = "SELECT 1 FROM users WHERE id = ?"

HOLDINGS = """--sql
SELECT
    (SELECT COUNT(*) FROM jobs WHERE user_id = :user_id AND words_removed_at IS NULL) AS requests,
    (SELECT COUNT(*) FROM images JOIN jobs ON id = job_id WHERE user_id = :user_id) AS pictures,
    (SELECT COUNT(*) FROM blocks WHERE user_id = :user_id) AS blocks,
    EXISTS (SELECT 1 FROM personal_defaults WHERE user_id = :user_id) AS has_defaults
"""

# A wish repeated before it was fulfilled counts from now; whoever works on the older one notices (ERASED).
ASK = """--sql
INSERT INTO erasures (user_id, requested_at) VALUES (:user_id, :now)
ON CONFLICT (user_id) WHERE erased_at IS NULL DO UPDATE SET requested_at = excluded.requested_at
RETURNING *
"""

# What waits or runs, and what Discord may just be shown.
UNFINISHED = """--sql
SELECT id FROM jobs
WHERE user_id = ? AND (
    status IN ('queued', 'running') OR EXISTS (SELECT 1 FROM outbox WHERE job_id = jobs.id AND closed_at IS NULL)
)
"""

HIDE = "UPDATE jobs SET deleted_at = :now WHERE user_id = :user_id AND deleted_at IS NULL"
FORGET_DEFAULTS = "DELETE FROM personal_defaults WHERE user_id = :user_id"

OPEN = "SELECT DISTINCT user_id FROM erasures WHERE closed_at IS NULL ORDER BY user_id"
TO_DO = "SELECT * FROM erasures WHERE user_id = ? AND erased_at IS NULL"

ERASED = """--sql
UPDATE erasures SET erased_at = :now
WHERE id = :id AND requested_at = :requested_at
    AND NOT EXISTS (SELECT 1 FROM jobs WHERE user_id = :user_id AND deleted_at IS NOT NULL AND words_removed_at IS NULL)
"""

CARDS = """--sql
SELECT id, channel_id, message_id, application_id FROM jobs
WHERE user_id = :user_id AND words_removed_at IS NOT NULL AND message_id IS NOT NULL
ORDER BY seq DESC
LIMIT :limit
"""

# Messages that moderators were shown, about the member's pictures or with the member's words, and that still show them.
REPORTS = """--sql
SELECT id FROM reports
WHERE message_id IS NOT NULL AND shown_version < version AND (
    job_id IN (SELECT id FROM jobs WHERE user_id = :user_id AND words_removed_at IS NOT NULL)
    OR id IN (SELECT report_id FROM complaints WHERE reporter_id = :user_id)
)
ORDER BY id DESC
LIMIT :limit
"""

FORGET_CARD = "UPDATE jobs SET channel_id = 0, message_id = NULL WHERE id = ?"
FORGET_CARDS = """--sql
UPDATE jobs SET channel_id = 0, message_id = NULL
WHERE user_id = :user_id AND words_removed_at IS NOT NULL AND channel_id <> 0
"""
CLOSE = "UPDATE erasures SET closed_at = :now WHERE user_id = :user_id AND erased_at IS NOT NULL AND closed_at IS NULL"


class SqlitePrivacy:
    """Implements services.privacy.MemberRecords and services.erasure.Erasures."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def holdings(self, user_id: int) -> Holdings:
        def select(connection: sqlite3.Connection) -> Holdings:
            row = connection.execute(HOLDINGS, {"user_id": user_id}).fetchone()
            return Holdings(
                requests=row["requests"],
                pictures=row["pictures"],
                blocks=row["blocks"],
                has_defaults=bool(row["has_defaults"]),
            )

        return await self._database.walk(select)

    async def pages(self, user_id: int) -> AsyncIterator[MemberData]:
        yield await self._database.walk(lambda connection: member_data.head(connection, user_id))
        for walk in member_data.WALKS:
            after: int | None = -1
            while after is not None:
                page, after = await self._page(walk, user_id, after)
                yield page

    async def _page(self, walk: Walk, user_id: int, after: int) -> tuple[MemberData, int | None]:
        return await self._database.walk(lambda connection: member_data.page(connection, walk, user_id, after=after))

    async def begin(self, user_id: int, *, now: datetime) -> tuple[JobId, ...] | None:
        return await self._database.transaction(lambda connection: _begin(connection, user_id, now))

    async def open(self) -> tuple[int, ...]:
        return await self._database.read(lambda connection: tuple(row["user_id"] for row in connection.execute(OPEN)))

    async def to_do(self, user_id: int) -> Erasure | None:
        def select(connection: sqlite3.Connection) -> Erasure | None:
            row = connection.execute(TO_DO, (user_id,)).fetchone()
            if row is None:
                return None
            return Erasure(id=row["id"], user_id=user_id, requested_at=from_micros(row["requested_at"]))

        return await self._database.read(select)

    async def rewrite(self) -> bool:
        return await self._database.rewrite()

    async def erased(self, erasure: Erasure, *, now: datetime) -> bool:
        values = {
            "id": erasure.id,
            "user_id": erasure.user_id,
            "requested_at": to_micros(erasure.requested_at),
            "now": to_micros(now),
        }
        return await self._database.transaction(lambda connection: connection.execute(ERASED, values).rowcount == 1)

    async def cards(self, user_id: int, *, limit: int) -> tuple[ShownCard, ...]:
        values = {"user_id": user_id, "limit": limit}
        return await self._database.walk(lambda connection: tuple(_card(row) for row in connection.execute(CARDS, values)))

    async def reports(self, user_id: int, *, limit: int) -> tuple[int, ...]:
        values = {"user_id": user_id, "limit": limit}
        return await self._database.walk(lambda connection: tuple(row["id"] for row in connection.execute(REPORTS, values)))

    async def forget_card(self, job_id: JobId) -> None:
        await self._database.transaction(lambda connection: connection.execute(FORGET_CARD, (job_id,)).rowcount)

    async def close(self, user_id: int, *, now: datetime) -> None:
        values = {"user_id": user_id, "now": to_micros(now)}

        def end(connection: sqlite3.Connection) -> None:
            connection.execute(FORGET_CARDS, values)
            connection.execute(CLOSE, values)

        await self._database.transaction(end)


def _begin(connection: sqlite3.Connection, user_id: int, now: datetime) -> tuple[JobId, ...] | None:
    """From here on nothing of the member's is drawn, shown or used any more; what comes later is not concerned."""
    if connection.execute(KNOWN, (user_id,)).fetchone() is None:
        return None
    values = {"user_id": user_id, "now": to_micros(now)}
    connection.execute(ASK, values).fetchall()
    unfinished = connection.execute(UNFINISHED, (user_id,)).fetchall()
    endings.cancel_all(connection, user_id, now=now)
    connection.execute(HIDE, values)
    close_about_member(connection, Step(by=user_id, at=now))
    connection.execute(FORGET_DEFAULTS, values)
    forget_reasons(connection, user_id)
    return tuple(row["id"] for row in unfinished)


def _card(row: sqlite3.Row) -> ShownCard:
    reply = ReplyTarget(channel_id=row["channel_id"], message_id=row["message_id"], application_id=row["application_id"])
    return ShownCard(job_id=row["id"], reply=reply)
