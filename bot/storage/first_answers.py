"""Tracks whether members were shown their stored jobs: an interaction is answered after the commit, and may get lost.

Runs inside transactions.
"""

from __future__ import annotations

import sqlite3
from datetime import datetime

from bot.domain.job import JobId
from bot.storage import job_outcomes, outbox
from bot.storage.rows import to_micros

# The outbox entry of a job that was cancelled meanwhile must still be closed.
OWING = """--sql
SELECT id FROM jobs
WHERE shown_at IS NULL AND (
    status = 'queued' OR EXISTS (SELECT 1 FROM outbox WHERE job_id = jobs.id AND closed_at IS NULL)
)
ORDER BY seq
"""

SET_SHOWN = """--sql
UPDATE jobs SET shown_at = :now, message_id = COALESCE(:message_id, message_id)
WHERE id = :id AND shown_at IS NULL
"""

UNSHOWN = "SELECT 1 FROM jobs WHERE id = ? AND shown_at IS NULL"


def owing(connection: sqlite3.Connection) -> tuple[JobId, ...]:
    """Returns the jobs of which it is unknown whether they were shown, oldest first."""
    return tuple(row["id"] for row in connection.execute(OWING))


def set_shown(connection: sqlite3.Connection, job_id: JobId, *, message_id: int | None, now: datetime) -> bool:
    """Records that the job was shown; returns False where that was known before."""
    values = {"id": job_id, "message_id": message_id, "now": to_micros(now)}
    return connection.execute(SET_SHOWN, values).rowcount == 1


def withdraw(connection: sqlite3.Connection, job_id: JobId, *, now: datetime) -> bool:
    """Cancels and refunds a job that nobody was shown, and sends nothing; returns False when it was shown."""
    if connection.execute(UNSHOWN, (job_id,)).fetchone() is None:
        return False
    job_outcomes.cancel(connection, job_id, now=now)
    outbox.give_up(connection, job_id, None, now=now)
    return True
