"""Stores jobs and their pictures in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime

from bot.domain.eta import DrawnJob
from bot.domain.image import StoredImage
from bot.domain.job import INTERRUPTED, Job, JobId, NewJob, Origin, new_job_id
from bot.domain.quota import Limits, Payment, StepsTaken
from bot.domain.report import Step
from bot.errors import NotAllowedError, NotFoundError
from bot.messages import Message
from bot.ports import Ahead, Recovery, Submission, Waiting
from bot.storage import fair_turns, first_answers, job_outcomes, ledger, queue
from bot.storage.database import Database
from bot.storage.members import remember_guild, remember_user
from bot.storage.moderation import find_block
from bot.storage.reports import close_about_job
from bot.storage.rows import drawn_from_row, image_from_row, job_from_row, new_job_row, to_micros

TAKEN_BACK = "This request was deleted while its picture was read, so nothing was drawn."

KNOWN = "SELECT * FROM jobs WHERE interaction_id = ?"
END_INTAKE = "DELETE FROM intakes WHERE interaction_id = ?"

ADD = """--sql
INSERT INTO jobs (
    id, interaction_id, user_id, guild_id, status, request, work, channel_id, message_id, application_id, token,
    token_expires_at, upload_limit, parent_id, parent_relation, parent_image_index, created_at, weight,
    rating, spoiler, shown_at, age_restricted, parent_channel_id, language, visibility
)
VALUES (
    :id, :interaction_id, :user_id, :guild_id, :status, :request, :work, :channel_id, :message_id, :application_id, :token,
    :token_expires_at, :upload_limit, :parent_id, :parent_relation, :parent_image_index, :created_at, :weight,
    :rating, :spoiler, :shown_at, :age_restricted, :parent_channel_id, :language, :visibility
)
"""

# The order needs only the index; whole rows are read only for listed jobs.
WAITING = """--sql
SELECT jobs.* FROM jobs JOIN (
    SELECT seq FROM jobs WHERE {owner} = :owner AND status IN ('queued', 'running')
    ORDER BY status = 'queued', finish_tag, seq
    LIMIT :limit
) USING (seq)
ORDER BY status = 'queued', finish_tag, seq
"""
COUNT_WAITING = "SELECT COUNT(*) FROM jobs WHERE {owner} = :owner AND status IN ('queued', 'running')"
OF_MEMBER, OF_GUILD = "user_id", "guild_id"

WAITING_FOR = """--sql
SELECT jobs.* FROM queue_line AS line JOIN jobs ON jobs.seq = line.seq
WHERE line.shown_at IS NOT NULL AND (
    :any
    OR json_extract(jobs.request, '$.style') IN (SELECT value FROM json_each(:styles))
    OR EXISTS (
        SELECT 1 FROM json_each(jobs.request, '$.more_styles') AS more
        WHERE json_extract(more.value, '$.name') IN (SELECT value FROM json_each(:styles))
    )
)
ORDER BY line.seq
LIMIT :limit
"""

RECENT = """--sql
SELECT id, started_at, finished_at, work, json_extract(request, '$.num_images') AS pictures
FROM jobs WHERE status IN ('succeeded', 'delivered', 'undeliverable')
ORDER BY finished_at DESC
LIMIT ?
"""

LINE = "SELECT * FROM jobs WHERE status = 'queued' AND shown_at IS NOT NULL ORDER BY seq LIMIT ?"

SET_MESSAGE = "UPDATE jobs SET channel_id = :channel_id, message_id = :message_id WHERE id = :id"

MARK_DELETED = """--sql
UPDATE jobs SET deleted_at = :now
WHERE id = :id AND finished_at IS NOT NULL AND deleted_at IS NULL
"""

# A deleted job no longer needs its upload; another job with the same upload keeps it. An upscale starts from another job's
# picture, which stays with that job.
UNNEEDED_UPLOAD = """--sql
WITH gone AS (SELECT json_extract(request, '$.init_image.key') AS key FROM jobs WHERE id = :id AND deleted_at IS NOT NULL)
SELECT key FROM gone
WHERE key IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM jobs WHERE json_extract(request, '$.init_image.key') = gone.key AND deleted_at IS NULL
) AND NOT EXISTS (SELECT 1 FROM images WHERE images.key = gone.key)
"""

# Every table with keys of files has its line here, so that the sweep leaves them alone.
UNKNOWN_KEYS = """--sql
SELECT value FROM json_each(:keys)
WHERE NOT EXISTS (SELECT 1 FROM images WHERE key = value)
    AND NOT EXISTS (SELECT 1 FROM jobs WHERE json_extract(request, '$.init_image.key') = value AND deleted_at IS NULL)
