"""Whether ages may be told by this machine's clock: asked before anything is deleted because it is old."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final, Protocol

from bot.domain.clocks import StoredTimes
from bot.ports import Clock

MAX_OFF: Final = timedelta(days=1)

WAITING: Final = (
    "Nothing is deleted for its age now: this machine's clock %s. It goes on by itself, where the clock is right, "
    "at the latest an hour after the next picture was asked for"
)
LATE: Final = (
    "Nothing on disk is newer than %s, and this machine's clock says %s: until somebody asks for a picture, what is "
    "deleted for its age goes later by that much. Where the clock is wrong, let a time server (NTP) set it"
)

log = logging.getLogger(__name__)


class TimeRepository(Protocol):
    """The times on disk."""

    async def stored_times(self) -> StoredTimes: ...

    async def note_time(self, now: datetime) -> None:
        """Keep a time by which ages were told."""
        ...


class ClockCheck:
    """Three witnesses have to agree within a day: the wall clock, what it said when this process began (or was last found to
    have been stepped) with the time that has passed since then, and the newest time that is stored, with what has passed since.

    A bot that was off for longer than that cannot be told from a clock that is ahead. The third witness is right in any case:
    ages are told by it until somebody asks for a picture, so nothing goes too early, and what nobody uses goes later by as long
    as the bot was off.
    """

    def __init__(self, *, repository: TimeRepository, clock: Clock) -> None:
        self._repository = repository
        self._clock = clock
        self._since, self._ticks = clock.now(), clock.ticks()
        self._sure: tuple[datetime, float] | None = None  # a time that has come, and when it was known, in ticks
        self._is_told = False

    @property
    def is_waiting(self) -> bool:
        """Whether the clocks disagreed when they were last asked, so that ages are told late or not at all."""
        return self._is_told

    async def now(self) -> datetime | None:
        """The time by which ages may be told; None while the clocks disagree. Either disagreement is logged once."""
        now, ticks = self._clock.now(), self._clock.ticks()
        passed = self._since + timedelta(seconds=ticks - self._ticks)
        sure = self._surely((await self._repository.stored_times()).newest, passed, ticks)
        if abs(now - passed) > MAX_OFF:
            self._since, self._ticks = now, ticks  # from here on what the clock says now is tried
            return self._disagree(f"was stepped by {_days(now - passed)}")
        if sure is None:
            return now  # nobody has asked for anything yet: nothing shows that this clock is right, and nothing is old
        if abs(now - sure) <= MAX_OFF:
            self._is_told, sure = False, now
        elif sure > now:
            return self._disagree(f"says {now:%Y-%m-%d}, and the newest time on disk is of {sure:%Y-%m-%d}")
        else:
            self._tell(LATE, sure.date(), now.date())
        await self._repository.note_time(sure)
        return sure

    def _surely(self, stored: datetime | None, passed: datetime, ticks: float) -> datetime | None:
        """The newest time that has come for sure: the one on disk, or an earlier one with what has passed since."""
        if stored is None:
            return None
        if self._sure is not None:
            known, at = self._sure
            sure = max(stored, known + timedelta(seconds=ticks - at))
        else:  # one of about when this process began shows that the clock was right then
            sure = passed if self._since - MAX_OFF <= stored <= passed else stored
        self._sure = (sure, ticks)
        return sure

    def _disagree(self, why: str) -> None:
        self._tell(WAITING, why)

    def _tell(self, sentence: str, *values: object) -> None:
        if not self._is_told:
            log.warning(sentence, *values)
        self._is_told = True


def _days(step: timedelta) -> str:
    return f"{step.total_seconds() / 86400:+.1f} days"
