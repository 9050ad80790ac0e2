"""Reads, from a database that a restore moved aside, what happened after the backup. It may be damaged: reads what it can."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from bot.domain.job import JobId
from bot.errors import DatabaseError
from bot.storage.log_marks import check_log, connect_alone, connect_with_log, has_log

T = TypeVar("T")

PAGE = 500  # jobs

ERASURES = "SELECT user_id, requested_at, up_to, erased_at FROM erasures ORDER BY id"
BLOCKS = """--sql
SELECT guild_id, user_id, reason, blocked_by, blocked_at, ends_at, lifted_by, lifted_at FROM blocks ORDER BY id
"""
GONE = """--sql
SELECT seq, id, user_id, deleted_at IS NOT NULL AS deleted, words_removed_at IS NOT NULL AS words FROM jobs
WHERE seq > ? AND (deleted_at IS NOT NULL OR pictures_removed_at IS NOT NULL)
ORDER BY seq
LIMIT ?
"""
PLACES = """--sql
SELECT id, shown_at, channel_id, message_id, outcome
FROM jobs LEFT JOIN outbox ON job_id = id
WHERE id IN (SELECT value FROM json_each(?))
"""

REPORTS = """--sql
SELECT id, job_id, channel_id, message_id, shown_version FROM reports WHERE message_id IS NOT NULL ORDER BY id
"""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The place of a job's card, and how its delivery ended (None: it had not)."""

    job_id: JobId
    shown_at: int | None
    channel_id: int
    message_id: int | None
    outcome: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """A job that lost its pictures; `words` too, or `deleted` by somebody."""

    seq: int
    job_id: JobId
    user_id: int
    words: bool
    deleted: bool


@dataclass(frozen=True, slots=True)
class Aside:
    """Reads the file at `path`. All methods block, none raises: what cannot be read is empty, and its name is in `unread`."""

    path: Path
    unread: list[str] = field(default_factory=list[str])

    def erasures(self) -> list[Row]:
        return self._read("erasures", lambda connection: [dict(row) for row in connection.execute(ERASURES)]) or []

    def blocks(self) -> list[Row]:
        return self._read("blocks", lambda connection: [dict(row) for row in connection.execute(BLOCKS)]) or []

    def reports(self) -> list[Row]:
        """Return the reports that moderators were shown, and where."""
        return self._read("reports", lambda connection: [dict(row) for row in connection.execute(REPORTS)]) or []

    def gone(self) -> Iterator[list[Gone]]:
        """Yield the jobs that lost pictures or words, a page at a time."""
        page = self._gone_after(-1)
        while page:
            yield page
            page = self._gone_after(page[-1].seq)

    def places(self, job_ids: Sequence[JobId]) -> list[Place]:
        """Return the places of those of the jobs that the file knows."""
        ids = json.dumps(list(job_ids))
        rows = self._read("cards", lambda connection: connection.execute(PLACES, (ids,)).fetchall())
        return [Place(job_id=row["id"], **{name: row[name] for name in row.keys() if name != "id"}) for row in rows or []]  # noqa: SIM118

    def _gone_after(self, seq: int) -> list[Gone]:
        rows = self._read("removals", lambda connection: connection.execute(GONE, (seq, PAGE)).fetchall())
        return [_gone(row) for row in rows or []]

    def _read(self, what: str, function: Callable[[sqlite3.Connection], T]) -> T | None:
        try:
            with closing(self._connect()) as connection:
                return function(connection)
        except (sqlite3.Error, UnicodeDecodeError, OSError):
            if what not in self.unread:
                self.unread.append(what)
            return None

    def _connect(self) -> sqlite3.Connection:
        """Returns a connection with the file's log, unless that is the log of another file."""
        try:
            check_log(self.path)
        except DatabaseError:
            return connect_alone(self.path)
        return connect_with_log(self.path) if has_log(self.path) else connect_alone(self.path)


def _gone(row: sqlite3.Row) -> Gone:
    return Gone(
        seq=row["seq"], job_id=row["id"], user_id=row["user_id"], words=bool(row["words"]), deleted=bool(row["deleted"])
    )