"""


class SqliteJobs:
    """Implements ports.JobRepository."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: NewJob, *, limits: Limits, now: datetime) -> Submission:
        return await self._database.transaction(lambda connection: _add(connection, new, limits, now))

    async def check(self, new: NewJob, *, limits: Limits, now: datetime) -> None:
        def look(connection: sqlite3.Connection) -> None:
            if connection.execute(KNOWN, (new.origin.interaction_id,)).fetchone() is None:
                check_new(connection, new, limits, now)

        await self._database.read(look)

    async def get(self, job_id: JobId) -> Job | None:
        def select(connection: sqlite3.Connection) -> Job | None:
            row = connection.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
            return None if row is None else job_from_row(row)

        return await self._database.read(select)

    async def images(self, job_id: JobId) -> tuple[StoredImage, ...]:
        def select(connection: sqlite3.Connection) -> tuple[StoredImage, ...]:
            rows = connection.execute("SELECT * FROM images WHERE job_id = ? ORDER BY image_index", (job_id,))
            return tuple(image_from_row(row) for row in rows)

        return await self._database.read(select)

    async def claim(self, *, now: datetime, lease_until: datetime, batch: int, unfetched: Collection[str] = ()) -> Job | None:
        return await self._database.transaction(
            lambda connection: queue.claim(connection, now=now, lease_until=lease_until, batch=batch, unfetched=unfetched)
        )

    async def waiting_for(self, styles: Collection[str] | None, *, limit: int) -> tuple[Job, ...]:
        values = {"any": styles is None, "styles": json.dumps(sorted(styles or ())), "limit": limit}
        return await self._database.read(
            lambda connection: tuple(job_from_row(row) for row in connection.execute(WAITING_FOR, values))
        )

    async def fail_waiting(self, job_id: JobId, reason: Message, *, now: datetime) -> bool:
        return await self._database.transaction(
            lambda connection: job_outcomes.fail_waiting(connection, job_id, reason, now=now)
        )

    async def extend_lease(self, job_id: JobId, attempt: int, *, lease_until: datetime) -> bool:
        return await self._database.transaction(
            lambda connection: queue.extend_lease(connection, job_id, attempt, lease_until=lease_until)
        )

    async def finish(self, job_id: JobId, attempt: int, images: Sequence[StoredImage], *, now: datetime) -> bool:
        return await self._database.transaction(
            lambda connection: job_outcomes.finish(connection, job_id, attempt, images, now=now)
        )

    async def fail(self, job_id: JobId, attempt: int, reason: Message, *, now: datetime) -> bool:
        return await self._database.transaction(
            lambda connection: job_outcomes.fail(connection, job_id, attempt, reason, now=now)
        )

    async def put_back(self, job_id: JobId, attempt: int, *, aborted: bool) -> bool:
        return await self._database.transaction(lambda connection: queue.put_back(connection, job_id, attempt, aborted=aborted))

    async def withhold(self, job_id: JobId, attempt: int, *, now: datetime) -> bool:
        return await self._database.transaction(lambda connection: job_outcomes.withhold(connection, job_id, attempt, now=now))

    async def keep_back(self, job_id: JobId, reason: Message, *, now: datetime) -> tuple[str, ...] | None:
        return await self._database.transaction(lambda connection: job_outcomes.keep_back(connection, job_id, reason, now=now))

    async def cancel(self, job_id: JobId, *, now: datetime, taken: StepsTaken | None = None) -> bool:
        return await self._database.transaction(
            lambda connection: job_outcomes.cancel(connection, job_id, now=now, taken=taken)
        )

    async def cancel_all(self, user_id: int, *, guild_id: int, now: datetime) -> tuple[JobId, ...]:
        cancelled: list[JobId] = []
        while portion := await self._database.transaction(
            lambda connection: job_outcomes.cancel_all(
                connection, user_id, now=now, guild_id=guild_id, limit=job_outcomes.WAITING_PORTION
            )
        ):
            cancelled += portion
        return tuple(cancelled)

    async def recover(self, *, now: datetime, expired_only: bool, sentence: Message = INTERRUPTED) -> Recovery:
        return await self._database.transaction(
            lambda connection: queue.recover(connection, now=now, expired_only=expired_only, sentence=sentence)
        )

    async def ahead(self, job_id: JobId) -> Ahead | None:
        return await self._database.read(lambda connection: queue.ahead(connection, job_id))

    async def waiting(self, user_id: int, *, limit: int) -> Waiting:
        return await self._database.walk(lambda connection: _waiting(connection, OF_MEMBER, user_id, limit))

    async def waiting_in(self, guild_id: int, *, limit: int) -> Waiting:
        return await self._database.walk(lambda connection: _waiting(connection, OF_GUILD, guild_id, limit))

    async def backlog(self) -> int:
        return await self._database.read(queue.backlog)

    async def counts(self) -> dict[str, int]:
        return await self._database.walk(
            lambda connection: dict(connection.execute("SELECT status, COUNT(*) FROM jobs GROUP BY status").fetchall())
        )

    async def recent(self, limit: int) -> tuple[DrawnJob, ...]:
        return await self._database.read(
            lambda connection: tuple(drawn_from_row(row) for row in connection.execute(RECENT, (limit,)))
        )

    async def line(self, limit: int) -> tuple[Job, ...]:
        return await self._database.read(
            lambda connection: tuple(job_from_row(row) for row in connection.execute(LINE, (limit,)))
        )

    async def set_message(self, job_id: JobId, *, channel_id: int, message_id: int) -> None:
        values = {"id": job_id, "channel_id": channel_id, "message_id": message_id}
        await self._database.transaction(lambda connection: connection.execute(SET_MESSAGE, values).rowcount)

    async def owing_an_answer(self) -> tuple[JobId, ...]:
        return await self._database.read(first_answers.owing)

    async def set_shown(self, job_id: JobId, *, message_id: int | None, now: datetime) -> bool:
        return await self._database.transaction(
            lambda connection: first_answers.set_shown(connection, job_id, message_id=message_id, now=now)
        )

    async def withdraw(self, job_id: JobId, *, now: datetime) -> bool:
        return await self._database.transaction(lambda connection: first_answers.withdraw(connection, job_id, now=now))

    async def mark_deleted(self, job_id: JobId, *, by: int, now: datetime) -> tuple[str, ...]:
        return await self._database.transaction(lambda connection: _mark_deleted(connection, job_id, Step(by=by, at=now)))

    async def unknown_keys(self, keys: Sequence[str]) -> frozenset[str]:
        values = {"keys": json.dumps(list(keys))}
        return await self._database.walk(
            lambda connection: frozenset(row["value"] for row in connection.execute(UNKNOWN_KEYS, values))
        )


