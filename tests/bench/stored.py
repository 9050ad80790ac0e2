"""A member who has asked for thousands of pictures, made out of one request."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

FIRST = 10**6  # interaction of the copies; an id of Discord is larger by far


def long_words(luck: random.Random) -> str:
    tags = ("green hair", "beanie", "night sky", "detailed background", "smile")
    return ", ".join(f"{luck.choice(tags)}, {luck.getrandbits(32):x}" for _ in range(90))[:1999]


def multiply(database: Path, user_id: int, copies: int) -> None:
    """Store `copies` more of the member's only request, each with words of its own. No bot may have the file open.

    Works with any checkout's schema: all columns are copied; the triggers, which want a job to begin as queued, are put back.
    """
    luck = random.Random(1)
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("BEGIN")
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for trigger in triggers:
            connection.execute(f"DROP TRIGGER {trigger['name']}")
        job = dict(connection.execute("SELECT * FROM jobs WHERE user_id = ?", (user_id,)).fetchone())
        parts = list(_parts_of(connection, job["id"]))
        for number in range(FIRST, FIRST + copies):
            request = json.loads(job["request"]) | {"prompt": long_words(luck), "negative_prompt": long_words(luck)}
            new = {"id": f"{number:016x}", "interaction_id": number, "message_id": None, "request": json.dumps(request)}
            _insert(connection, "jobs", {**job, **new}, without="seq")
            for table_name, row, key in parts:
                _insert(connection, table_name, {**row, "job_id": new["id"]}, without=key)
        for trigger in triggers:
            connection.execute(trigger["sql"])
        connection.execute("COMMIT")


def _parts_of(connection: sqlite3.Connection, job_id: str) -> Iterator[tuple[str, dict[str, Any], str | None]]:
    """The rows of other tables that belong to the job, each with its table and the column that numbers itself."""
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        columns = connection.execute(f"PRAGMA table_info({name})").fetchall()
        if any(column["name"] == "job_id" for column in columns):
            key = next((column["name"] for column in columns if column["pk"] and column["type"] == "INTEGER"), None)
            for row in connection.execute(f"SELECT * FROM {name} WHERE job_id = ?", (job_id,)).fetchall():
                yield name, dict(row), key


def _insert(connection: sqlite3.Connection, name: str, row: dict[str, Any], *, without: str | None) -> None:
    values = {column: value for column, value in row.items() if column != without}
    marks = ", ".join("?" for _ in values)
    connection.execute(f"INSERT INTO {name} ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))
