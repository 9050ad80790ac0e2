"""Kills a process before SQL statements of each life of a job, every one or every nth, and starts it again.

Run as a program: it forks, so it must have no other thread. The process dies without any clean-up of SQLite's, as under
SIGKILL. What was acknowledged before must be there, and the restarted life must end as one that nothing disturbed.
After SQLite's own `crash_on_write` tests.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path

from bot.domain.job import JobStatus
from bot.storage.database import Database
from tests.storage.job_steps import LIVES, Life, reachable
from tests.storage.samples import Store, assert_sound, memory_folder

KILLED = 9

END_STATE = """
SELECT status, interaction_id, failure, token, message_id, deleted_at IS NULL, outcome, attempts, post_started_at, closed_at,
       (SELECT group_concat(kind || reserved || spent) FROM (SELECT * FROM ledger ORDER BY id)),
       (SELECT COUNT(*) FROM images)
FROM jobs LEFT JOIN outbox ON job_id = id
"""


async def live(path: Path, life: Life, ack: Callable[[str, JobStatus], None]) -> None:
    async with Database.open(path) as database:
        await life(Store.over(database), 1, ack)


def trace_with(trace: Callable[[str], None]) -> None:
    """From now on every new connection tells `trace` of each statement before it runs."""
    connect = sqlite3.connect

    def traced(*args: object, **kwargs: object) -> sqlite3.Connection:
        connection = connect(*args, **kwargs)
        connection.set_trace_callback(trace)
        return connection

    sqlite3.connect = traced


def trace_files_with(trace: Callable[[str], None]) -> None:
    """The same of files that are synced or renamed."""
    fsync, replace = os.fsync, Path.replace

    def traced_fsync(descriptor: int) -> None:
        trace("sync")
        fsync(descriptor)

    def traced_replace(path: Path, target: Path) -> Path:
        trace("rename")
        return replace(path, target)

    os.fsync, Path.replace = traced_fsync, traced_replace


def die_before(statement: int, *, files_only: bool = False) -> None:
    """From now on statements are counted, and the process ends before number `statement` (from 0).

    So are files that are synced or renamed; `files_only`: nothing else.
    """
    counter = count()

    def trace(_: str) -> None:
        if next(counter) == statement:
            os._exit(KILLED)

    trace_files_with(trace)
    if not files_only:
        trace_with(trace)


async def statements_to_open(path: Path) -> int:
    """Of a file that needs no migration: nothing is written by them, and they are the same for every life."""
    plain, statements = sqlite3.connect, list[str]()
    trace_with(statements.append)
    try:
        async with Database.open(path):
            return len(statements)
    finally:
        sqlite3.connect = plain


def crash(path: Path, life: Life, statement: int, *, files_only: bool = False) -> tuple[int, list[tuple[str, JobStatus]]]:
    """Live in a child that dies before `statement`; its exit status and what it acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            die_before(statement, files_only=files_only)
            asyncio.run(live(path, life, lambda job_id, state: os.write(writing, f"{job_id} {state}\n".encode()) and None))
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        lines = [line.split() for line in pipe]
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), [(job_id, JobStatus(state)) for job_id, state in lines]


def end_state(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA quick_check").fetchone()[0] == "ok"
        assert_sound(connection)
        return connection.execute(END_STATE).fetchall()


def assert_kept(path: Path, acknowledged: list[tuple[str, JobStatus]]) -> None:
    """Every acknowledged state is there, or one that comes after it."""
    if not acknowledged:
        return
    with closing(sqlite3.connect(path)) as connection:
        found = dict(connection.execute("SELECT id, status FROM jobs").fetchall())
    for job_id, status in acknowledged:
        assert reachable(status, JobStatus(found[job_id])), f"{status} was acknowledged, {found[job_id]} found"


def all_points(folder: Path, template: Path | None, life: Life, first: int = 0, step: int = 1) -> int:
    """Crash `life` before every `step`th statement from number `first` on; returns after how many it has ended.

    Without a template it begins with an empty folder, and what comes after the first acknowledgement is left out: the same
    life with a template goes through that.
    """
    undisturbed: list[tuple[object, ...]] | None = None
    for statement in (-1, *range(first, 10_000, step)):  # -1: nothing disturbs
        path = folder / f"{statement}" / "pastel.db"
        path.parent.mkdir()
        if template is not None:
            shutil.copy(template, path)
        code, acknowledged = crash(path, life, statement)
        assert_kept(path, acknowledged)
        if undisturbed is None:
            assert code == 0
            undisturbed = end_state(path)
        asyncio.run(live(path, life, lambda *_: None))
        assert end_state(path) == undisturbed, f"statement {statement}: {end_state(path)} in place of {undisturbed}"
        shutil.rmtree(path.parent)
        if statement >= 0 and (code == 0 or (template is None and acknowledged)):
            return statement
        assert code in {0, KILLED}, f"statement {statement}: exit status {code}"
    raise AssertionError("the life never ends")


def main(step: int) -> None:
    """Print the number of statements by life as JSON; "open" counts those of the first start too."""
    points: dict[str, int] = {}
    with memory_folder() as folder:
        template = folder / "template.db"
        asyncio.run(live(template, LIVES["draw"], lambda *_: None))
        with closing(sqlite3.connect(template, isolation_level=None)) as connection:
            for table in ("outbox", "images", "purse_totals", "day_totals", "ledger", "jobs"):
                connection.execute(f"DELETE FROM {table}")
        opening = asyncio.run(statements_to_open(template))
        for name, life in LIVES.items():
            places = folder / name
            places.mkdir()
            first = 0 if name == "draw" else opening
            points[name] = all_points(places, template, life, first + len(points) % step, step)
        places = folder / "open"
        places.mkdir()
        points["open"] = all_points(places, None, LIVES["draw"], step=step)
    json.dump(points, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]))
