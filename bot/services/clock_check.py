"""Whether ages may be told by this machine's clock: asked before anything is deleted because it is old."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final, Protocol

from bot.domain.clocks import StoredTimes
from bot.ports import Clock

MAX_OFF: Final = timedelta(days=1)

log = logging.getLogger(__name__)


class TimeBook(Protocol):
    """The times on disk."""

    async def stored_times(self) -> StoredTimes: ...

    async def note_agreement(self, now: datetime) -> None: ...


class ClockCheck:
    """Three witnesses have to agree within a day: the wall clock, what it said when this process began (or was last found to
    have been stepped) with the time that has passed since then, and the newest time that is stored.

    Nothing is lost by waiting: a bot that was off for days, and that nobody uses, deletes nothing for its age until somebody
    does.
    """

    def __init__(self, *, book: TimeBook, clock: Clock) -> None:
        self._book = book
        self._clock = clock
        self._since, self._ticks = clock.now(), clock.ticks()
        self._is_told = False

    async def now(self) -> datetime | None:
        """The time by which ages may be told; None while the clocks disagree, which is logged once."""
        now, ticks = self._clock.now(), self._clock.ticks()
        passed = self._since + timedelta(seconds=ticks - self._ticks)
        if abs(now - passed) > MAX_OFF:
            self._since, self._ticks = now, ticks  # from here on what the clock says now is tried
            return self._disagree(f"was stepped by {_days(now - passed)}")
        newest = (await self._book.stored_times()).newest
        if newest is not None and not self._since - MAX_OFF <= newest <= now + MAX_OFF:
            return self._disagree(f"says {now:%Y-%m-%d}, and the newest time on disk is of {newest:%Y-%m-%d}")
        self._is_told = False
        await self._book.note_agreement(now)
        return now

    def _disagree(self, why: str) -> None:
        if not self._is_told:
            log.warning(
                "Nothing is deleted for its age now: this machine's clock %s. It goes on by itself, where the clock is right, "
                "at the latest an hour after the next picture was asked for",
                why,
            )
        self._is_told = True


def _days(step: timedelta) -> str:
    return f"{step.total_seconds() / 86400:+.1f} days"
