"""Stores the outbox in SQLite. A closed entry stays, so that a job can never be announced twice."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from bot.domain.delivery import DeliveryFault, OutboxEntry
from bot.domain.job import JobId, JobStatus
from bot.errors import NotFoundError
from bot.storage import ledger
from bot.storage.database import Database
from bot.storage.rows import entry_from_row, from_micros, to_micros

# Nothing is sent for a job that perhaps nobody was shown: that is found out first (bot.storage.first_answers).
DUE = """--sql
SELECT outbox.* FROM outbox JOIN jobs ON jobs.id = job_id
WHERE closed_at IS NULL AND (next_attempt_at <= :now OR waits_since > :now) AND shown_at IS NOT NULL
ORDER BY outbox.created_at, outbox.rowid
LIMIT :limit
"""

NEXT_DUE = """--sql
SELECT next_attempt_at FROM outbox JOIN jobs ON jobs.id = job_id
WHERE closed_at IS NULL AND shown_at IS NOT NULL
ORDER BY next_attempt_at
LIMIT 1
"""

CLOSE = """--sql
UPDATE outbox SET closed_at = :now, outcome = :outcome, last_fault = COALESCE(:fault, last_fault)
WHERE job_id = :job_id AND closed_at IS NULL
"""

RETRY = """--sql
UPDATE outbox SET attempts = attempts + 1, next_attempt_at = :at, waits_since = :now, last_fault = :fault
WHERE job_id = :job_id AND closed_at IS NULL
"""

START_POST = """--sql
UPDATE outbox SET post_started_at = COALESCE(post_started_at, :now)
WHERE job_id = :job_id AND closed_at IS NULL
RETURNING *
"""

SHOWN_AT = "UPDATE jobs SET channel_id = :channel_id, message_id = :message_id WHERE id = :job_id"
CONCLUDE = "UPDATE jobs SET status = :status WHERE id = :job_id AND status = 'succeeded'"
WIPE_TOKEN = "UPDATE jobs SET token = NULL, token_expires_at = NULL WHERE id = ?"  # noqa: S105  # SQL, no secret


class SqliteOutbox:
    """Implements ports.Outbox. Calls about a closed entry change nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, *, now: datetime, limit: int) -> tuple[OutboxEntry, ...]:
        values = {"now": to_micros(now), "limit": limit}
        return await self._database.read(
            lambda connection: tuple(entry_from_row(row) for row in connection.execute(DUE, values))
        )

    async def next_due(self) -> datetime | None:
        def select(connection: sqlite3.Connection) -> datetime | None:
            row = connection.execute(NEXT_DUE).fetchone()
            return None if row is None else from_micros(row["next_attempt_at"])

        return await self._database.read(select)

    async def delivered(self, job_id: JobId, *, channel_id: int, message_id: int, now: datetime) -> None:
        shown_at = {"job_id": job_id, "channel_id": channel_id, "message_id": message_id}

        def deliver(connection: sqlite3.Connection) -> None:
            if close_as_delivered(connection, job_id, now=now):
                connection.execute(SHOWN_AT, shown_at)

        await self._database.transaction(deliver)

    async def retry(self, job_id: JobId, *, at: datetime, fault: DeliveryFault, now: datetime) -> None:
        values = {"job_id": job_id, "at": to_micros(at), "fault": fault, "now": to_micros(now)}
        await self._database.transaction(lambda connection: connection.execute(RETRY, values).rowcount)

    async def give_up(self, job_id: JobId, fault: DeliveryFault, *, now: datetime) -> None:
        await self._database.transaction(lambda connection: give_up(connection, job_id, fault, now=now))

    async def start_post(self, job_id: JobId, *, now: datetime) -> OutboxEntry:
        """Record a tried post; raises NotFoundError when the entry is closed: nothing must be posted any more."""
        values = {"job_id": job_id, "now": to_micros(now)}
        rows = await self._database.transaction(lambda connection: connection.execute(START_POST, values).fetchall())
        if not rows:
            raise NotFoundError("This result was already delivered or given up.")
        return entry_from_row(rows[0])


def close_as_delivered(connection: sqlite3.Connection, job_id: JobId, *, now: datetime) -> bool:
    """Closes the entry, because the card is shown; returns False where it was closed. Runs inside a transaction."""
    closed = _close(connection, job_id, "delivered", None, now)
    if closed:
        _conclude(connection, job_id, JobStatus.DELIVERED)
    return closed


def give_up(connection: sqlite3.Connection, job_id: JobId, fault: DeliveryFault | None, *, now: datetime) -> None:
    """Closes the entry: nothing more is sent. Runs inside a transaction."""
    closed = _close(connection, job_id, "given_up", fault, now)
    if closed and _conclude(connection, job_id, JobStatus.UNDELIVERABLE):
        ledger.refund(connection, job_id, now=now)


def _close(connection: sqlite3.Connection, job_id: JobId, outcome: str, fault: DeliveryFault | None, now: datetime) -> bool:
    values = {"job_id": job_id, "outcome": outcome, "fault": fault, "now": to_micros(now)}
    return connection.execute(CLOSE, values).rowcount == 1


def _conclude(connection: sqlite3.Connection, job_id: JobId, status: JobStatus) -> bool:
    """Sets the status of a SUCCEEDED job; returns False for a failed or cancelled one, which keeps its status."""
    connection.execute(WIPE_TOKEN, (job_id,))
    return connection.execute(CONCLUDE, {"job_id": job_id, "status": status}).rowcount == 1
