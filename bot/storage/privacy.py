"""Counts what is stored of one member, and erases it, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping
from datetime import datetime

from bot.domain.job import JobId, ReplyTarget
from bot.domain.privacy import Content, Erasure, Holdings, MemberData, ShownCard
from bot.domain.quota import StepsTaken
from bot.domain.report import Step
from bot.storage import job_outcomes, member_export
from bot.storage.database import Database
from bot.storage.member_export import Walk
from bot.storage.reports import close_about_jobs, forget_reasons
from bot.storage.retention import content_of, forget
from bot.storage.rows import from_micros, to_micros

# Rows of each kind in one transaction, so that it blocks the writer for some 5 ms, and a commit.
CONTENT_PORTION, REASONS_PORTION, CARDS_PORTION = 10, 50, 50

HOLDINGS = """--sql
SELECT
    (SELECT COUNT(*) FROM jobs WHERE user_id = :user_id AND words_removed_at IS NULL) AS requests,
    (SELECT COUNT(*) FROM images JOIN jobs ON id = job_id WHERE user_id = :user_id) AS pictures,
    (SELECT COUNT(*) FROM blocks WHERE user_id = :user_id) AS blocks,
    EXISTS (SELECT 1 FROM preferences WHERE user_id = :user_id) AS has_defaults
"""

# What an erasure would remove. A request to erase nothing is not stored, however often somebody presses.
ANYTHING = """--sql
SELECT
    EXISTS (SELECT 1 FROM jobs WHERE user_id = :user_id AND words_removed_at IS NULL)
    OR EXISTS (SELECT 1 FROM jobs WHERE user_id = :user_id AND words_removed_at IS NOT NULL AND channel_id <> 0)
    OR EXISTS (SELECT 1 FROM preferences WHERE user_id = :user_id)
    OR EXISTS (SELECT 1 FROM complaints WHERE reporter_id = :user_id AND reason <> '')
    OR EXISTS (SELECT 1 FROM intakes WHERE user_id = :user_id)
"""

# A repeated request that is still unfulfilled includes what came meanwhile; the running erasure notices (ERASED).
ASK = """--sql
INSERT INTO erasures (user_id, requested_at, up_to)
VALUES (:user_id, :now, (SELECT IFNULL(MAX(seq), 0) FROM jobs WHERE user_id = :user_id))
ON CONFLICT (user_id) WHERE erased_at IS NULL DO UPDATE SET up_to = excluded.up_to
RETURNING *
"""
TRACES = "UPDATE erasures SET leaves_traces = 1 WHERE id = :id AND leaves_traces = 0"
FORGET_INTAKES = "DELETE FROM intakes WHERE user_id = :user_id"
FORGET_DEFAULTS = "DELETE FROM preferences WHERE user_id = :user_id"

# Jobs that may be on their way to Discord. The query starts from the open entries, not from the member's jobs.
BEING_SHOWN = """--sql
SELECT job_id FROM outbox CROSS JOIN jobs ON id = job_id WHERE outbox.closed_at IS NULL AND user_id = ? LIMIT 500
"""

OPEN = "SELECT DISTINCT user_id FROM erasures WHERE closed_at IS NULL ORDER BY user_id LIMIT 50"
TO_DO = "SELECT * FROM erasures WHERE user_id = ? AND erased_at IS NULL"

# An interrupted deletion of a picture, or an age that a server sets, may come between: whatever is left is removed.
TO_REMOVE = """--sql
SELECT id FROM jobs
WHERE user_id = :user_id AND words_removed_at IS NULL AND seq <= :up_to AND finished_at IS NOT NULL
ORDER BY seq
LIMIT :limit
"""

ERASED = """--sql
UPDATE erasures SET erased_at = :now
WHERE id = :id AND up_to = :up_to
    AND NOT EXISTS (SELECT 1 FROM jobs WHERE user_id = :user_id AND words_removed_at IS NULL AND seq <= :up_to)
