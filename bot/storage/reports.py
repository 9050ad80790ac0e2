"""Stores members' reports in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime

from bot.domain.job import JobId
from bot.domain.report import Complaint, Filed, Outcome, Report, ReportMessage, Step
from bot.storage.database import Database
from bot.storage.members import remember_guild, remember_user
from bot.storage.rows import from_micros, to_micros

GET = "SELECT * FROM reports WHERE id = ?"
OPEN_OF_JOB = "SELECT id FROM reports WHERE job_id = ? AND closed_at IS NULL"
LATEST_OF_JOB = "SELECT * FROM reports WHERE job_id = ? ORDER BY id DESC LIMIT 1"
UNSEEN = """--sql
SELECT id FROM reports WHERE closed_at IS NULL AND message_id IS NULL AND id > :after ORDER BY id LIMIT :limit
"""
OUTDATED = """--sql
SELECT id FROM reports WHERE message_id IS NOT NULL AND shown_version < version AND id > :after ORDER BY id LIMIT :limit
"""

# One complaint a member; a message shows the first few, and how many more there are.
COMPLAINTS = "SELECT * FROM complaints WHERE report_id = ? ORDER BY reported_at, reporter_id LIMIT 1000"
FILED_BEFORE = """--sql
SELECT report_id FROM complaints JOIN reports ON id = report_id
WHERE reporter_id = :reporter_id AND job_id = :job_id
ORDER BY report_id DESC
LIMIT 1
"""
# Future times come from a clock that was set back since: they would count for years.
FILED_SINCE = """--sql
SELECT COUNT(*) FROM complaints WHERE reporter_id = :reporter_id AND reported_at > :since AND reported_at <= :now
"""

OPEN = "INSERT INTO reports (job_id, guild_id) VALUES (:job_id, :guild_id) RETURNING id"
COMPLAIN = """--sql
INSERT INTO complaints (report_id, reporter_id, reason, reported_at) VALUES (:report_id, :reporter_id, :reason, :now)
"""

SHOWN = """--sql
UPDATE reports SET channel_id = :channel_id, message_id = :message_id, shown_version = MAX(shown_version, :version)
WHERE id = :id
"""

# Every change of what a message shows counts the version up, in the same transaction.
COMPLAINED = "UPDATE reports SET version = version + 1 WHERE id = ?"
BLOCKED = """--sql
UPDATE reports SET blocked_by = :by, blocked_at = :at, version = version + 1 WHERE id = :id AND blocked_at IS NULL
"""
CLOSE = """--sql
UPDATE reports SET outcome = :outcome, closed_by = :by, closed_at = :at, version = version + 1
WHERE id = :id AND closed_at IS NULL
"""
JOBS_CHANGED = "UPDATE reports SET version = version + 1 WHERE job_id IN (SELECT value FROM json_each(?))"

# Only deleted jobs: a deletion that was asked for before the job has ended changes nothing.
CLOSE_ABOUT_JOB = """--sql
UPDATE reports SET outcome = 'removed', closed_by = :by, closed_at = :at, version = version + 1
WHERE closed_at IS NULL AND job_id = (SELECT id FROM jobs WHERE id = :job_id AND deleted_at IS NOT NULL)
"""
CLOSE_ABOUT_JOBS = """--sql
UPDATE reports SET outcome = 'removed', closed_by = :by, closed_at = :at, version = version + 1
WHERE closed_at IS NULL AND job_id IN (SELECT value FROM json_each(:job_ids))
"""

WITH_REASONS = "SELECT report_id FROM complaints WHERE reporter_id = :reporter_id AND reason <> '' LIMIT :limit"
REASONS_CHANGE = "UPDATE reports SET version = version + 1 WHERE id IN (SELECT value FROM json_each(:report_ids))"
FORGET_REASONS = """--sql
UPDATE complaints SET reason = ''
WHERE reporter_id = :reporter_id AND report_id IN (SELECT value FROM json_each(:report_ids))
"""


class SqliteReports:
    """Implements services.reports.ReportRepository. Closed reports stay, as the trail of who did what."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def file(self, complaint: Complaint, *, job_id: JobId, guild_id: int, most: int, since: datetime) -> Filed | None:
        return await self._database.transaction(
            lambda connection: _file(connection, complaint, job_id, guild_id, most=most, since=since)
        )

    async def get(self, report_id: int) -> Report:
        return await self._database.read(lambda connection: _get(connection, report_id))

    async def latest(self, job_id: JobId) -> Report | None:
        def select(connection: sqlite3.Connection) -> Report | None:
            row = connection.execute(LATEST_OF_JOB, (job_id,)).fetchone()
            return None if row is None else _report(connection, row)

        return await self._database.read(select)

    async def unseen(self, *, after: int, limit: int) -> tuple[int, ...]:
        return await self._ids(UNSEEN, after, limit)

    async def outdated(self, *, after: int, limit: int) -> tuple[int, ...]:
        return await self._ids(OUTDATED, after, limit)

    async def _ids(self, sql: str, after: int, limit: int) -> tuple[int, ...]:
        values = {"after": after, "limit": limit}
        return await self._database.walk(lambda connection: tuple(row["id"] for row in connection.execute(sql, values)))

    async def shown(self, report: Report, message: ReportMessage) -> None:
        values = {
            "id": report.id,
            "version": report.version,
            "channel_id": message.channel_id,
            "message_id": message.message_id,
        }
        await self._database.transaction(lambda connection: connection.execute(SHOWN, values))

    async def blocked(self, report_id: int, step: Step) -> None:
        await self._database.transaction(lambda connection: connection.execute(BLOCKED, _step_values(report_id, step)))

    async def close(self, report_id: int, outcome: Outcome, step: Step) -> bool:
        values = {**_step_values(report_id, step), "outcome": outcome}
        return await self._database.transaction(lambda connection: connection.execute(CLOSE, values).rowcount == 1)


