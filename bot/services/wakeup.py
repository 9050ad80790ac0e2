"""Waking a sleeping loop, and sleeping with an end that can be brought forward."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

Sleep = Callable[[float], Awaitable[object]]
"""`asyncio.sleep`, or a test's clock."""


class WakeUp:
    """Wakes every loop that listened before the ring.

    A loop takes `listen()` first and looks for work afterwards. What rings in between is not lost, which it would be with
    one event that several loops clear.
    """

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def listen(self) -> asyncio.Event:
        """The event that the next ring sets."""
        return self._next

    def ring(self) -> None:
        self._next.set()
        self._next = asyncio.Event()


async def rest(until: asyncio.Event, seconds: float, sleep: Sleep) -> None:
    """Return when `until` is set or `seconds` are over, whichever is first."""
    if until.is_set() or seconds <= 0:
        return
    sleeper = asyncio.ensure_future(sleep(seconds))
    waiter = asyncio.ensure_future(until.wait())
    try:
        await asyncio.wait({sleeper, waiter}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleeper.cancel()
        waiter.cancel()
        await asyncio.gather(sleeper, waiter, return_exceptions=True)
