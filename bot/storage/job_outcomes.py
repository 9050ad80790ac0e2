"""Ends jobs: the move, its outbox entry and its posting together. Runs inside transactions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime

from bot.domain.image import StoredImage
from bot.domain.job import JobId, JobStatus, made_at
from bot.domain.quota import FREE_WITHHELD, StepsTaken, price_of_steps
from bot.domain.request import GenerationRequest
from bot.domain.withholding import withheld
from bot.messages import Message
from bot.storage import fair_turns, ledger
from bot.storage.rows import failure_row, image_row, to_micros

END_ATTEMPT = """--sql
UPDATE jobs
SET status = :status, failure = :failure, failure_args = :failure_args, finished_at = :now, lease_until = NULL
WHERE id = :id AND status = 'running' AND attempt = :attempt
"""

WHOSE = "SELECT user_id, interaction_id FROM jobs WHERE id = ?"
CANCELLABLE = "SELECT user_id, request, status, attempt FROM jobs WHERE id = ? AND status IN ('queued', 'running')"
CANCEL = "UPDATE jobs SET status = 'cancelled', finished_at = :now, lease_until = NULL WHERE id = :id"
KEEP_BACK = """--sql
UPDATE jobs SET status = 'failed', failure = :failure, failure_args = :failure_args
WHERE id = :id AND status = 'succeeded'
"""
SAY_WHY = "UPDATE jobs SET failure = :failure, failure_args = :failure_args WHERE id = :id"
FAIL_WAITING = """--sql
UPDATE jobs
SET status = 'failed', failure = :failure, failure_args = :failure_args, finished_at = :now
WHERE id = :id AND status = 'queued'
RETURNING user_id
"""

WAITING_PORTION = 10  # jobs cancelled in one transaction: some 5 ms, and a commit

WAITING = """--sql
SELECT id FROM jobs
WHERE user_id = :user_id AND status IN ('queued', 'running') AND (:guild_id IS NULL OR guild_id = :guild_id)
    AND (:up_to IS NULL OR seq <= :up_to)
