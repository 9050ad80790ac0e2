"""Keeps places and times on the cards of waiting jobs true."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Final

from bot.domain.delivery import Pause
from bot.metrics import Metrics
from bot.ports import Clock, JobRepository
from bot.services.error_ids import log_incident
from bot.services.estimates import Estimator
from bot.services.live_cards import LiveCards
from bot.services.wakeup import Sleep, rest

# Discord takes about 50 requests a second in all and 5 edits in 5 s in a channel (developer documentation, rate limits: the
# second is a bucket whose size it does not promise). Places have a fiftieth of the one and a fifth of the other: the bars of
# running jobs, pictures and answers come first.
EDIT_PAUSE: Final = 1.0  # seconds between two such edits
CHANNEL_PAUSE: Final = timedelta(seconds=5)  # between two in one channel
CARD_PAUSE: Final = timedelta(seconds=30)  # between two looks at one card
LOOKS: Final = 10  # cards that are looked at before one is edited, at most
RESUMED: Final = 500  # waiting jobs whose cards a start takes up; the others' follow when they run

log = logging.getLogger(__name__)


class Places:
    """Looks at waiting cards in turn, at each every CARD_PAUSE at most, and edits those whose place or time has moved. A card
    whose own steps keep it fresh is none of them.

    At most one edit a second in all, and one in five seconds a channel.
    """

    def __init__(
        self, *, jobs: JobRepository, estimator: Estimator, live: LiveCards, clock: Clock, metrics: Metrics, sleep: Sleep
    ) -> None:
        self._jobs = jobs
        self._estimator = estimator
        self._live = live
        self._clock = clock
        self._metrics = metrics
        self._sleep = sleep
        self._edited: dict[int, datetime] = {}
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Take up the cards that an earlier process left waiting, then look until `stop`."""
        try:
            for job in await self._jobs.line(RESUMED):
                self._live.resume(job)
        except Exception as error:  # noqa: BLE001  # those cards stay as they are until their jobs run
            log_incident(log, self._metrics, "Waiting cards could not be taken up", error)
        while not self._stopping.is_set():
            await rest(self._stopping, EDIT_PAUSE, self._sleep)
            if not self._stopping.is_set():
                await self._look()

    def stop(self) -> None:
        self._stopping.set()

    async def _look(self) -> None:
        try:
            await self.refresh_next()
        except Exception as error:  # noqa: BLE001  # a card that is a little older harms nobody
            log_incident(log, self._metrics, "A waiting card could not be refreshed", error)

    async def refresh_next(self) -> None:
        """Edit the card that has waited longest for it, of those whose place or time has moved."""
        now = self._clock.now()
        self._edited = {channel: at for channel, at in self._edited.items() if Pause.of(CHANNEL_PAUSE, since=at).holds(now)}
        for job_id in self._live.waiting(seen_before=now - CARD_PAUSE, except_in=self._edited)[:LOOKS]:
            job = await self._jobs.get(job_id)
            if job is None or not job.status.is_waiting:
                self._live.looked(job_id)
                continue
            position = await self._estimator.position(job)
            self._live.looked(job_id)
            if position is not None and position.has_moved(self._live.shown_position(job_id), now):
                self._edited[job.reply.channel_id] = now
                self._live.refresh(job_id)
                return
