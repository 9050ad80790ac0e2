from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bot.storage.database import Database
from tests.storage.samples import Store

CANCELLATIONS = 3_000
WRITE = "INSERT INTO meta (name, value) VALUES (?, ?)"


async def names(database: Database) -> list[str]:
    rows = await database.read(lambda connection: connection.execute("SELECT name FROM meta ORDER BY rowid").fetchall())
    return [row["name"] for row in rows]


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 10_000), ("secure_delete", 1)],
)
async def test_the_writer_is_set_up_for_durability(store: Store, pragma: str, value: object) -> None:
    row = await store.database.transaction(lambda connection: connection.execute(f"PRAGMA {pragma}").fetchone())

    assert row[0] == value


async def test_a_transaction_gives_back_its_result_and_readers_see_it(store: Store) -> None:
    def write(connection: sqlite3.Connection) -> str:
        connection.execute(WRITE, ("a", "1"))
        return "result"

    assert await store.database.transaction(write) == "result"

    for _ in range(4):  # every reader in turn
        assert await names(store.database) == ["a"]


async def test_an_exception_rolls_everything_back_and_comes_out(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    def write(connection: sqlite3.Connection) -> None:
        connection.execute(WRITE, ("a", "1"))
        raise LookupError("of the caller")

    with pytest.raises(LookupError, match="of the caller"):
        await store.database.transaction(write)
    await store.repositories.meta.set("b", "2")

    assert await names(store.database) == ["b"]
    assert caplog.records == []  # nothing was left open


async def test_readers_cannot_write(store: Store) -> None:
    with pytest.raises(Exception, match="readonly"):
        await store.database.read(lambda connection: connection.execute(WRITE, ("a", "1")))


async def test_a_reader_sees_one_state_while_others_write(store: Store) -> None:
    first_look, written = threading.Event(), threading.Event()

    def look(connection: sqlite3.Connection) -> tuple[int, int]:
        count = "SELECT COUNT(*) FROM meta"
        before: int = connection.execute(count).fetchone()[0]
        first_look.set()
        written.wait(30)
        return before, connection.execute(count).fetchone()[0]

    looking = asyncio.create_task(store.database.read(look))
    await asyncio.to_thread(first_look.wait, 30)
    await store.repositories.meta.set("a", "1")
    written.set()

    assert await looking == (0, 0)
    assert await names(store.database) == ["a"]


async def test_a_transaction_runs_to_its_end_when_its_caller_is_cancelled(store: Store) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def write(connection: sqlite3.Connection) -> None:
        connection.execute(WRITE, ("first", "1"))
        inside.set()
        go_on.wait(30)
        connection.execute(WRITE, ("second", "1"))

    caller = asyncio.create_task(store.database.transaction(write))
    await asyncio.to_thread(inside.wait, 30)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go_on.set()

    await store.repositories.meta.set("third", "1")
    assert await names(store.database) == ["first", "second", "third"]


async def test_an_error_that_no_caller_sees_any_more_is_logged(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def write(connection: sqlite3.Connection) -> None:
        inside.set()
        go_on.wait(30)
        raise LookupError("words of a member")

    caller = asyncio.create_task(store.database.transaction(write))
    await asyncio.to_thread(inside.wait, 30)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go_on.set()
    await store.database.close()

    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == [
        "a transaction failed after its caller was cancelled: LookupError"
    ]


async def test_closing_waits_for_transactions_in_flight(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    async with Database.open(path) as database:
        writes = [asyncio.create_task(Store.over(database).repositories.meta.set(f"{number}", "1")) for number in range(50)]
        await asyncio.sleep(0)

        await asyncio.gather(database.close(), database.close())

        await asyncio.gather(*writes)
    async with Database.open(path) as database:
        assert len(await names(database)) == 50


async def test_a_closed_database_refuses_and_says_so(store: Store) -> None:
    assert await store.database.answers()

    await store.database.close()

    assert not await store.database.answers()
    with pytest.raises(RuntimeError, match="the database is closed"):
        await store.repositories.meta.get("a")


async def test_closing_ends_every_thread_even_when_the_body_fails(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    opened: list[threading.Thread] = []

    async def fail() -> None:
        async with Database.open(tmp_path / "pastel.db"):
            opened.extend(set(threading.enumerate()) - before)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()

    assert {thread.name for thread in opened} >= {"database-writer", "database-reader-0", "database-reader-1"}
    for thread in opened:
        if thread.name.startswith("database-"):
            thread.join(30)
            assert not thread.is_alive()


async def test_a_transaction_left_open_is_found_ended_and_reported(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    def leave_open(connection: sqlite3.Connection) -> None:
        connection.execute("COMMIT")
        connection.execute("BEGIN")
        connection.execute(WRITE, ("kept", "1"))
        connection.execute("COMMIT")
        raise LookupError

    with pytest.raises(LookupError):
        await store.database.transaction(leave_open)
    await store.database._writer.run(lambda connection: connection.execute("BEGIN IMMEDIATE"))

    await store.repositories.meta.set("after", "1")

    assert await names(store.database) == ["kept", "after"]
    assert [record.message for record in caplog.records] == ["a transaction was left open and is rolled back"]


@pytest.mark.slow
async def test_random_cancellations_leave_no_transaction_open(store: Store) -> None:
    """Callers are cancelled while their transaction waits, runs or has just ended; those that were not must have written."""
    chance = random.Random(20)
    left_open: list[int] = []

    def write(connection: sqlite3.Connection, number: int) -> None:
        connection.execute(WRITE, (f"{number}-a", "1"))
        connection.execute(WRITE, (f"{number}-b", "1"))

    cancelled = 0
    for number in range(CANCELLATIONS):
        caller = asyncio.create_task(store.database.transaction(lambda connection, n=number: write(connection, n)))
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        await asyncio.sleep(chance.random() * 0.0015)
        caller.cancel()
        cancelled += isinstance((await asyncio.gather(caller, return_exceptions=True))[0], asyncio.CancelledError)
        if await store.database._writer.run(lambda connection: connection.in_transaction):
            left_open.append(number)

    assert cancelled > CANCELLATIONS / 20
    assert left_open == []
    written = await names(store.database)
    assert written == [f"{number}-{half}" for number in sorted({int(name[:-2]) for name in written}) for half in "ab"]


FAILING_START = """
import asyncio, sys
from pathlib import Path
from bot.storage.database import Database

async def main():
    async with Database.open(Path(sys.argv[1])):
        raise SystemExit(3)

asyncio.run(main())
"""


@pytest.mark.slow
def test_an_error_after_opening_does_not_keep_the_process_alive(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FAILING_START, str(tmp_path / "pastel.db")], timeout=60, check=False)

    assert done.returncode == 3
