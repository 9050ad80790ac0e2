"""Removes old pictures and words, and their traces, from the database, in portions. The image store removes files."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from bot.domain.clocks import StoredTimes
from bot.domain.job import FIRST_ID, JobId, id_made_at, made_at
from bot.domain.privacy import FOR_GOOD, REMOVED, Content, KeepingTimes
from bot.storage.database import Database
from bot.storage.log_marks import files_of
from bot.storage.meta import SET
from bot.storage.reports import jobs_changed
from bot.storage.restore import ASIDE
from bot.storage.rows import from_micros, to_micros

PORTION = 10  # jobs in one transaction, so that the writer is free soon: 5 ms with the longest words, and a commit
SERVERS = 200  # keys in one page
LATEST = timedelta(days=1)  # after now; jobs that ended later than that have a wrong time
FAILED_ONCE = "The reason was deleted."

TOLD_BY = "ages_told_by"
NEWEST = "SELECT interaction_id, created_at FROM jobs ORDER BY seq DESC LIMIT 1"

TIMES = """--sql
SELECT guild_id, json_extract(document, '$.picture_days') AS picture_days, json_extract(document, '$.prompt_days') AS word_days
FROM guild_settings
"""

TIMES_AFTER = f"{TIMES} WHERE guild_id > :after ORDER BY guild_id LIMIT :limit"
TIMES_OF = f"{TIMES} WHERE guild_id = ?"

# A final card that is still to be shown needs its content. No job is older than Discord's id of the event that asked for it,
# though our clock may have been years behind when the job ended; numbers below :timed are no such ids. A job that ended after
# :latest ended under a clock that was ahead, and would be kept for years: the id alone tells its age.
EXPIRED = """--sql
SELECT id FROM jobs
WHERE {where}finished_at < :before AND {mark} IS NULL
    AND (interaction_id < :timed OR interaction_id < :asked_before)
    AND NOT EXISTS (SELECT 1 FROM outbox WHERE job_id = jobs.id AND closed_at IS NULL)
UNION ALL
SELECT id FROM jobs
WHERE {where}finished_at > :latest AND {mark} IS NULL
    AND +interaction_id >= :timed AND +interaction_id < :asked_before
    AND NOT EXISTS (SELECT 1 FROM outbox WHERE job_id = jobs.id AND closed_at IS NULL)
LIMIT :limit
"""

IN_SERVER, ANYWHERE = "guild_id = :guild_id AND ", ""  # one index for each query
EXPIRED_PICTURES = EXPIRED.format(where=IN_SERVER, mark="pictures_removed_at")
EXPIRED_WORDS = EXPIRED.format(where=IN_SERVER, mark="words_removed_at")
OLDEST_PICTURES = EXPIRED.format(where=ANYWHERE, mark="pictures_removed_at")
OLDEST_WORDS = EXPIRED.format(where=ANYWHERE, mark="words_removed_at")

PICTURES = "SELECT key FROM images WHERE job_id IN (SELECT value FROM json_each(:ids))"

# A file that several jobs started from is removed with the last of them; an upscale's source picture, with its own job.
UPLOADS = """--sql
WITH
    chosen AS (SELECT value AS id FROM json_each(:ids)),
    wanted AS (SELECT json_extract(request, '$.init_image.key') AS key FROM jobs WHERE id IN chosen)
SELECT DISTINCT key FROM wanted
WHERE key IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM jobs
    WHERE json_extract(request, '$.init_image.key') = key
        AND deleted_at IS NULL AND pictures_removed_at IS NULL AND id NOT IN chosen
) AND NOT EXISTS (SELECT 1 FROM images WHERE images.key = wanted.key)
"""

REMOVE_PICTURES = "DELETE FROM images WHERE job_id IN (SELECT value FROM json_each(:ids))"

MARK_PICTURES = """--sql
UPDATE jobs SET pictures_removed_at = :now
WHERE id IN (SELECT value FROM json_each(:ids)) AND pictures_removed_at IS NULL
"""

REMOVE_WORDS = """--sql
UPDATE jobs SET
    words_removed_at = :now, deleted_at = COALESCE(deleted_at, :now),
    request = :removed, failure = IIF(failure IS NULL, NULL, :failed), failure_args = NULL, template = NULL, language = NULL,
    token = NULL, token_expires_at = NULL,
    parent_id = NULL, parent_relation = NULL, parent_image_index = NULL, rating = 'general', spoiler = 0
