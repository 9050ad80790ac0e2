"""An erasure as the service does it; and, run as a program, what a crash before each of its statements leaves.

Run as a program because it forks, as `crash_points` does, whose way of dying it uses.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from bot.domain.job import JobId, JobStatus
from bot.domain.privacy import Erasure
from bot.domain.report import Complaint, ReportMessage
from bot.messages import message
from bot.storage.database import Database
from bot.storage.privacy import SqlitePrivacy
from bot.storage.traces import SqliteTraces
from tests.storage.crash_points import KILLED, crash
from tests.storage.job_steps import Ack
from tests.storage.samples import NOW, Store, assert_sound, images, listing, memory_folder

MINE, THEIRS = "tattletale", "bystander"  # a word in everything that one member, and another, gave
LATER = NOW + timedelta(minutes=5)


async def erase(database: Database, user_id: int = 100) -> None:
    """From the wish to its end."""
    assert await SqlitePrivacy(database).begin(user_id, now=LATER) is not None
    await finish(database, user_id)


async def finish(database: Database, user_id: int = 100) -> None:
    """What the next start does with a wish that was cut off."""
    privacy, traces = SqlitePrivacy(database), SqliteTraces(database)
    while (erasure := await privacy.to_do(user_id)) is not None:
        await remove(privacy, erasure)
        await privacy.fold_log()
        await privacy.erased(erasure, now=LATER)
    for card in await privacy.cards(user_id, limit=100):
        await privacy.forget_card(card.job_id)
    await privacy.close(user_id, now=LATER)
    if await traces.oldest() is not None:
        await traces.overwrite(now=LATER)


async def remove(privacy: SqlitePrivacy, erasure: Erasure) -> None:
    """All portions."""
    await privacy.cancel(erasure, now=LATER)
    while (content := await privacy.content(erasure)).job_ids:
        await privacy.remove(erasure, content, now=LATER)
    while await privacy.forget_reasons(erasure):
        pass


async def fill(store: Store) -> None:
    """A member's jobs in every state, somebody else's, and defaults."""
    theirs: JobId = ""
    for number, user_id, word in ((1, 100, MINE), (2, 100, MINE), (3, 101, THEIRS), (4, 100, MINE), (5, 100, MINE)):
        added = await store.add(number, user_id=user_id, prompt=f"{word} {number}", negative_prompt=word)
        theirs = added.id if user_id == 101 else theirs
        if number < 4:
            job = await store.claim()
            await store.jobs.set_message(job.id, channel_id=301, message_id=302 + number)
            if number == 2:
                await store.jobs.fail(job.id, job.attempt, message(f"No {word}."), now=NOW)
            else:
                await store.jobs.finish(job.id, job.attempt, images(job), now=NOW)
            await store.outbox.delivered(job.id, channel_id=301, message_id=302 + number, now=NOW)
    await store.claim()
    complaint = Complaint(reporter_id=100, reason=f"{MINE} is better", reported_at=NOW)
    filed = await store.repositories.reports.file(complaint, job_id=theirs, guild_id=200, most=5, since=NOW)
    assert filed is not None
    await store.repositories.reports.shown(filed.report, ReportMessage(channel_id=5, message_id=6))
    defaults = store.repositories.preferences
    await defaults.change(100, lambda before: replace(before, negative_prompt=f"{MINE} always"), now=NOW)


def bytes_of(path: Path) -> bytes:
    """The database and its log as they lie on disk."""
    log = path.with_name(f"{path.name}-wal")
    return path.read_bytes() + (log.read_bytes() if log.exists() else b"")


async def life(store: Store, number: int, ack: Ack) -> None:
    """Begins, or goes on with, the erasure of member 100; says when the wish is on disk."""
    privacy = store.repositories.privacy
    if not await privacy.open():
        await privacy.begin(100, now=LATER)
    ack(f"{number:016}", JobStatus.CANCELLED)
    await finish(store.database)


async def prepare(path: Path) -> None:
    async with Database.open(path) as database:
        await fill(Store.over(database))


async def resume(path: Path) -> None:
    """The start after a crash: nobody asks again, so only what is on disk counts."""
    async with Database.open(path) as database:
        for user_id in await SqlitePrivacy(database).open():
            await finish(database, user_id)
        if await SqliteTraces(database).oldest() is not None:  # the wish was fulfilled, and the rewrite cut off
            await SqliteTraces(database).overwrite(now=LATER)
        assert listing(path.parent) == ["pastel.db", "pastel.db-shm", "pastel.db-wal"]  # nothing of the rewrite
        assert MINE.encode() not in bytes_of(path)


def assert_erased(path: Path) -> None:
    content = bytes_of(path)
    assert MINE.encode() not in content
    assert THEIRS.encode() in content
    with closing(sqlite3.connect(path)) as connection:
        assert_sound(connection)
        assert connection.execute("SELECT COUNT(*) FROM jobs WHERE token IS NOT NULL AND user_id = 100").fetchone()[0] == 0
        assert connection.execute("SELECT COUNT(*), COUNT(closed_at) FROM erasures").fetchone() == (1, 1)
        # the message still holds the reason, and that is known
        assert connection.execute("SELECT COUNT(*) FROM reports WHERE shown_version = version").fetchone()[0] == 0


def main() -> None:
    """Print how many points there were. Arguments: n, a crash comes at every n-th; "files": of those that concern files."""
    files_only = "files" in sys.argv
    with memory_folder() as folder:
        template = folder / "template.db"
        asyncio.run(prepare(template))
        for statement in range(0, 10_000, int(sys.argv[1])):
            path = folder / f"{statement}" / "pastel.db"
            path.parent.mkdir()
            shutil.copy(template, path)
            code, acknowledged = crash(path, life, statement, files_only=files_only)
            assert code in {0, KILLED}, f"statement {statement}: exit status {code}"
            asyncio.run(resume(path)) if acknowledged else asyncio.run(erase_file(path))
            assert_erased(path)
            shutil.rmtree(path.parent)
            if code == 0:
                print(statement)
                return


async def erase_file(path: Path) -> None:
    """The member, who got no answer, asks again."""
    async with Database.open(path) as database:
        await erase(database)


if __name__ == "__main__":
    main()
