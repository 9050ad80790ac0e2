"""What the step to versions of reports makes of messages that moderators were shown before."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from bot.storage.database import Database
from bot.storage.migrator import load_migrations
from bot.storage.reports import SqliteReports
from tests.storage.first_schema import OLD, make
from tests.storage.samples import assert_file_sound

REPORT = "INSERT INTO reports (id, job_id, guild_id, channel_id, message_id) VALUES (?, ?, 200, ?, ?)"


async def test_messages_about_pictures_that_went_before_are_outdated_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    make(path)
    async with Database.open(path, migrations=load_migrations()[:5]):
        pass
    kept, gone = [old.id for old in OLD if old.status in {"succeeded", "delivered"}]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM images WHERE job_id = ?", (gone,))
        connection.execute("UPDATE jobs SET pictures_removed_at = finished_at WHERE id = ?", (gone,))
        connection.executemany(REPORT, [(1, kept, 5, 6), (2, gone, 5, 7)])
        connection.execute("UPDATE reports SET outcome = 'dismissed', closed_by = 9, closed_at = 9 WHERE id = 2")
        connection.execute(REPORT, (3, gone, None, None))

    async with Database.open(path) as database:
        assert await SqliteReports(database).outdated(after=0, limit=9) == (2,)
        assert await SqliteReports(database).unseen(after=0, limit=9) == (3,)
    assert_file_sound(path)
