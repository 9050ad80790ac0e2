"""Settles a backup that was put back: it does not know what happened after it was made.

So nothing in it is drawn or posted again: waiting jobs end CANCELLED, and cards are edited at most. What members and moderators
removed since then is read from the databases that restores moved aside, and removed again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from bot.domain.job import JobId
from bot.domain.report import Step
from bot.ports import ImageStore
from bot.storage import job_outcomes, outbox
from bot.storage.backup import BACKUP_AT
from bot.storage.database import Database
from bot.storage.members import remember_guild, remember_user
from bot.storage.meta import SET
from bot.storage.reports import close_about_job
from bot.storage.restore import moved_aside
from bot.storage.retention import content_of, forget
from bot.storage.rows import from_micros, to_micros
from bot.storage.set_aside import Aside, Gone, Place, Row

RESTORED_AT = "restored_at"
PORTION = 100

IS_COPY = "SELECT 1 FROM meta WHERE name = ?"
WITH_WAITING = "SELECT DISTINCT user_id FROM jobs WHERE status IN ('queued', 'running') ORDER BY user_id"
FORGET_INTAKES = "DELETE FROM intakes"
EDIT_ONLY = "UPDATE outbox SET edits_only = 1 WHERE closed_at IS NULL"
OPEN_ENTRIES = "SELECT job_id FROM outbox WHERE closed_at IS NULL ORDER BY job_id"

PLACE = """--sql
UPDATE jobs SET
    shown_at = COALESCE(shown_at, :shown_at), channel_id = IIF(:channel_id = 0, channel_id, :channel_id),
    message_id = COALESCE(:message_id, message_id)
WHERE id = :id
"""

# The erasure includes what the member had asked for by then; a member who is unknown here has nothing here.
WISH = """--sql
INSERT INTO erasures (user_id, requested_at, up_to, leaves_traces)
SELECT :user_id, :requested_at, covered.up_to, 1
FROM (
    SELECT IFNULL(MAX(seq), 0) AS up_to FROM jobs
    WHERE user_id = :user_id AND seq <= :up_to AND created_at <= IFNULL(:erased_at, created_at)
) AS covered
WHERE EXISTS (SELECT 1 FROM users WHERE id = :user_id) AND NOT EXISTS (
    SELECT 1 FROM erasures AS known
    WHERE known.user_id = :user_id AND known.requested_at = :requested_at AND known.up_to >= covered.up_to
)
ON CONFLICT (user_id) WHERE erased_at IS NULL DO UPDATE SET up_to = MAX(up_to, excluded.up_to), leaves_traces = 1
"""
FORGET_DEFAULTS = "DELETE FROM preferences WHERE user_id = :user_id AND changed_at <= IFNULL(:erased_at, changed_at)"

# So that moderators are not shown a report a second time.
REPORTED = """--sql
UPDATE reports SET channel_id = :channel_id, message_id = :message_id, shown_version = MIN(version, :shown_version)
WHERE id = :id AND job_id = :job_id AND message_id IS NULL
"""

KNOWN_BLOCK = """--sql
SELECT id, lifted_at FROM blocks
WHERE guild_id = :guild_id AND user_id = :user_id AND blocked_by = :blocked_by AND blocked_at = :blocked_at
"""
LIFT = "UPDATE blocks SET lifted_by = :lifted_by, lifted_at = :lifted_at WHERE id = :id"
CLOSE_BLOCK = """--sql
UPDATE blocks SET
    lifted_by = IIF(ends_at <= :blocked_at, NULL, :blocked_by),
    lifted_at = IIF(ends_at <= :blocked_at, ends_at, :blocked_at)
WHERE guild_id = :guild_id AND user_id = :user_id AND lifted_at IS NULL
"""
BLOCK = """--sql
INSERT INTO blocks (guild_id, user_id, reason, blocked_by, blocked_at, ends_at, lifted_by, lifted_at)
VALUES (:guild_id, :user_id, :reason, :blocked_by, :blocked_at, :ends_at, :lifted_by, :lifted_at)
"""

STILL_THERE = """--sql
SELECT id FROM jobs
WHERE id IN (SELECT value FROM json_each(?)) AND words_removed_at IS NULL AND (pictures_removed_at IS NULL OR {words})
"""
MARK_DELETED = "UPDATE jobs SET deleted_at = COALESCE(deleted_at, :now) WHERE id = :id"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The result of `settle`. `unread`: the parts of the databases moved aside that could not be read."""

    cancelled: int
    erasures: int
    blocks: int
    removed: int
    unread: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """Returns the result as a sentence for the operator."""
        told = (
            f"Jobs that waited in the backup, cancelled at no cost: {self.cancelled}. Done again of what came after it: "
            f"erasures {self.erasures}, blocks {self.blocks}, removals {self.removed}."
        )
        if self.unread:
            told += f" Not done again, since the database that was moved aside cannot be read there: {', '.join(self.unread)}."
        return told


async def restored_at(database: Database) -> datetime | None:
    """Returns when a backup was last put back here; None: never."""

    def select(connection: sqlite3.Connection) -> datetime | None:
        row = connection.execute("SELECT value FROM meta WHERE name = ?", (RESTORED_AT,)).fetchone()
        return None if row is None else from_micros(int(row["value"]))

    return await database.read(select)


