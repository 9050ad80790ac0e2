"""Rewrites a database file in use: decides which connections copy, which wait, and for how long."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from time import monotonic

from bot.errors import FolderError
from bot.storage.connection import ThreadedConnection, in_transaction
from bot.storage.copying import FEW, MOST_CHANGES, ROUNDS, TOO_BUSY, Copy, OldFile, clear, take, unwatch, watch, write_copy

Mark = Callable[[sqlite3.Connection], None]

MOST_AT_THE_END = 1000  # rows that changed while the connections were being closed; 20 ms
INTERRUPT_SECONDS = 0.05  # seconds between two calls of interrupt(), which does nothing before the statement has begun
INTERRUPTED = "Writing the database anew was interrupted. It is tried again."
MOST_OLD_FILES = 30  # files whose descriptors stay open; one a day

log = logging.getLogger(__name__)


class Rewriter:
    """Rewrites the file, once at a time. Others read and write meanwhile, except in the last few milliseconds."""

    def __init__(self, path: Path, writer: ThreadedConnection, readers: Sequence[ThreadedConnection]) -> None:
        self._path = path
        self._writer = writer
        self._readers = readers
        self._stopping = False
        self._source: sqlite3.Connection | None = None
        self._old_files: list[OldFile] = []

    async def run(self, mark: Mark) -> float:
        """Return how many seconds the writer was blocked. `mark` changes the copy, last of all, in a transaction.

        Raises FolderError when another program has the file open, or everything changes too fast, or it was interrupted; and
        sqlite3.Error. The file is unchanged then.
        """
        self._stopping = False
        with ThreadPoolExecutor(1, "database-rewriter") as pool:
            on_thread = partial(asyncio.get_running_loop().run_in_executor, pool)
            await self._writer.run(lambda raw: in_transaction(raw, "BEGIN", watch))
            try:
                await on_thread(write_copy, self._path, self._begin)
                copy = await on_thread(Copy, self._path)
                try:
                    await self._catch_up(copy, on_thread)
                    held = await self._put_in_place(copy, mark)
                finally:
                    await on_thread(copy.close)
            finally:
                self._source = None
                await self._writer.run(lambda raw: in_transaction(raw, "BEGIN", unwatch))
                await on_thread(clear, self._path)
            await on_thread(self._old_files[-1].empty)
        return held

    def close(self) -> None:
        """Release the replaced files, once the database is closed."""
        while self._old_files:
            self._old_files.pop().close()

    async def interrupt(self, running: asyncio.Task[float]) -> None:
        """Make `run` end soon, and wait for it. A swap that has begun is completed."""
        self._stopping = True
        while not running.done():
            if self._source is not None:
                with suppress(sqlite3.ProgrammingError):  # its thread has just closed it
                    self._source.interrupt()
            await asyncio.wait({running}, timeout=INTERRUPT_SECONDS)
        if not running.cancelled() and (error := running.exception()) is not None:
            log.debug("The rewrite ended: %s", error)

    def _begin(self, source: sqlite3.Connection) -> None:
        self._check_stop()
        self._source = source

    def _check_stop(self) -> None:
        if self._stopping:
            raise FolderError(INTERRUPTED)

    async def _catch_up(self, copy: Copy, on_thread: Callable[..., asyncio.Future[None]]) -> None:
        self._source = None
        for _ in range(ROUNDS):
            changes = await self._writer.run(lambda raw: take(raw, most=MOST_CHANGES))
            self._check_stop()
            await on_thread(copy.follow, changes)
            await on_thread(copy.settle)
            if len(changes) <= FEW:
                return
        raise FolderError(TOO_BUSY)

    async def _put_in_place(self, copy: Copy, mark: Mark) -> float:
        async with self._parked():
            return await self._writer.run(lambda raw: self._finish(raw, copy, mark))

    def _finish(self, raw: sqlite3.Connection, copy: Copy, mark: Mark) -> float:
        """Completes the copy and swaps the files on the writer's thread; returns the seconds that it was blocked."""
        began = monotonic()
        old = OldFile(self._path)
        try:
            copy.complete(take(raw, most=MOST_AT_THE_END), mark)
            self._writer.let_go()
            old.swap()
            self._old_files.append(old)
            if len(self._old_files) > MOST_OLD_FILES:
                self._old_files.pop(0).close()
        except BaseException:
            self._writer.let_go()
            old.close()
            raise
        finally:
            self._writer.take_up()
        return monotonic() - began

    @asynccontextmanager
    async def _parked(self) -> AsyncGenerator[None]:
        """Closes the readers: the one that may be busy for longest first, so that the others wait only for the writer."""
        go_on = threading.Event()
        parked: list[asyncio.Task[None]] = []
        try:
            for reader in reversed(self._readers):
                closed = asyncio.Event()
                parked.append(asyncio.create_task(_park(reader, closed, go_on)))
                await closed.wait()
            yield
        finally:
            go_on.set()
            await asyncio.gather(*parked)


async def _park(reader: ThreadedConnection, closed: asyncio.Event, go_on: threading.Event) -> None:
    loop = asyncio.get_running_loop()

    def wait(_: sqlite3.Connection) -> None:
        reader.let_go()
        loop.call_soon_threadsafe(closed.set)
        go_on.wait()  # until then the old file must not be opened again, however long the disk takes

    try:
        await reader.run(wait)
    finally:
        closed.set()
