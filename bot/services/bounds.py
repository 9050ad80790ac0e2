"""Bounds a member: how much of one kind of work one of them may have under way, and how often they may ask for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from bot.errors import QuotaError
from bot.messages import counted

TIDY_UP = 1_000  # members whose pace is remembered before those who have rested are forgotten


class Places:
    """Work of one kind, one at a time a member and at most `at_once` in all; whoever finds no place waits in the order of
    coming. At most `a_member` of one member's and `in_all` of all are under way or wait; the next is refused.
    """

    def __init__(self, *, a_member: int, at_once: int, in_all: int, own_full: str, all_full: str) -> None:
        self._a_member = a_member
        self._in_all = in_all
        self._own_full = own_full
        self._all_full = all_full
        self._free = asyncio.Semaphore(at_once)
        self._turns: dict[int, asyncio.Lock] = {}
        self._held: dict[int, int] = {}

    @asynccontextmanager
    async def take(self, user_id: int) -> AsyncGenerator[None]:
        """Hold a place for as long as the work takes. Raises QuotaError, with the sentence for the member, at once."""
        held = self._held.get(user_id, 0)
        if held >= self._a_member:
            raise QuotaError(self._own_full)
        if sum(self._held.values()) >= self._in_all:
            raise QuotaError(self._all_full)
        self._held[user_id] = held + 1
        try:
            async with self._turns.setdefault(user_id, asyncio.Lock()), self._free:
                yield
        finally:
            self._held[user_id] -= 1
            if not self._held[user_id]:
                del self._held[user_id]
                del self._turns[user_id]


class Pace:
    """How often a member may ask: `a_minute` times on average, and as many at once after a rest."""

    def __init__(self, a_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(a_minute)
        self._a_second = a_minute / 60
        self._clock = clock
        self._left: dict[int, tuple[float, float]] = {}  # tries that are left, and when that was so

    def spend(self, user_id: int) -> None:
        """Count a try, whatever becomes of it. Raises QuotaError where none is left."""
        now = self._clock()
        left = self._left_of(user_id, now)
        if left < 1:
            raise QuotaError(
                counted(
                    "That was a lot in a short time. Wait {count} second, then try again.",
                    "That was a lot in a short time. Wait {count} seconds, then try again.",
                    max(1, round((1 - left) / self._a_second)),
                )
            )
        if len(self._left) >= TIDY_UP:
            self._left = {member: entry for member, entry in self._left.items() if self._left_of(member, now) < self._most}
        self._left[user_id] = (left - 1, now)

    def _left_of(self, user_id: int, now: float) -> float:
        left, since = self._left.get(user_id, (self._most, now))
        return min(self._most, left + (now - since) * self._a_second)
