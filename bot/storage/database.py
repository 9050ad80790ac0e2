"""The database file: one writer, a few readers, one more for long walks, and one method for transactions."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, Self, TypeVar

from bot.storage.connection import (
    ThreadedConnection,
    connect_reader,
    connect_writer,
    connect_writer_again,
    examine,
    fold_log,
    in_transaction,
)
from bot.storage.copying import clear
from bot.storage.faults import operator_error, unwritable
from bot.storage.log_marks import advance, begin_anew, has_marks
from bot.storage.migrator import Migration, load_migrations
from bot.storage.restore import complete
from bot.storage.rewriting import Mark, Rewriter

T = TypeVar("T")
SqlFunction = Callable[[sqlite3.Connection], T]

READERS = 2

_log = logging.getLogger(__name__)


class Database:
    """An open SQLite file in WAL mode. Must be closed: an open connection keeps the interpreter from exiting.

    A transaction is one synchronous function. It runs on the writer's thread, so transactions come one after another and
    nothing is awaited inside. It runs to its end even when the awaiting task is cancelled; the caller then does not know
    the outcome and may repeat it (every write of the repositories has a key that makes a repetition harmless).
    """

    def __init__(
        self,
        path: Path,
        writer: ThreadedConnection,
        readers: Sequence[ThreadedConnection],
        walker: ThreadedConnection,
        connections: AsyncExitStack,
        *,
        marks: bool = True,
    ) -> None:
        self.path = path
        self._marks = marks
        self._writer = writer
        self._readers = cycle(readers)
        self._walker = walker
        self._rewriter = Rewriter(path, writer, (*readers, walker))
        self._rewriting: asyncio.Task[float] | None = None
        self._connections = connections
        self._in_flight: set[asyncio.Task[Any]] = set()
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, migrations: Sequence[Migration] | None = None) -> AsyncGenerator[Self]:
        """Open, check and migrate `path`, and close it at the end; creates a missing file and folder.

        Raises DatabaseError (damaged, of a newer Pastel, of another program) or FolderError (cannot be written).
        """
        steps = migrations or await asyncio.to_thread(load_migrations)
        async with AsyncExitStack() as stack:
            # Readers are closed first, so that the writer's close folds the WAL into the file.
            await asyncio.to_thread(_clear_folder, path)
            writer = ThreadedConnection(
                "database-writer", partial(connect_writer, path, steps), partial(connect_writer_again, path)
            )
            await stack.enter_async_context(writer)
            marks = await writer.run(has_marks)
            readers = [ThreadedConnection(f"database-reader-{n}", partial(connect_reader, path)) for n in range(READERS)]
            walker = ThreadedConnection("database-walker", partial(connect_reader, path))
            for reader in (*readers, walker):
                await stack.enter_async_context(reader)
            database = cls(path, writer, readers, walker, stack.pop_all(), marks=marks)
        try:
            yield database
        finally:
            await database.close()

    @staticmethod
    async def examine(path: Path) -> None:
        """Check an existing file without changing it. Raises DatabaseError or FolderError."""
        newest = (await asyncio.to_thread(load_migrations))[-1].version
        await asyncio.to_thread(examine, path, newest)

    async def transaction(self, function: SqlFunction[T]) -> T:
        """Run `function` on the writer between BEGIN IMMEDIATE and COMMIT; an exception rolls back and is raised here.

        Raises FolderError when the disk is full or missing, DatabaseError when the file turns out to be damaged.
        """
        marked = partial(_marked, function) if self._marks else function
        return await self._run(self._writer, lambda raw: _guarded(raw, "BEGIN IMMEDIATE", marked))

    async def read(self, function: SqlFunction[T]) -> T:
        """Run `function` on a reader; it sees the state of the database when it starts, and cannot write.

        First answers to members wait for these readers, so it reads a bounded number of rows: a few milliseconds.
        """
        return await self._run(next(self._readers), lambda raw: _guarded(raw, "BEGIN", function))

    async def walk(self, function: SqlFunction[T]) -> T:
        """Run `function` as `read` does, but on another reader: for long reads, and for each page of a long walk.

        First answers do not wait for it. Pages of several walks take turns.
        """
        return await self._run(self._walker, lambda raw: _guarded(raw, "BEGIN", function))

    async def fold_log(self) -> bool:
        """Write the log into the file and empty it; returns False, without waiting, when somebody reads it now."""
        return await self._run(self._writer, fold_log)

    async def rewrite(self, mark: Mark) -> float:
        """Rewrite the file so that no byte of removed rows is left; returns how many seconds the writer was blocked.

        `mark` changes the new file in a transaction. Cancelling stops it, and waits until it has stopped. Needs free space
        for a second file and what is written meanwhile. Raises as `transaction`, and FolderError when another program has
        the file open; the file is unchanged then.
        """
        if self._closing is not None or self._rewriting is not None:
            raise RuntimeError("the database is closed, or is being written anew already")

        def complete_copy(copy: sqlite3.Connection) -> None:
            mark(copy)
            if self._marks:
                begin_anew(copy)

        task = self._rewriting = asyncio.create_task(
            self._explained(self._rewriter.run(complete_copy)), name="database-rewrite"
        )
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await self._rewriter.interrupt(task)
            raise
        finally:
            self._rewriting = None

    async def answers(self) -> bool:
        """Return whether a query gets an answer; False once the database is closed."""
        if self._closing is not None:
            return False
        return await self.read(lambda connection: connection.execute("SELECT 1").fetchone() is not None)

    async def close(self) -> None:
        """Wait for the transactions in flight, then close the connections. May be called again."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="database-close")
        await asyncio.shield(self._closing)

    async def _run(self, connection: ThreadedConnection, function: SqlFunction[T]) -> T:
        if self._closing is not None:
            raise RuntimeError("the database is closed")
        task = asyncio.create_task(self._execute(connection, function), name="database-transaction")
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_log_unseen_error)
            raise

    async def _execute(self, connection: ThreadedConnection, function: SqlFunction[T]) -> T:
        return await self._explained(connection.run(function))

    async def _explained(self, work: Awaitable[T]) -> T:
        try:
            return await work
        except sqlite3.Error as error:
            explained = operator_error(error, self.path)
            if explained is None:
                raise
            raise explained from error

    async def _close(self) -> None:
        try:
            if self._rewriting is not None:
                await self._rewriter.interrupt(self._rewriting)
            await asyncio.gather(*self._in_flight, return_exceptions=True)
        finally:
            await self._connections.aclose()
            self._rewriter.close()


def _clear_folder(path: Path) -> None:
    """Removes what an interrupted rewrite left beside the file, and finishes an interrupted restore."""
    try:
        clear(path)
        complete(path)
    except OSError as error:
        raise unwritable(path, error.strerror or "unknown error") from error


def _marked(function: SqlFunction[T], connection: sqlite3.Connection) -> T:
    """Runs `function`, and leaves a mark for the log if it changed something."""
    before = connection.total_changes
    result = function(connection)
    if connection.total_changes != before:
        advance(connection)
    return result


def _guarded(connection: sqlite3.Connection, begin: str, function: SqlFunction[T]) -> T:
    """Runs `function` in a transaction. One left open would swallow later writes, so it is ended and reported as a bug."""
    if connection.in_transaction:
        _log.error("a transaction was left open and is rolled back")
        connection.execute("ROLLBACK")
    return in_transaction(connection, begin, function)


def _log_unseen_error(task: asyncio.Task[Any]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.error("a transaction failed after its caller was cancelled: %s", type(error).__name__)