"""

CARDS = """--sql
SELECT id, channel_id, message_id, application_id FROM jobs
WHERE user_id = :user_id AND words_removed_at IS NOT NULL AND channel_id <> 0 AND message_id IS NOT NULL
ORDER BY seq DESC
LIMIT :limit
"""

# Messages for moderators that still show the member's pictures or words.
REPORTS = """--sql
SELECT id FROM reports
WHERE message_id IS NOT NULL AND shown_version < version AND (
    job_id IN (SELECT id FROM jobs WHERE user_id = :user_id AND words_removed_at IS NOT NULL)
    OR id IN (SELECT report_id FROM complaints WHERE reporter_id = :user_id)
)
ORDER BY id DESC
LIMIT :limit
"""

FORGET_CARD = "UPDATE jobs SET channel_id = 0, message_id = NULL, parent_channel_id = NULL WHERE id = ?"
FORGET_CARDS = """--sql
UPDATE jobs SET channel_id = 0, message_id = NULL, parent_channel_id = NULL
WHERE seq IN (
    SELECT seq FROM jobs WHERE user_id = :user_id AND words_removed_at IS NOT NULL AND channel_id <> 0 LIMIT :limit
)
"""
CLOSE = "UPDATE erasures SET closed_at = :now WHERE user_id = :user_id AND erased_at IS NOT NULL AND closed_at IS NULL"


class SqlitePrivacy:
    """Implements services.privacy.PrivacyRepository."""

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
        yield await self._database.walk(lambda connection: member_export.head(connection, user_id))
        for walk in member_export.WALKS:
            after: int | None = -1
            while after is not None:
                page, after = await self._page(walk, user_id, after)
                yield page

    async def _page(self, walk: Walk, user_id: int, after: int) -> tuple[MemberData, int | None]:
        return await self._database.walk(lambda connection: member_export.page(connection, walk, user_id, after=after))

    async def begin(self, user_id: int, *, now: datetime) -> Erasure | None:
        values = {"user_id": user_id, "now": to_micros(now)}
        if not await self._database.walk(lambda connection: connection.execute(ANYTHING, values).fetchone()[0]):
            return None
        return await self._database.transaction(lambda connection: _begin(connection, values))

    async def open(self) -> tuple[int, ...]:
        return await self._database.read(lambda connection: tuple(row["user_id"] for row in connection.execute(OPEN)))

    async def to_do(self, user_id: int) -> Erasure | None:
        def select(connection: sqlite3.Connection) -> Erasure | None:
            row = connection.execute(TO_DO, (user_id,)).fetchone()
            return None if row is None else _erasure(row)

        return await self._database.read(select)

    async def cancel(
        self, erasure: Erasure, *, now: datetime, taken: Mapping[JobId, StepsTaken] | None = None
    ) -> tuple[JobId, ...]:
        cancelled: list[JobId] = []
        while portion := await self._database.transaction(
            lambda connection: job_outcomes.cancel_all(
                connection, erasure.user_id, now=now, up_to=erasure.up_to, limit=job_outcomes.WAITING_PORTION, taken=taken
            )
        ):
            cancelled += portion
        return tuple(cancelled)

    async def being_shown(self, user_id: int) -> tuple[JobId, ...]:
        return await self._database.walk(
            lambda connection: tuple(row["job_id"] for row in connection.execute(BEING_SHOWN, (user_id,)))
        )

    async def content(self, erasure: Erasure) -> Content:
        values = {"user_id": erasure.user_id, "up_to": erasure.up_to, "limit": CONTENT_PORTION}
        return await self._database.walk(lambda connection: content_of(connection, connection.execute(TO_REMOVE, values)))

    async def remove(self, erasure: Erasure, content: Content, *, now: datetime) -> None:
        def remove(connection: sqlite3.Connection) -> None:
            forget(connection, content.job_ids, words=True, now=now)
            close_about_jobs(connection, content.job_ids, Step(by=erasure.user_id, at=now))
            connection.execute(TRACES, {"id": erasure.id})

        await self._database.transaction(remove)

    async def forget_reasons(self, erasure: Erasure) -> bool:
        def forget_some(connection: sqlite3.Connection) -> bool:
            forgot = forget_reasons(connection, erasure.user_id, limit=REASONS_PORTION)
            if forgot:
                connection.execute(TRACES, {"id": erasure.id})
            return forgot

        return await self._database.transaction(forget_some)

    async def fold_log(self) -> bool:
        return await self._database.fold_log()

    async def erased(self, erasure: Erasure, *, now: datetime) -> bool:
        values = {"id": erasure.id, "user_id": erasure.user_id, "up_to": erasure.up_to, "now": to_micros(now)}
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
        values = {"user_id": user_id, "now": to_micros(now), "limit": CARDS_PORTION}
        while await self._database.transaction(lambda connection: connection.execute(FORGET_CARDS, values).rowcount):
            pass
        await self._database.transaction(lambda connection: connection.execute(CLOSE, values).rowcount)


def _begin(connection: sqlite3.Connection, values: dict[str, int]) -> Erasure:
    """Removes defaults and open intakes at once, since what comes after the request stays; the rest goes in portions."""
    erasure = _erasure(connection.execute(ASK, values).fetchall()[0])
    forgotten = [connection.execute(sql, values).rowcount for sql in (FORGET_INTAKES, FORGET_DEFAULTS)]
    if any(forgotten):
        connection.execute(TRACES, {"id": erasure.id})
    return erasure


def _erasure(row: sqlite3.Row) -> Erasure:
    return Erasure(id=row["id"], user_id=row["user_id"], requested_at=from_micros(row["requested_at"]), up_to=row["up_to"])


def _card(row: sqlite3.Row) -> ShownCard:
    reply = ReplyTarget(channel_id=row["channel_id"], message_id=row["message_id"], application_id=row["application_id"])
    return ShownCard(job_id=row["id"], reply=reply)