def _waiting(connection: sqlite3.Connection, owner: str, owner_id: int, limit: int) -> Waiting:
    rows = connection.execute(WAITING.format(owner=owner), {"owner": owner_id, "limit": limit})
    jobs = tuple(job_from_row(row) for row in rows)
    total: int = connection.execute(COUNT_WAITING.format(owner=owner), {"owner": owner_id}).fetchone()[0]
    return Waiting(jobs=jobs, total=total)


def _add(connection: sqlite3.Connection, new: NewJob, limits: Limits, now: datetime) -> Submission:
    origin = new.origin
    known = connection.execute(KNOWN, (origin.interaction_id,)).fetchone()
    if known is not None:
        return Submission(job=job_from_row(known), created=False)
    was_open = connection.execute(END_INTAKE, (origin.interaction_id,)).rowcount == 1
    if new.from_intake and not was_open:
        raise NotFoundError(TAKEN_BACK)
    payment = check_new(connection, new, limits, now)
    remember_user(connection, origin.user_id, now=now)
    if origin.guild_id is not None:
        remember_guild(connection, origin.guild_id, now=now)
    fair_turns.end_idle_time(connection)
    job_id = new_job_id()
    connection.execute(ADD, {**new_job_row(new, job_id, now), "weight": limits.weight})
    ledger.reserve(connection, job_id, origin, payment, now=now)
    fair_turns.assign(connection, origin.user_id)
    added = connection.execute(KNOWN, (origin.interaction_id,)).fetchone()  # including the price that the ledger wrote
    return Submission(job=job_from_row(added), created=True)


def check_new(connection: sqlite3.Connection, new: NewJob, limits: Limits, now: datetime) -> Payment:
    """Returns the payment for the job. Raises NotAllowedError for a blocked member, QuotaError without enough credits."""
    _check_block(connection, new.origin, now)
    return ledger.check(connection, new, limits, now=now)


def _check_block(connection: sqlite3.Connection, origin: Origin, now: datetime) -> None:
    """Raises NotAllowedError for a blocked member; in this transaction, as a block cancels what waits and none may slip in."""
    block = None if origin.guild_id is None else find_block(connection, origin.guild_id, origin.user_id, now=now)
    if block is not None:
        raise NotAllowedError(block.sentence)


def _mark_deleted(connection: sqlite3.Connection, job_id: JobId, step: Step) -> tuple[str, ...]:
    connection.execute(MARK_DELETED, {"id": job_id, "now": to_micros(step.at)})
    uploads = connection.execute(UNNEEDED_UPLOAD, {"id": job_id}).fetchall()
    close_about_job(connection, job_id, step)
    # The sweep of the next start finds files that a crash after this keeps from being removed.
    rows = connection.execute("DELETE FROM images WHERE job_id = ? RETURNING key", (job_id,)).fetchall()
    return tuple(row["key"] for row in (*rows, *uploads))
