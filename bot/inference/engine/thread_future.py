"""A future for a coroutine that waits for the drawing thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from bot.inference.engine.cancellation import CancelToken


class ThreadFuture:
    """A future made on an event loop; `answer` and `fail` may come from any thread, and the first of them counts."""

    def __init__(self, control: CancelToken) -> None:
        self.control = control
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()

    def answer(self, value: object) -> None:
        self._tell(lambda: self.future.set_result(value))

    def fail(self, error: BaseException) -> None:
        self._tell(lambda: self.future.set_exception(error))

    async def settled(self) -> None:
        """Wait for an end even if the waiting task is cancelled, any number of times."""
        while not self.future.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([self.future])
        self.future.exception()  # seen: it ended because we stopped it

    def _tell(self, change: Callable[[], None]) -> None:
        def once() -> None:
            if not self.future.done():
                change()

        with suppress(RuntimeError):  # on a closed loop nobody waits
            self._loop.call_soon_threadsafe(once)