WHERE id IN (SELECT value FROM json_each(:ids)) AND words_removed_at IS NULL
"""


class SqliteRetention:
    """Implements services.retention.Shelf."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def times(self, *, after: int) -> dict[int, KeepingTimes]:
        values = {"after": after, "limit": SERVERS}
        return await self._database.walk(
            lambda connection: {row["guild_id"]: _times(row) for row in connection.execute(TIMES_AFTER, values)}
        )

    async def times_of(self, guild_id: int) -> KeepingTimes:
        def select(connection: sqlite3.Connection) -> KeepingTimes:
            row = connection.execute(TIMES_OF, (guild_id,)).fetchone()
            return FOR_GOOD if row is None else _times(row)

        return await self._database.read(select)

    async def expired(self, guild_id: int | None, *, before: datetime, now: datetime, words: bool) -> Content:
        values = {
            "guild_id": guild_id,
            "before": to_micros(before),
            "latest": to_micros(now + LATEST),
            "timed": FIRST_ID,
            "asked_before": id_made_at(before),
            "limit": PORTION,
        }
        in_server, anywhere = (EXPIRED_WORDS, OLDEST_WORDS) if words else (EXPIRED_PICTURES, OLDEST_PICTURES)
        sql = anywhere if guild_id is None else in_server
        return await self._database.walk(lambda connection: content_of(connection, connection.execute(sql, values)))

    async def remove(self, content: Content, *, words: bool, now: datetime) -> None:
        await self._database.transaction(lambda connection: forget(connection, content.job_ids, words=words, now=now))

    async def stored_times(self) -> StoredTimes:
        return await self._database.read(_stored_times)

    async def note_time(self, now: datetime) -> None:
        await self._database.transaction(lambda connection: connection.execute(SET, (TOLD_BY, str(to_micros(now)))).rowcount)

    async def remove_backups(self, *, before: datetime) -> int:
        """Remove the copies that migrations made (bot.storage.migrator) and the databases that restores moved aside."""
        return await asyncio.to_thread(_remove_backups, self._database.path, before)


def forget(connection: sqlite3.Connection, job_ids: Sequence[JobId], *, words: bool, now: datetime) -> None:
    """Removes the rows of pictures and, with `words`, all that the jobs asked for. Runs inside transactions."""
    values = {"ids": _ids(job_ids), "now": to_micros(now)}
    connection.execute(REMOVE_PICTURES, values)
    connection.execute(MARK_PICTURES, values)
    if words:
        removed = json.dumps(REMOVED.to_dict())
        connection.execute(REMOVE_WORDS, {**values, "removed": removed, "failed": FAILED_ONCE})
    jobs_changed(connection, job_ids)


def _stored_times(connection: sqlite3.Connection) -> StoredTimes:
    job = connection.execute(NEWEST).fetchone()
    told = connection.execute("SELECT value FROM meta WHERE name = ?", (TOLD_BY,)).fetchone()
    return StoredTimes(
        asked_at=None if job is None else made_at(job["interaction_id"], otherwise=from_micros(job["created_at"])),
        told_by=None if told is None else from_micros(int(told["value"])),
    )


def _times(row: sqlite3.Row) -> KeepingTimes:
    return KeepingTimes(picture_days=row["picture_days"], word_days=row["word_days"])


def content_of(connection: sqlite3.Connection, jobs: Iterable[sqlite3.Row]) -> Content:
    """Returns the jobs and those of their files that no other job needs. Runs inside transactions."""
    job_ids: tuple[JobId, ...] = tuple(row["id"] for row in jobs)
    values = {"ids": _ids(job_ids)}
    rows = [*connection.execute(PICTURES, values), *connection.execute(UPLOADS, values)]
    return Content(job_ids=job_ids, keys=tuple(row["key"] for row in rows))


def _ids(job_ids: Iterable[JobId]) -> str:
    return json.dumps(list(job_ids))


def _remove_backups(path: Path, before: datetime) -> int:
    old = [file for file in path.parent.glob(f"{path.name}.schema-*.backup") if file.stat().st_mtime < before.timestamp()]
    for file in old:
        file.unlink(missing_ok=True)
    folders = [folder for folder in path.parent.glob(f"{ASIDE}*") if folder.stat().st_mtime < before.timestamp()]
    for folder in folders:
        for file in files_of(folder / path.name):
            file.unlink(missing_ok=True)
        if not any(folder.iterdir()):  # otherwise somebody keeps other files there
            folder.rmdir()
    return len(old) + len(folders)
