"""What ends a process: signals, and the first of several works to end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any


def stop_event() -> asyncio.Event:
    """Set by SIGTERM and SIGINT; from then on the process ends in order, however often the signal comes."""
    return _event_of(signal.SIGTERM, signal.SIGINT)


def drain_event() -> asyncio.Event:
    """Set by SIGUSR1."""
    return _event_of(signal.SIGUSR1)


def _event_of(*numbers: signal.Signals) -> asyncio.Event:
    event = asyncio.Event()
    for number in numbers:
        asyncio.get_running_loop().add_signal_handler(number, event.set)
    return event


async def first_of(*works: Coroutine[Any, Any, Any]) -> None:
    """Run all until the first ends, then cancel the others; raises what the first raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