async def settle(database: Database, store: ImageStore, *, now: datetime) -> Settled | None:
    """Makes a restored backup ready to serve, before anything else uses it; returns None for any other database.

    If it is interrupted, the next start repeats it.
    """
    if not await database.read(lambda connection: connection.execute(IS_COPY, (BACKUP_AT,)).fetchone() is not None):
        return None
    asides = [Aside(path) for path in moved_aside(database.path)]
    cancelled = await _end_waiting(database, now)
    for aside in asides:
        await _adopt_ends(database, aside, now)
    erasures = blocks = removed = 0
    for aside in asides:
        wishes, blocked = await asyncio.to_thread(aside.erasures), await asyncio.to_thread(aside.blocks)
        erasures += await database.transaction(lambda connection, wishes=wishes: _wish_again(connection, wishes))
        blocks += await database.transaction(lambda connection, blocked=blocked: _block_again(connection, blocked))
        reports = await asyncio.to_thread(aside.reports)
        await database.transaction(lambda connection, reports=reports: connection.executemany(REPORTED, reports).rowcount)
        removed += await _remove_again(database, store, aside, now)

    def conclude(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM meta WHERE name = ?", (BACKUP_AT,))
        connection.execute(SET, (RESTORED_AT, str(to_micros(now))))

    await database.transaction(conclude)
    unread = tuple(dict.fromkeys(what for aside in asides for what in aside.unread))
    settled = Settled(cancelled=cancelled, erasures=erasures, blocks=blocks, removed=removed, unread=unread)
    log.info("A backup was put back. %s", settled.sentence)
    return settled


async def _end_waiting(database: Database, now: datetime) -> int:
    cancelled = 0
    for user_id in await database.walk(lambda connection: [row["user_id"] for row in connection.execute(WITH_WAITING)]):
        while portion := await database.transaction(
            lambda connection, user_id=user_id: job_outcomes.cancel_all(
                connection, user_id, now=now, limit=job_outcomes.WAITING_PORTION
            )
        ):
            cancelled += len(portion)

    def keep_still(connection: sqlite3.Connection) -> None:
        connection.execute(FORGET_INTAKES)
        connection.execute(EDIT_ONLY)

    await database.transaction(keep_still)
    return cancelled


async def _adopt_ends(database: Database, aside: Aside, now: datetime) -> None:
    """Adopts, from the databases moved aside, the ends of jobs shown after the backup, and the newer places of cards."""
    open_entries = iter(await database.walk(lambda connection: [row["job_id"] for row in connection.execute(OPEN_ENTRIES)]))
    while portion := list(islice(open_entries, PORTION)):
        places = await asyncio.to_thread(aside.places, portion)
        await database.transaction(lambda connection, places=places: _adopt(connection, places, now))


def _adopt(connection: sqlite3.Connection, places: Sequence[Place], now: datetime) -> None:
    for job in places:
        values = {"id": job.job_id, "shown_at": job.shown_at, "channel_id": job.channel_id, "message_id": job.message_id}
        connection.execute(PLACE, values)
        if job.outcome == "delivered":
            outbox.close_as_delivered(connection, job.job_id, now=now)
        elif job.outcome is not None:
            outbox.give_up(connection, job.job_id, None, now=now)


def _wish_again(connection: sqlite3.Connection, erasures: Iterable[Row]) -> int:
    wishes = 0
    for erasure in erasures:
        if connection.execute(WISH, erasure).rowcount:
            connection.execute(FORGET_DEFAULTS, erasure)
            wishes += 1
    return wishes


def _block_again(connection: sqlite3.Connection, blocks: Iterable[Row]) -> int:
    changed = 0
    for block in blocks:
        known = connection.execute(KNOWN_BLOCK, block).fetchone()
        if known is None:
            at = from_micros(block["blocked_at"])
            remember_guild(connection, block["guild_id"], now=at)
            remember_user(connection, block["user_id"], now=at)
            if block["lifted_at"] is None:
                connection.execute(CLOSE_BLOCK, block)
            connection.execute(BLOCK, block)
        elif known["lifted_at"] is None and block["lifted_at"] is not None:
            connection.execute(LIFT, {**block, "id": known["id"]})
        else:
            continue
        changed += 1
    return changed


async def _remove_again(database: Database, store: ImageStore, aside: Aside, now: datetime) -> int:
    removed = 0
    pages = aside.gone()
    while page := await asyncio.to_thread(next, pages, None):
        for words in (True, False):
            gone = {job.job_id: job for job in page if job.words is words}
            removed += await _remove(database, store, gone, words=words, now=now)
    return removed


async def _remove(database: Database, store: ImageStore, gone: Mapping[JobId, Gone], *, words: bool, now: datetime) -> int:
    """Removes files first, then rows: an interrupted removal is still known to the database, and repeated."""
    sql = STILL_THERE.format(words=int(words))
    content = await database.walk(
        lambda connection: content_of(connection, connection.execute(sql, (json.dumps(list(gone)),)).fetchall())
    )
    await store.delete(content.keys)

    def forget_them(connection: sqlite3.Connection) -> None:
        forget(connection, content.job_ids, words=words, now=now)
        for job_id in content.job_ids:
            if gone[job_id].deleted:
                connection.execute(MARK_DELETED, {"id": job_id, "now": to_micros(now)})
                close_about_job(connection, job_id, Step(by=gone[job_id].user_id, at=now))

    if content.job_ids:
        await database.transaction(forget_them)
    return len(content.job_ids)
