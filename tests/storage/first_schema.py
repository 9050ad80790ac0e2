"""A database as the first released schema left it, with a job in every state; written in that schema's own words."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from bot.storage.migrator import load_migrations, migrate
from bot.storage.rows import to_micros
from tests.storage.samples import LEASE, NOW, request

EVENING = NOW.replace(hour=23, minute=59)
MORNING = EVENING + timedelta(minutes=10)

ADD = """
INSERT INTO jobs (
    id, interaction_id, user_id, guild_id, status, request, work, channel_id, application_id, upload_limit, created_at
)
VALUES (:id, :number, :user_id, :guild_id, 'queued', :request, :work, 300, 400, 1000, :now)
"""
RUN = "UPDATE jobs SET status = 'running', attempt = attempt + 1, started_at = :now, lease_until = :lease WHERE id = :id"
PUT_BACK = "UPDATE jobs SET status = 'queued', aborts = 1, started_at = NULL, lease_until = NULL WHERE id = :id"
END = "UPDATE jobs SET status = :status, failure = :failure, finished_at = :now, lease_until = NULL WHERE id = :id"
MOVE = "UPDATE jobs SET status = :status WHERE id = :id"
POST = """
INSERT INTO ledger (job_id, user_id, kind, reserved, spent, posted_at)
VALUES (:id, :user_id, :kind, :reserved, :spent, :now)
"""
IMAGE = "INSERT INTO images VALUES (:id, 0, :id || '.png', 1, 8, 8, '', 1)"
ENTRY = "INSERT INTO outbox (job_id, created_at, next_attempt_at) VALUES (:id, :now, :now)"
CLOSE = "UPDATE outbox SET closed_at = :now, outcome = :outcome WHERE job_id = :id"


@dataclass(frozen=True)
class Old:
    """A job that came in the evening and ended after midnight."""

    number: int
    status: str
    user_id: int = 100
    guild_id: int | None = 200
    num_images: int = 1

    @property
    def id(self) -> str:
        return f"{self.number:016x}"


OLD = (
    Old(1, "succeeded"),
    Old(2, "delivered", num_images=2),
    Old(3, "cancelled"),
    Old(4, "queued", num_images=4),
    Old(5, "queued"),
    Old(6, "failed", user_id=101, guild_id=None),
    Old(7, "undeliverable", user_id=101),
    Old(8, "running", user_id=102),
    Old(9, "queued", user_id=102),
    Old(10, "put back", user_id=103),
    Old(11, "queued", user_id=103, guild_id=None),
)


def make(path: Path) -> None:
    """Write the file, closed and sound."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        migrate(connection, path, load_migrations()[:1])
        connection.execute("INSERT INTO guilds VALUES (200, 1)")
        connection.executemany("INSERT INTO users VALUES (?, 1)", [(user,) for user in sorted({old.user_id for old in OLD})])
        for old in OLD:
            _live(connection, old)


def _live(connection: sqlite3.Connection, old: Old) -> None:
    wish = request(num_images=old.num_images)
    values = {
        "id": old.id,
        "number": old.number,
        "user_id": old.user_id,
        "guild_id": old.guild_id,
        "status": old.status,
        "failure": "A reason." if old.status == "failed" else None,
        "request": json.dumps(wish.to_dict()),
        "work": wish.work,
        "now": to_micros(EVENING),
        "lease": to_micros(EVENING + LEASE),
        "outcome": {"delivered": "delivered", "undeliverable": "given_up"}.get(old.status),
    }
    cost = old.num_images

    def post(kind: str, reserved: int, spent: int) -> None:
        connection.execute(POST, {**values, "kind": kind, "reserved": reserved, "spent": spent})

    connection.execute(ADD, values)
    post("reserve", cost, 0)
    if old.status == "queued":
        return
    if old.status != "cancelled":
        connection.execute(RUN, values)
    if old.status == "put back":
        connection.execute(PUT_BACK, values)
    if old.status in {"running", "put back"}:
        return
    values["now"] = to_micros(MORNING)
    drawn = old.status in {"succeeded", "delivered", "undeliverable"}
    connection.execute(END, {**values, "status": "succeeded" if drawn else old.status})
    connection.execute(ENTRY, values)
    if not drawn:
        post("refund", -cost, 0)
        return
    connection.execute(IMAGE, values)
    post("charge", -cost, cost)
    if values["outcome"] is not None:
        connection.execute(CLOSE, values)
        connection.execute(MOVE, values)
    if old.status == "undeliverable":
        post("refund", 0, -cost)