def close_about_job(connection: sqlite3.Connection, job_id: JobId, step: Step) -> None:
    """Closes the open report about a deleted job."""
    connection.execute(CLOSE_ABOUT_JOB, {"job_id": job_id, "by": step.by, "at": to_micros(step.at)})


def close_about_jobs(connection: sqlite3.Connection, job_ids: Sequence[JobId], step: Step) -> None:
    """Closes the open reports about jobs that their member, who takes the step, had deleted."""
    connection.execute(CLOSE_ABOUT_JOBS, {"job_ids": json.dumps(list(job_ids)), "by": step.by, "at": to_micros(step.at)})


def forget_reasons(connection: sqlite3.Connection, reporter_id: int, *, limit: int) -> bool:
    """Forgets a member's reasons in some reports; that they complained stays with the server.

    Returns False when nothing was left.
    """
    found = connection.execute(WITH_REASONS, {"reporter_id": reporter_id, "limit": limit}).fetchall()
    values = {"reporter_id": reporter_id, "report_ids": json.dumps([row["report_id"] for row in found])}
    connection.execute(REASONS_CHANGE, values)
    connection.execute(FORGET_REASONS, values)
    return bool(found)


def jobs_changed(connection: sqlite3.Connection, job_ids: Sequence[JobId]) -> None:
    """Counts up the version of reports whose messages may show something of the jobs that was removed."""
    connection.execute(JOBS_CHANGED, (json.dumps(list(job_ids)),))


def _file(
    connection: sqlite3.Connection, complaint: Complaint, job_id: JobId, guild_id: int, *, most: int, since: datetime
) -> Filed | None:
    now = complaint.reported_at
    values = {
        "job_id": job_id,
        "guild_id": guild_id,
        "reporter_id": complaint.reporter_id,
        "since": to_micros(since),
        "now": to_micros(now),
    }
    before = connection.execute(FILED_BEFORE, values).fetchone()
    if before is not None:
        return Filed(report=_get(connection, before["report_id"]), is_new=False)
    if connection.execute(FILED_SINCE, values).fetchone()[0] >= most:
        return None
    remember_user(connection, complaint.reporter_id, now=now)
    remember_guild(connection, guild_id, now=now)
    found = connection.execute(OPEN_OF_JOB, (job_id,)).fetchone() or connection.execute(OPEN, values).fetchone()
    report_id: int = found["id"]
    connection.execute(COMPLAIN, {**values, "report_id": report_id, "reason": complaint.reason})
    connection.execute(COMPLAINED, (report_id,))
    return Filed(report=_get(connection, report_id), is_new=True)


def _get(connection: sqlite3.Connection, report_id: int) -> Report:
    return _report(connection, connection.execute(GET, (report_id,)).fetchone())


def _report(connection: sqlite3.Connection, row: sqlite3.Row) -> Report:
    return Report(
        id=row["id"],
        job_id=row["job_id"],
        guild_id=row["guild_id"],
        complaints=tuple(_complaint(said) for said in connection.execute(COMPLAINTS, (row["id"],))),
        message=None
        if row["message_id"] is None
        else ReportMessage(channel_id=row["channel_id"], message_id=row["message_id"]),
        blocked=_step(row["blocked_by"], row["blocked_at"]),
        outcome=None if row["outcome"] is None else Outcome(row["outcome"]),
        closed=_step(row["closed_by"], row["closed_at"]),
        version=row["version"],
        shown_version=row["shown_version"],
    )


def _complaint(row: sqlite3.Row) -> Complaint:
    return Complaint(reporter_id=row["reporter_id"], reason=row["reason"], reported_at=from_micros(row["reported_at"]))


def _step(by: int | None, at: int | None) -> Step | None:
    return None if by is None or at is None else Step(by=by, at=from_micros(at))


def _step_values(report_id: int, step: Step) -> dict[str, object]:
    return {"id": report_id, "by": step.by, "at": to_micros(step.at)}
