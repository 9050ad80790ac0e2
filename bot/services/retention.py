"""Retention: pictures and words go when the server's or the host's time for them is over; so do old copies of the database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, Protocol

from bot.domain.privacy import Content, KeepingTimes
from bot.metrics import Metrics
from bot.ports import Clock, ImageStore
from bot.services.clock_check import ClockCheck, TimeRepository
from bot.services.error_ids import log_incident
from bot.services.report_display import ReportDisplay
from bot.services.wakeup import Sleep, WakeUp, rest

INTERVAL: Final = 3600.0  # seconds between two rounds
SOON: Final = 300.0  # seconds, while the clocks disagree: the next picture asked for settles that, and a bot may be off soon
BACKUP_DAYS: Final = 30  # the copy that an update makes of the database holds words too

log = logging.getLogger(__name__)


class RetentionRepository(TimeRepository, Protocol):
    """What the database holds of jobs that ended, by age. Portions are small; ask until one is empty."""

    async def times(self, *, after: int) -> dict[int, KeepingTimes]:
        """The next servers that have settings, by id from `after` on."""
        ...

    async def times_of(self, guild_id: int) -> KeepingTimes: ...

    async def expired(self, guild_id: int | None, *, before: datetime, now: datetime, words: bool) -> Content:
        """Jobs that ended before, whose pictures (or words) are still there and whose last card needs no showing.

        Also such that by Discord's clock were asked for before, and ended in the future by one of ours that was wrong.

        `guild_id` None: of every server, and of direct messages.
        """
        ...

    async def remove(self, content: Content, *, words: bool, now: datetime) -> None:
        """Forget the pictures; with `words`, all that the jobs asked for too, and count them as deleted.

        Messages of reports about them count as outdated.
        """
        ...

    async def remove_backups(self, *, before: datetime) -> int:
        """Delete copies of the database that an update made before that time; returns how many."""
        ...


class Retention:
    """Goes round once an hour until `stop`. Cards in Discord stay as they are; moderators' copies in reports go."""

    def __init__(
        self,
        *,
        retention_repository: RetentionRepository,
        longest: KeepingTimes,
        store: ImageStore,
        reports: ReportDisplay,
        clock: Clock,
        clock_check: ClockCheck,
        metrics: Metrics,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._repository = retention_repository
        self._longest = longest
        self._store = store
        self._reports = reports
        self._clock = clock
        self._clock_check = clock_check
        self._metrics = metrics
        self._sleep = sleep
        self._signal = WakeUp()
        self._stopping = False

    async def run(self) -> None:
        """The first round is at once, since the bot may have been off for long.

        Each takes what is gone out of the reports too: what this round removed, and what Discord refused until now.
        """
        while not self._stopping:
            woken = self._signal.listen()
            try:
                await self.enforce()
            except Exception as error:  # noqa: BLE001  # the next round may find a disk that works
                log_incident(log, self._metrics, "Old pictures could not be removed", error)
            await self._reports.mend()
            await rest(woken, SOON if self._clock_check.is_waiting else INTERVAL, self._sleep)

    def stop(self) -> None:
        """Begin no further round; may be called at any time, repeatedly."""
        self._stopping = True
        self._signal.ring()

    async def enforce(self) -> int:
        """One round; returns how many jobs lost something. None does while the clocks disagree."""
        now = await self._clock_check.now()
        if now is None:
            return 0
        removed = await self._keep_to(None, self._longest, now)
        after = 0
        while servers := await self._repository.times(after=after):
            for guild_id, times in servers.items():
                removed += await self._keep_to(guild_id, times, now)
            after = max(servers)
        removed_backups = await self._repository.remove_backups(before=now - timedelta(days=BACKUP_DAYS))
        if removed or removed_backups:
            log.info("Removed what was kept long enough: of %d jobs, and %d old backups", removed, removed_backups)
        return removed

    async def _keep_to(self, guild_id: int | None, times: KeepingTimes, now: datetime) -> int:
        removed = 0
        if times.word_days is not None:
            removed += await self._remove(guild_id, times.word_days, now, words=True)
        if times.picture_days is not None:
            removed += await self._remove(guild_id, times.picture_days, now, words=False)
        return removed

    async def _remove(self, guild_id: int | None, days: int, now: datetime, *, words: bool) -> int:
        return await remove_all(
            lambda: self._repository.expired(guild_id, before=now - timedelta(days=days), now=now, words=words),
            words=words,
            retention_repository=self._repository,
            store=self._store,
            clock=self._clock,
        )


async def remove_all(
    next_portion: Callable[[], Awaitable[Content]],
    *,
    words: bool,
    retention_repository: RetentionRepository,
    store: ImageStore,
    clock: Clock,
) -> int:
    """Remove portion after portion until one is empty; returns how many jobs they were.

    Files go first: what is cut off after that is still known to the database, and done again.
    """
    removed = 0
    while (content := await next_portion()).job_ids:
        await store.delete(content.keys)
        await retention_repository.remove(content, words=words, now=clock.now())
        removed += len(content.job_ids)
    return removed
