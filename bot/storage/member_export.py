"""Reads everything that the database has of one member, a page at a time."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.domain.image import StoredImage
from bot.domain.job import JobId
from bot.domain.preferences import Preferences
from bot.domain.privacy import KeptJob, LedgerEntry, MemberData, OwnReport, PastBlock
from bot.domain.quota import Account, EntryKind
from bot.storage.intakes import intake_from_row
from bot.storage.rows import block_from_row, from_micros, image_from_row, job_from_row, time_from_micros

PAGE = 100  # rows; of jobs with the longest prompts and four pictures each that is 2 MB, and 20 ms

MEMBER = "SELECT first_seen_at FROM users WHERE id = ?"
DEFAULTS = "SELECT document FROM preferences WHERE user_id = ?"
INTAKES = "SELECT * FROM intakes WHERE user_id = ? ORDER BY asked_at"
IMAGES = "SELECT * FROM images WHERE job_id IN (SELECT value FROM json_each(?)) ORDER BY job_id, image_index"

JOBS = """--sql
SELECT
    jobs.*, seq AS place,
    EXISTS (SELECT 1 FROM jobs AS parents WHERE parents.id = jobs.parent_id AND parents.user_id = jobs.user_id) AS of_own
FROM jobs
WHERE user_id = :user_id AND seq > :after
ORDER BY seq
LIMIT :limit
"""
POSTINGS = "SELECT *, id AS place FROM ledger WHERE user_id = :user_id AND id > :after ORDER BY id LIMIT :limit"
BLOCKS = "SELECT *, id AS place FROM blocks WHERE user_id = :user_id AND id > :after ORDER BY id LIMIT :limit"
REPORTS = """--sql
SELECT guild_id, job_id, reason, reported_at, report_id AS place
FROM complaints JOIN reports ON id = report_id
WHERE reporter_id = :user_id AND report_id > :after
ORDER BY report_id
LIMIT :limit
"""
ERASURES = """--sql
SELECT requested_at, id AS place FROM erasures WHERE user_id = :user_id AND id > :after ORDER BY id LIMIT :limit
"""


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk through one table: the member's rows with `place` above :after, and the conversion of a page of them."""

    sql: str
    page: Callable[[sqlite3.Connection, int, Sequence[sqlite3.Row]], MemberData]


def head(connection: sqlite3.Connection, user_id: int) -> MemberData:
    """Returns the single rows, and the few intakes. Runs inside a transaction, as the pages do."""
    member = connection.execute(MEMBER, (user_id,)).fetchone()
    defaults = connection.execute(DEFAULTS, (user_id,)).fetchone()
    return MemberData(
        user_id=user_id,
        first_seen_at=None if member is None else from_micros(member["first_seen_at"]),
        defaults=None if defaults is None else Preferences.from_dict(json.loads(defaults["document"])),
        intakes=tuple(intake_from_row(row) for row in connection.execute(INTAKES, (user_id,))),
    )


def page(connection: sqlite3.Connection, walk: Walk, user_id: int, *, after: int) -> tuple[MemberData, int | None]:
    """Returns the next rows of a walk, and the place to continue after; None at its end."""
    rows = connection.execute(walk.sql, {"user_id": user_id, "after": after, "limit": PAGE}).fetchall()
    return walk.page(connection, user_id, rows), rows[-1]["place"] if len(rows) == PAGE else None


def _jobs(connection: sqlite3.Connection, user_id: int, rows: Sequence[sqlite3.Row]) -> MemberData:
    images: dict[JobId, list[StoredImage]] = defaultdict(list)
    for row in connection.execute(IMAGES, (json.dumps([row["id"] for row in rows]),)):
        images[row["job_id"]].append(image_from_row(row))
    jobs = tuple(
        KeptJob(
            job=job_from_row(row),
            images=tuple(images[row["id"]]),
            removed_at=None if row["words_removed_at"] is None else from_micros(row["words_removed_at"]),
            came_of_own=bool(row["of_own"]),
        )
        for row in rows
    )
    return MemberData(user_id=user_id, jobs=jobs)


def _postings(_: sqlite3.Connection, user_id: int, rows: Sequence[sqlite3.Row]) -> MemberData:
    return MemberData(user_id=user_id, postings=tuple(_posting(row) for row in rows))


def _blocks(_: sqlite3.Connection, user_id: int, rows: Sequence[sqlite3.Row]) -> MemberData:
    return MemberData(user_id=user_id, blocks=tuple(_block(row) for row in rows))


def _reports(_: sqlite3.Connection, user_id: int, rows: Sequence[sqlite3.Row]) -> MemberData:
    return MemberData(user_id=user_id, reports=tuple(_report(row) for row in rows))


def _deletions(_: sqlite3.Connection, user_id: int, rows: Sequence[sqlite3.Row]) -> MemberData:
    return MemberData(user_id=user_id, deletions=tuple(from_micros(row["requested_at"]) for row in rows))


WALKS = (
    Walk(JOBS, _jobs),
    Walk(POSTINGS, _postings),
    Walk(BLOCKS, _blocks),
    Walk(REPORTS, _reports),
    Walk(ERASURES, _deletions),
)
"""Every table with rows of members, in the order of an export."""


def _posting(row: sqlite3.Row) -> LedgerEntry:
    return LedgerEntry(
        posted_at=from_micros(row["posted_at"]),
        kind=EntryKind(row["kind"]),
        account=Account(row["purse"]),
        day=row["day"],
        guild_id=row["guild_id"],
        job_id=row["job_id"],
        granted=row["granted"],
        reserved=row["reserved"],
        spent=row["spent"],
    )


def _block(row: sqlite3.Row) -> PastBlock:
    return PastBlock(block=block_from_row(row), lifted_at=time_from_micros(row["lifted_at"]))


def _report(row: sqlite3.Row) -> OwnReport:
    return OwnReport(
        guild_id=row["guild_id"],
        job_id=row["job_id"],
        reason=row["reason"],
        reported_at=from_micros(row["reported_at"]),
    )
