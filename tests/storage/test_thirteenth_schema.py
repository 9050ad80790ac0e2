"""A file that the schema before the keys of totals wrote: its sums are carried over, and it is claimed and written anew."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from bot.domain.quota import Limits, day_of
from bot.storage.database import Database
from bot.storage.migrator import load_migrations, migrate
from bot.storage.rows import to_micros
from tests.storage.first_schema import make
from tests.storage.samples import LEASE, NOW, Store, assert_file_sound, request

THIRTEENTH = 13
ADD = """--sql
INSERT INTO jobs (
    id, interaction_id, user_id, guild_id, status, request, work, channel_id, application_id, upload_limit, created_at, shown_at
)
VALUES (:id, 40, 100, 200, 'queued', :request, :work, 300, 400, 1000, :now, :now)
"""
GRANT = """--sql
INSERT INTO ledger (user_id, guild_id, purse, day, kind, interaction_id, granted_by, granted, posted_at)
VALUES (100, 200, 'granted', :day, 'grant', 41, 900, 50, :now)
"""
RESERVE = """--sql
INSERT INTO ledger (user_id, guild_id, purse, day, kind, job_id, reserved, posted_at)
VALUES (100, 200, 'granted', :day, 'reserve', :id, 1, :now)
"""


def fill(path: Path) -> None:
    """Write a file whose member 100 has 50 granted credits, of which a job that waits has reserved one."""
    make(path)
    wish = request()
    values = {
        "id": "f" * 16,
        "request": json.dumps(wish.to_dict()),
        "work": wish.work,
        "day": day_of(NOW),
        "now": to_micros(NOW),
    }
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, path, load_migrations()[:THIRTEENTH])
        for sql in (ADD, GRANT, RESERVE):
            connection.execute(sql, values)


async def test_what_members_have_and_what_waits_is_the_same_as_before(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    fill(path)

    async with Database.open(path) as database:
        store = Store.over(database)
        granted = "SELECT user_id || ':' || granted || ':' || reserved FROM purse_totals WHERE purse = 'granted'"
        assert await store.scalar(granted) == "100:50:1"
        await store.add(50, user_id=100, limits=Limits(daily_credits=0))
        assert await store.scalar(granted) == "100:50:2"
        assert await store.jobs.claim(now=NOW, lease_until=NOW + LEASE, batch=8) is not None
        await database.rewrite(lambda _: None)

    assert_file_sound(path)
