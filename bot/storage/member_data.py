"""Everything that the database holds of one member, read in one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict

from bot.domain.image import StoredImage
from bot.domain.job import JobId
from bot.domain.moderation import Block
from bot.domain.personal import PersonalDefaults
from bot.domain.privacy import KeptJob, LedgerEntry, MemberData, OwnReport, PastBlock
from bot.domain.quota import Posting, Purse
from bot.storage.rows import from_micros, image_from_row, job_from_row

MEMBER = "SELECT first_seen_at FROM users WHERE id = ?"
DEFAULTS = "SELECT document FROM personal_defaults WHERE user_id = ?"
JOBS = "SELECT * FROM jobs WHERE user_id = ? ORDER BY seq"
IMAGES = "SELECT images.* FROM images JOIN jobs ON id = job_id WHERE user_id = ? ORDER BY job_id, image_index"
POSTINGS = "SELECT * FROM ledger WHERE user_id = ? ORDER BY id"
BLOCKS = "SELECT * FROM blocks WHERE user_id = ? ORDER BY id"
REPORTS = """--sql
SELECT guild_id, job_id, reason, reported_at FROM complaints JOIN reports ON id = report_id
WHERE reporter_id = ?
ORDER BY reported_at
"""
ERASURES = "SELECT requested_at FROM erasures WHERE user_id = ? ORDER BY id"


def collect(connection: sqlite3.Connection, user_id: int) -> MemberData:
    """Runs inside a transaction."""
    who = (user_id,)
    member = connection.execute(MEMBER, who).fetchone()
    defaults = connection.execute(DEFAULTS, who).fetchone()
    return MemberData(
        user_id=user_id,
        first_seen_at=None if member is None else from_micros(member["first_seen_at"]),
        defaults=None if defaults is None else PersonalDefaults.from_dict(json.loads(defaults["document"])),
        jobs=_jobs(connection, user_id),
        postings=tuple(_posting(row) for row in connection.execute(POSTINGS, who)),
        blocks=tuple(_block(row) for row in connection.execute(BLOCKS, who)),
        reports=tuple(_report(row) for row in connection.execute(REPORTS, who)),
        deletions=tuple(from_micros(row["requested_at"]) for row in connection.execute(ERASURES, who)),
    )


def _jobs(connection: sqlite3.Connection, user_id: int) -> tuple[KeptJob, ...]:
    images: dict[JobId, list[StoredImage]] = defaultdict(list)
    for row in connection.execute(IMAGES, (user_id,)):
        images[row["job_id"]].append(image_from_row(row))
    return tuple(
        KeptJob(
            job=job_from_row(row),
            images=tuple(images[row["id"]]),
            removed_at=None if row["words_removed_at"] is None else from_micros(row["words_removed_at"]),
        )
        for row in connection.execute(JOBS, (user_id,))
    )


def _posting(row: sqlite3.Row) -> LedgerEntry:
    return LedgerEntry(
        posted_at=from_micros(row["posted_at"]),
        kind=Posting(row["kind"]),
        purse=Purse(row["purse"]),
        day=row["day"],
        guild_id=row["guild_id"],
        job_id=row["job_id"],
        granted=row["granted"],
        reserved=row["reserved"],
        spent=row["spent"],
    )


def _block(row: sqlite3.Row) -> PastBlock:
    block = Block(
        guild_id=row["guild_id"],
        user_id=row["user_id"],
        reason=row["reason"],
        blocked_by=row["blocked_by"],
        blocked_at=from_micros(row["blocked_at"]),
        ends_at=None if row["ends_at"] is None else from_micros(row["ends_at"]),
    )
    return PastBlock(block=block, lifted_at=None if row["lifted_at"] is None else from_micros(row["lifted_at"]))


def _report(row: sqlite3.Row) -> OwnReport:
    return OwnReport(
        guild_id=row["guild_id"],
        job_id=row["job_id"],
        reason=row["reason"],
        reported_at=from_micros(row["reported_at"]),
    )
