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
        connection.execute(
            """INSERT INTO jobs (id, interaction_id, user_id, status, request, work, channel_id, application_id, upload_limit,
                                 created_at)
               VALUES ('0123456789abcdef', 1, 1, 'queued', ?, 29.4, 1, 1, 1, 0)""",
            (json.dumps(request().to_dict()),),
        )
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


LEDGER = "INSERT INTO ledger (job_id, user_id, kind, reserved, spent, posted_at) VALUES ('0123456789abcdef', 1, {}, 0)"


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
        ("INSERT INTO images VALUES ('0123456789abcdef', 0, 'k', 4294967296, 1, 1, '', 1)", "CHECK"),
        (LEDGER.format("'reserve', 0, 0"), "CHECK"),
        (LEDGER.format("'reserve', -1, 0"), "CHECK"),
        (LEDGER.format("'charge', -2, 1"), "CHECK"),
        (LEDGER.format("'charge', 1, -1"), "CHECK"),
        (LEDGER.format("'refund', 1, 0"), "CHECK"),
        (LEDGER.format("'refund', 0, 0"), "CHECK"),
        (LEDGER.format("'present', 1, 0"), "CHECK"),
    ],
)
def test_a_wrong_row_is_an_error(connection: sqlite3.Connection, sql: str, message: str) -> None:
    connection.execute("PRAGMA foreign_keys = ON")

    with pytest.raises(sqlite3.IntegrityError, match=message):
        connection.execute(sql)


@pytest.mark.parametrize("kind", ["'reserve', 2, 0", "'charge', -2, 2", "'refund', -2, 0"])
def test_a_posting_of_a_kind_happens_once(connection: sqlite3.Connection, kind: str) -> None:
    connection.execute(LEDGER.format(kind))

    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        connection.execute(LEDGER.format(kind))


def test_a_posting_is_never_rewritten(connection: sqlite3.Connection) -> None:
    connection.execute(LEDGER.format("'reserve', 2, 0"))

    with pytest.raises(sqlite3.IntegrityError, match="corrected by another posting"):
        connection.execute("UPDATE ledger SET reserved = 1")


def test_a_job_starts_as_queued(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="starts as queued"):
        connection.execute(
            """INSERT INTO jobs (id, interaction_id, user_id, status, request, work, channel_id, application_id, upload_limit,
                                 created_at, finished_at)
               VALUES ('fedcba9876543210', 2, 1, 'cancelled', '{}', 1, 1, 1, 1, 0, 0)"""
        )


def test_every_table_is_strict(connection: sqlite3.Connection) -> None:
    tables = connection.execute("SELECT name, strict FROM pragma_table_list WHERE name NOT LIKE 'sqlite_%'").fetchall()

    assert {name for name, strict in tables if strict} == {"guilds", "users", "jobs", "images", "outbox", "ledger", "meta"}
    assert all(strict for _, strict in tables)
