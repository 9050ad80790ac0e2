"""Provides small pools of threads, each with a name, a purpose and an owner that closes it."""

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
    """A pool of at most `threads` threads, started on demand, for work that must not block the event loop.

    `niceness` (0 to 19) lowers the threads' priority on busy cores; only Linux has it for a thread. Work that keeps Python's
    lock for long should not be nice: other threads that wait for the lock would wait for one of low priority.
    """

    def __init__(self, name: str, threads: int, *, niceness: int = 0) -> None:
        self._executor = ThreadPoolExecutor(
            threads, thread_name_prefix=f"pastel-{name}", initializer=stand_back, initargs=(niceness,)
        )

    async def run(self, work: Callable[Given, Value], *args: Given.args, **kwargs: Given.kwargs) -> Value:
        """Return or raise what `work` does. A cancelled caller ends at once; work that had not begun is dropped."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(work, *args, **kwargs))

    async def close(self) -> None:
        """Drop work that has not begun and wait for the rest. May be called twice."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._executor.shutdown)


def stand_back(niceness: int) -> None:
    """Lowers the priority of the calling thread, and of those it starts, by `niceness` below the process's. Linux only."""
    if niceness and sys.platform == "linux":
        thread = threading.get_native_id()
        # Relative to the process: a service that was started with `nice` may not raise its priority, and need not.
        os.setpriority(os.PRIO_PROCESS, thread, min(19, os.getpriority(os.PRIO_PROCESS, thread) + niceness))
