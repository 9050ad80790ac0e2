"""Ends a process: by signals, or when the first of several coroutines ends."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any


def stop_event() -> asyncio.Event:
    """Returns an event that SIGTERM and SIGINT set; the process then ends in order, however often the signal comes."""
    return _event_of(signal.SIGTERM, signal.SIGINT)


def drain_event() -> asyncio.Event:
    """Returns an event that SIGUSR1 sets."""
    return _event_of(signal.SIGUSR1)


def _event_of(*numbers: signal.Signals) -> asyncio.Event:
    event = asyncio.Event()
    for number in numbers:
        asyncio.get_running_loop().add_signal_handler(number, event.set)
    return event


async def first_of(*works: Coroutine[Any, Any, Any]) -> None:
    """Runs all until the first ends, then cancels the others; raises what the first raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