LIMIT :limit
"""

ADD_IMAGE = """--sql
INSERT INTO images (job_id, image_index, key, seed, width, height, parameters, size_bytes, rating)
VALUES (:job_id, :image_index, :key, :seed, :width, :height, :parameters, :size_bytes, :rating)
"""

OPEN_ENTRY = """--sql
INSERT INTO outbox (job_id, created_at, next_attempt_at, waits_since) VALUES (:job_id, :now, :now, :now)
"""


def finish(
    connection: sqlite3.Connection, job_id: JobId, attempt: int, images: Sequence[StoredImage], *, now: datetime
) -> bool:
    """Marks the job SUCCEEDED; returns False when the attempt no longer has it."""
    if not _end_attempt(connection, job_id, attempt, JobStatus.SUCCEEDED, None, now):
        return False
    connection.executemany(ADD_IMAGE, [image_row(job_id, image) for image in images])
    ledger.charge(connection, job_id, now=now)
    fair_turns.drawn(connection, job_id)
    return True


def fail(connection: sqlite3.Connection, job_id: JobId, attempt: int, reason: Message, *, now: datetime) -> bool:
    """Marks the job FAILED; returns False when the attempt no longer has it."""
    if not _end_attempt(connection, job_id, attempt, JobStatus.FAILED, reason, now):
        return False
    ledger.refund(connection, job_id, now=now)
    return True


def withhold(connection: sqlite3.Connection, job_id: JobId, attempt: int, *, now: datetime) -> bool:
    """Marks the job FAILED, as its pictures go further than allowed; returns False when the attempt no longer has it.

    It is free FREE_WITHHELD times a day, and costs its price from then on.
    """
    row = connection.execute(WHOSE, (job_id,)).fetchone()
    if row is None or not _end_attempt(connection, job_id, attempt, JobStatus.FAILED, withheld(1, 0), now):
        return False
    asked_at = made_at(row["interaction_id"], otherwise=now)
    count, credits = ledger.count_withheld(connection, row["user_id"], asked_at=asked_at), ledger.price_of(connection, job_id)
    if count > FREE_WITHHELD:
        ledger.charge(connection, job_id, now=now)
    else:
        ledger.refund(connection, job_id, now=now)
    connection.execute(SAY_WHY, {"id": job_id, **failure_row(withheld(count, credits))})
    return True


def keep_back(connection: sqlite3.Connection, job_id: JobId, reason: Message, *, now: datetime) -> tuple[str, ...] | None:
    """Marks a job FAILED whose pictures wait to be shown, with the whole refund; returns the keys of files to remove."""
    if connection.execute(KEEP_BACK, {"id": job_id, **failure_row(reason)}).rowcount != 1:
        return None
    ledger.refund(connection, job_id, now=now)
    rows = connection.execute("DELETE FROM images WHERE job_id = ? RETURNING key", (job_id,)).fetchall()
    return tuple(row["key"] for row in rows)


def fail_waiting(connection: sqlite3.Connection, job_id: JobId, reason: Message, *, now: datetime) -> bool:
    """Marks a QUEUED job FAILED; returns False when it was not QUEUED."""
    failed = connection.execute(FAIL_WAITING, {"id": job_id, **failure_row(reason), "now": to_micros(now)}).fetchall()
    if not failed:
        return False
    _open_entry(connection, job_id, now)
    ledger.refund(connection, job_id, now=now)
    fair_turns.assign(connection, failed[0]["user_id"])
    return True


def cancel(connection: sqlite3.Connection, job_id: JobId, *, now: datetime, taken: StepsTaken | None = None) -> bool:
    """Marks the job CANCELLED; returns False when it had ended. `taken`: what its member has to pay for."""
    user_id = _cancel(connection, job_id, now, taken)
    if user_id is None:
        return False
    fair_turns.assign(connection, user_id)
    return True


def cancel_all(
    connection: sqlite3.Connection,
    user_id: int,
    *,
    now: datetime,
    limit: int,
    guild_id: int | None = None,
    up_to: int | None = None,
    taken: Mapping[JobId, StepsTaken] | None = None,
) -> tuple[JobId, ...]:
    """Cancels a portion of the member's jobs that had not ended; returns their ids, none when none are left.

    In one server or (None) everywhere; all jobs, or those up to the place `up_to` in the order of arrival.
    """
    wanted = {"user_id": user_id, "guild_id": guild_id, "up_to": up_to, "limit": limit}
    waiting = connection.execute(WAITING, wanted).fetchall()
    for row in waiting:
        _cancel(connection, row["id"], now, (taken or {}).get(row["id"]))
    if waiting:
        fair_turns.assign(connection, user_id)  # once a portion: each assignment of turns reads the whole queue
    return tuple(row["id"] for row in waiting)


def _cancel(connection: sqlite3.Connection, job_id: JobId, now: datetime, taken: StepsTaken | None) -> int | None:
    """Cancels the job and returns its member's id; None where it had ended."""
    row = connection.execute(CANCELLABLE, (job_id,)).fetchone()
    if row is None:
        return None
    connection.execute(CANCEL, {"id": job_id, "now": to_micros(now)})
    _open_entry(connection, job_id, now)
    ledger.charge_part(connection, job_id, _owed(row, taken), now=now)
    user_id: int = row["user_id"]
    return user_id


def _owed(row: sqlite3.Row, taken: StepsTaken | None) -> int:
    """Returns the credits for the running attempt's steps; those of earlier attempts were lost by a fault of ours."""
    if taken is None or row["status"] != JobStatus.RUNNING or row["attempt"] != taken.attempt:
        return 0
    return price_of_steps(GenerationRequest.from_dict(json.loads(row["request"])), taken.steps)


def _end_attempt(
    connection: sqlite3.Connection, job_id: JobId, attempt: int, status: JobStatus, failure: Message | None, now: datetime
) -> bool:
    why = {"failure": None, "failure_args": None} if failure is None else failure_row(failure)
    values = {"id": job_id, "attempt": attempt, "status": status, **why, "now": to_micros(now)}
    if connection.execute(END_ATTEMPT, values).rowcount != 1:
        return False
    _open_entry(connection, job_id, now)
    return True


def _open_entry(connection: sqlite3.Connection, job_id: JobId, now: datetime) -> None:
    connection.execute(OPEN_ENTRY, {"job_id": job_id, "now": to_micros(now)})
