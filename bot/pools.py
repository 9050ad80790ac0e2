"""Small pools of threads, each with a name, a purpose and an owner that closes it."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Value = TypeVar("Value")


class Pool:
    """At most `threads` threads, begun when they are needed, for work that must not hold the event loop.

    `niceness` (0 to 19) is how far the threads stand back where the cores are busy; only Linux knows it for a thread. Work
    that holds Python's lock for long should not be nice: whoever waits for the lock then waits for a thread that stands back.
    """

    def __init__(self, name: str, threads: int, *, niceness: int = 0) -> None:
        self._executor = ThreadPoolExecutor(
            threads, thread_name_prefix=f"pastel-{name}", initializer=stand_back, initargs=(niceness,)
        )

    async def run(self, work: Callable[Given, Value], *args: Given.args, **kwargs: Given.kwargs) -> Value:
        """What `work` returns or raises. A cancelled caller goes at once; work that had not begun is dropped."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(work, *args, **kwargs))

    async def close(self) -> None:
        """Drop what has not begun and wait for the rest. May be called twice."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._executor.shutdown)


def stand_back(niceness: int) -> None:
    """Have the calling thread, and what it starts, give way by so much more than the process does. Linux only."""
    if niceness and sys.platform == "linux":
        thread = threading.get_native_id()
        # From where the process stands: a service that was started with `nice` may not go back to less, and need not.
        os.setpriority(os.PRIO_PROCESS, thread, min(19, os.getpriority(os.PRIO_PROCESS, thread) + niceness))
