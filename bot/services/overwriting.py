"""The last traces of what members deleted are overwritten within a day, at most once a day, whoever asks for how much."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic
from typing import Final, Protocol

from bot.errors import OperatorError
from bot.metrics import Metrics
from bot.ports import Clock
from bot.services.error_ids import log_incident
from bot.services.wakeup import Sleep, WakeUp, rest

INTERVAL: Final = timedelta(hours=23)  # between two rewrites; an hour is left for the second to succeed within the day
GATHERING: Final = timedelta(minutes=10)  # after an erasure: those of others that come by then are served by the same rewrite
LOOK_SECONDS: Final = 300.0  # between two looks
FIRST_PAUSE: Final = 300.0  # after a failure; the next one is twice as long
LONGEST_PAUSE: Final = 4 * 3600.0

log = logging.getLogger(__name__)


class TraceRepository(Protocol):
    """What erasures leave in the database's file although no row holds it any more."""

    async def oldest(self) -> datetime | None:
        """When the first erasure ended whose traces may still be there; None: there are none."""
        ...

    async def overwritten_at(self) -> datetime | None:
        """When the file was written anew for the last time."""
        ...

    async def overwrite(self, *, now: datetime) -> float:
        """Write the file anew; returns for how many seconds nobody could write meanwhile.

        Raises OperatorError where the disk does not let us; the file stays as it was then.
        """
        ...


class Overwriting:
    """Looks for traces until `stop`, and overwrites them. A failure is tried again after pauses that grow."""

    def __init__(
        self,
        *,
        traces: TraceRepository,
        clock: Clock,
        metrics: Metrics,
        sleep: Sleep = asyncio.sleep,
        ticks: Callable[[], float] = monotonic,
    ) -> None:
        self._traces = traces
        self._clock = clock
        self._metrics = metrics
        self._sleep = sleep
        self._ticks = ticks
        self._signal = WakeUp()
        self._stopping = False
        self._under_way: asyncio.Task[None] | None = None
        self._failures = 0
        self._not_before = float("-inf")
        self._told = ""

    async def run(self) -> None:
        """At most one rewrite a day, and only where there is something to overwrite."""
        while not self._stopping:
            woken = self._signal.listen()
            self._under_way = asyncio.create_task(self.look(), name="overwrite-traces")
            await asyncio.wait({self._under_way})
            await rest(woken, LOOK_SECONDS, self._sleep)

    async def stop(self) -> None:
        """Stop a rewrite that is under way, and wait for that; may be called at any time, repeatedly."""
        self._stopping = True
        self._signal.ring()
        if self._under_way is not None:
            self._under_way.cancel()
            await asyncio.gather(self._under_way, return_exceptions=True)

    async def look(self) -> None:
        """Overwrite what is there to be overwritten, if it is time. Never raises."""
        try:
            oldest = await self._traces.oldest()
            self._metrics.traces_seconds.set(0 if oldest is None else self._age(oldest))
            if oldest is not None and self._ticks() >= self._not_before and await self._is_time(oldest):
                await self._overwrite()
        except OperatorError as error:
            self._put_off()
            if str(error) != self._told:  # once, and not with every try
                self._told = str(error)
                log.warning("%s", error)
        except Exception as error:  # noqa: BLE001  # a fault of the file must not end the bot
            self._put_off()
            log_incident(log, self._metrics, "Traces of what was deleted could not be overwritten", error)

    async def _is_time(self, oldest: datetime) -> bool:
        now, last = self._clock.now(), await self._traces.overwritten_at()
        # A time that lies ahead is one of a clock that was set back since: it keeps nobody waiting.
        was_long_ago = last is None or not now - INTERVAL < last <= now
        return was_long_ago and not now - GATHERING < oldest <= now

    async def _overwrite(self) -> None:
        held = await self._traces.overwrite(now=self._clock.now())
        self._metrics.traces_seconds.set(0)
        self._failures, self._not_before, self._told = 0, float("-inf"), ""
        log.info("Traces of what was deleted are overwritten; the database took no changes for %.0f ms", held * 1000)

    def _put_off(self) -> None:
        pause = min(FIRST_PAUSE * 2**self._failures, LONGEST_PAUSE)
        self._failures += 1
        self._not_before = self._ticks() + pause

    def _age(self, since: datetime) -> float:
        return max(0.0, (self._clock.now() - since).total_seconds())
