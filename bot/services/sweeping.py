"""Files that no row knows are removed at the start and once an hour: what a crash, or a refusal after a write, left behind."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Final

from bot.metrics import Metrics
from bot.ports import Clock, ImageStore, JobRepository
from bot.services.clock_check import ClockCheck
from bot.services.error_ids import log_incident
from bot.services.wakeup import Sleep, WakeUp, rest

INTERVAL: Final = 3600.0  # seconds between two rounds
GRACE: Final = timedelta(hours=1)  # a file is written before the database knows it
JUMP_SECONDS: Final = 60.0  # by which the wall clock may run ahead of the machine's own in an interval

log = logging.getLogger(__name__)


class Sweeping:
    """Goes round until `stop`, beside everything else: a million files take minutes, and nobody waits for them."""

    def __init__(
        self,
        *,
        jobs: JobRepository,
        store: ImageStore,
        clock: Clock,
        clock_check: ClockCheck,
        metrics: Metrics,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._jobs = jobs
        self._store = store
        self._clock = clock
        self._clock_check = clock_check
        self._metrics = metrics
        self._sleep = sleep
        self._signal = WakeUp()
        self._stopping = False
        self._swept_earlier = False

    async def run(self) -> None:
        """The first round, at once, is about what an earlier process left; it comes again with the others if it fails."""
        await self.sweep()
        while not self._stopping:
            woken, began_at, began = self._signal.listen(), self._clock.now(), self._clock.ticks()
            await rest(woken, INTERVAL, self._sleep)
            # Ages come from the wall clock. Where that jumped ahead, a file of a minute ago looks old: wait another hour.
            jumped = (self._clock.now() - began_at).total_seconds() - (self._clock.ticks() - began) > JUMP_SECONDS
            if not self._stopping and not jumped:
                await self.sweep()

    async def sweep(self) -> None:
        """One round; none by age while the clocks disagree. Never raises: the next may find a disk that works."""
        before = None
        try:
            if self._swept_earlier:
                now = await self._clock_check.now()
                if now is None:
                    return
                before = now - GRACE
            swept = await self._store.sweep(self._jobs.unknown_keys, before=before)
        except Exception as error:  # noqa: BLE001  # a file that cannot be removed must not end the bot
            log_incident(log, self._metrics, "Files that nothing needs could not be removed", error)
            return
        self._swept_earlier = True
        self._metrics.pictures.set(swept.kept)
        self._metrics.picture_bytes.set(swept.kept_bytes)
        if swept.removed:
            log.info("Removed %d files that nothing needs", swept.removed)

    def stop(self) -> None:
        """Begin no further round; may be called at any time, repeatedly."""
        self._stopping = True
        self._signal.ring()
