"""Whether the disk has room for more pictures: looked at before a request is taken in, and before one is drawn."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from typing import Final

from bot.domain.operator_rules import NO_ROOM
from bot.errors import NotAllowedError
from bot.ports import ImageStore

REMIND_SECONDS: Final = 3600.0  # between two lines of the log while the disk stays full
FULL_SECONDS: Final = 60.0  # that nothing is drawn after a file did not fit, although the disk says that it has room
MEGABYTE: Final = 1024 * 1024

log = logging.getLogger(__name__)


class DiskSpace:
    """`min_free_bytes` is the operator's mark; `ticks` counts seconds, whatever the wall clock does."""

    def __init__(self, store: ImageStore, *, min_free_bytes: int, ticks: Callable[[], float] = monotonic) -> None:
        self._store = store
        self._mark = min_free_bytes
        self._ticks = ticks
        self._full_until = float("-inf")
        self._told_at: float | None = None

    async def suffices(self) -> bool:
        """Whether there is room. Says once an hour in the log that there is none, and once that there is again."""
        free = await self._store.free_bytes() if self._mark else 0
        now = self._ticks()
        if free < self._mark or now < self._full_until:
            self._tell(free, now)
            return False
        if self._told_at is not None:
            self._told_at = None
            log.info("The disk has room again; requests are taken and drawn")
        return True

    async def check(self) -> None:
        """Raises NotAllowedError, with a sentence for the member, where there is no room."""
        if not await self.suffices():
            raise NotAllowedError(NO_ROOM)

    async def failed(self) -> bool:
        """A file did not fit. Whether that was to be expected, since less is free than the mark."""
        self._full_until = self._ticks() + FULL_SECONDS
        return self._mark > 0 and await self._store.free_bytes() < self._mark

    def _tell(self, free: int, now: float) -> None:
        if self._told_at is not None and now - self._told_at < REMIND_SECONDS:
            return
        self._told_at = now
        if free < self._mark:
            log.error(
                "Only %d MB of the disk are free, and MIN_FREE_MB is %d: nothing new is taken, and what waits goes on when "
                "there is room. Free some space, or let PICTURE_DAYS delete old pictures",
                free // MEGABYTE,
                self._mark // MEGABYTE,
            )
        else:
            log.error("A picture did not fit on the disk: nothing is taken or drawn for %d s. Free some space", FULL_SECONDS)
