"""What the database itself refuses, whatever the code above it does."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from bot.domain.job import ALLOWED_MOVES, JobStatus
from bot.storage.migrator import load_migrations, migrate
from tests.storage.samples import request

CHANGES = {  # what a row needs beside the status to pass the CHECKs
    "queued": "finished_at = NULL, lease_until = NULL, started_at = NULL, failure = NULL",
    "running": "finished_at = NULL, lease_until = 5, started_at = 4, failure = NULL",
    "failed": "finished_at = 9, lease_until = NULL, failure = 'A reason.'",
}
ENDED = "finished_at = 9, lease_until = NULL, failure = NULL"
LEDGER = """INSERT INTO ledger (job_id, user_id, purse, day, posted_at, kind, reserved, spent)
            VALUES ('0123456789abcdef', 1, 'daily', 5, 0, {})"""
GRANT = (
    "INSERT INTO ledger (user_id, guild_id, purse, day, posted_at, kind, interaction_id, granted_by, granted) VALUES (1, {})"
)
MOVES = list(itertools.permutations(JobStatus, 2))
PATHS = {
    "queued": (),
    "running": ("running",),
    "succeeded": ("running", "succeeded"),
    "delivered": ("running", "succeeded", "delivered"),
    "failed": ("running", "failed"),
    "cancelled": ("cancelled",),
    "undeliverable": ("running", "succeeded", "undeliverable"),
}


@pytest.fixture
def connection(tmp_path: Path) -> Generator[sqlite3.Connection]:
    path = tmp_path / "pastel.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, path, load_migrations())
        connection.execute("INSERT INTO users VALUES (1, 0)")
        connection.execute("INSERT INTO guilds VALUES (2, 0)")
        connection.execute(
            """INSERT INTO jobs (id, interaction_id, user_id, status, request, work, channel_id, application_id, upload_limit,
                                 created_at, shown_at)
               VALUES ('0123456789abcdef', 1, 1, 'queued', ?, 29.4, 1, 1, 1, 0, 0)""",
            (json.dumps(request().to_dict()),),
        )
        connection.execute(LEDGER.format("'reserve', 2, 0"))
        yield connection


def move(connection: sqlite3.Connection, status: str) -> None:
    counted = ", attempt = attempt + 1" if status == "running" else ""
    connection.execute(f"UPDATE jobs SET status = '{status}', {CHANGES.get(status, ENDED)}{counted}")


@pytest.mark.parametrize(("old", "new"), [(old, new) for old, new in MOVES if new in ALLOWED_MOVES[old]])
def test_every_allowed_move_is_possible(connection: sqlite3.Connection, old: JobStatus, new: JobStatus) -> None:
    for status in PATHS[old]:
        move(connection, status)

    move(connection, new)

    assert connection.execute("SELECT status FROM jobs").fetchone()[0] == new


@pytest.mark.parametrize(("old", "new"), [(old, new) for old, new in MOVES if new not in ALLOWED_MOVES[old]])
def test_every_other_move_is_refused(connection: sqlite3.Connection, old: JobStatus, new: JobStatus) -> None:
    for status in PATHS[old]:
        move(connection, status)

    with pytest.raises(sqlite3.IntegrityError, match=r"forbidden move|attempts count up"):
        move(connection, new)

    assert connection.execute("SELECT status FROM jobs").fetchone()[0] == old


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE jobs SET request = 'no json'", "json_valid"),
        ("UPDATE jobs SET work = 0", "work > 0"),
        ("UPDATE jobs SET work = 'much'", "cannot store TEXT"),
        ("UPDATE jobs SET attempt = 1", "attempts count up"),
        ("UPDATE jobs SET status = 'running', started_at = 1, lease_until = 2", "a claim counts"),
        ("UPDATE jobs SET status = 'running', started_at = 1, attempt = 1", "CHECK"),
        ("UPDATE jobs SET status = 'running', lease_until = 1, attempt = 1", "CHECK"),
        ("UPDATE jobs SET status = 'cancelled'", "CHECK"),
        ("UPDATE jobs SET status = 'failed', finished_at = 1", "CHECK"),
        ("UPDATE jobs SET lease_until = 1", "CHECK"),
        ("UPDATE jobs SET aborts = 1", "CHECK"),
        ("UPDATE jobs SET deleted_at = 1", "CHECK"),
        ("UPDATE jobs SET status = 'lost'", "forbidden move"),
        ("UPDATE jobs SET parent_id = id", "CHECK"),
        ("UPDATE jobs SET user_id = 2", "FOREIGN KEY"),
        ("INSERT INTO outbox (job_id, created_at, next_attempt_at) VALUES ('nobody', 0, 0)", "FOREIGN KEY"),
        ("INSERT INTO images VALUES ('0123456789abcdef', 0, 'k', 4294967296, 1, 1, '', 1, NULL)", "CHECK"),
        ("INSERT INTO images VALUES ('0123456789abcdef', 0, 'k', 1, 1, 1, '', 1, 'bad')", "CHECK"),
        ("UPDATE jobs SET parent_relation = 'copy'", "FOREIGN KEY"),
        ("UPDATE jobs SET visibility = 'nobody'", "FOREIGN KEY"),
        ("UPDATE jobs SET failure_args = '{}'", "CHECK"),
        ("UPDATE jobs SET language = ''", "CHECK"),
        ("UPDATE jobs SET price = 0", "CHECK"),
        (LEDGER.format("'reserve', 0, 0"), "CHECK"),
        (LEDGER.format("'reserve', -1, 0"), "CHECK"),
        (LEDGER.format("'charge', -2, 1"), "CHECK"),
        (LEDGER.format("'charge', 1, -1"), "CHECK"),
        (LEDGER.format("'refund', 1, 0"), "CHECK"),
        (LEDGER.format("'refund', 0, 0"), "CHECK"),
        (LEDGER.format("'present', 1, 0"), "CHECK"),
        (LEDGER.format("'grant', 1, 0"), "CHECK"),
        (LEDGER.replace("5", "6").format("'charge', -2, 2"), "purse and the day"),
        (LEDGER.replace("daily", "granted").format("'refund', -2, 0"), "purse and the day"),
        (LEDGER.replace("daily", "granted").format("'reserve', 4, 0"), "only granted credits"),
        (GRANT.format("2, 'granted', 5, 0, 'grant', 7, 8, 0"), "CHECK"),
        (GRANT.format("2, 'granted', 5, 0, 'grant', 7, 8, -1"), "CHECK"),
        (GRANT.format("2, 'granted', 5, 0, 'grant', 7, NULL, 1"), "CHECK"),
        (GRANT.format("2, 'granted', 5, 0, 'grant', NULL, 8, 1"), "CHECK"),
        (GRANT.format("NULL, 'granted', 5, 0, 'grant', 7, 8, 1"), "CHECK"),
        (GRANT.format("2, 'daily', 5, 0, 'grant', 7, 8, 1"), "CHECK"),
        (GRANT.format("2, 'savings', 5, 0, 'grant', 7, 8, 1"), "CHECK"),
        ("UPDATE jobs SET weight = 0", "weight > 0"),
        ("UPDATE jobs SET start_tag = 3", "CHECK"),
        ("UPDATE fair_queue SET virtual_time = 6", "CHECK"),
        ("DELETE FROM fair_queue", "keeps its time"),
        ("INSERT INTO fair_queue VALUES (2, 0, 0)", "CHECK"),
    ],
)
def test_a_wrong_row_is_an_error(connection: sqlite3.Connection, sql: str, message: str) -> None:
    connection.execute("PRAGMA foreign_keys = ON")

    with pytest.raises(sqlite3.IntegrityError, match=message):
        connection.execute(sql)


@pytest.mark.parametrize("kind", ["'reserve', 2, 0", "'charge', -2, 2", "'refund', -2, 0"])
def test_a_posting_of_a_kind_happens_once(connection: sqlite3.Connection, kind: str) -> None:
    if "reserve" not in kind:
        connection.execute(LEDGER.format(kind))

    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        connection.execute(LEDGER.format(kind))


def test_a_posting_is_never_rewritten(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="corrected by another posting"):
        connection.execute("UPDATE ledger SET reserved = 1")


def test_credits_are_granted_once_by_an_event(connection: sqlite3.Connection) -> None:
    connection.execute(GRANT.format("2, 'granted', 5, 0, 'grant', 7, 8, 1"))

    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        connection.execute(GRANT.format("2, 'granted', 5, 0, 'grant', 7, 8, 1"))


def test_the_time_of_the_queue_never_runs_back(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE fair_queue SET busy_until = 9, virtual_time = 4")

    for column in ("busy_until = 8", "virtual_time = 3"):
        with pytest.raises(sqlite3.IntegrityError, match="runs forward"):
            connection.execute(f"UPDATE fair_queue SET {column}")


def test_a_servers_queue_is_stopped_once_at_a_time(connection: sqlite3.Connection) -> None:
    stop = "INSERT INTO queue_pauses (guild_id, paused_by, paused_at) VALUES (2, 8, 0)"
    connection.execute(stop)

    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        connection.execute(stop)
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        connection.execute("UPDATE queue_pauses SET resumed_at = 9")


def test_a_job_starts_as_queued(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="starts as queued"):
        connection.execute(
            """INSERT INTO jobs (id, interaction_id, user_id, status, request, work, channel_id, application_id, upload_limit,
                                 created_at, finished_at)
               VALUES ('fedcba9876543210', 2, 1, 'cancelled', '{}', 1, 1, 1, 1, 0, 0)"""
        )


def test_every_table_is_strict(connection: sqlite3.Connection) -> None:
    sql = "SELECT name, strict FROM pragma_table_list WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    tables = connection.execute(sql).fetchall()

    assert {name for name, _ in tables} >= {"guilds", "users", "jobs", "images", "outbox", "ledger", "meta", "queue_pauses"}
    assert all(strict for _, strict in tables)
