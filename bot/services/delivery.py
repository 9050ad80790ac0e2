"""Delivery: every job that ended gets its final card shown once, however often Discord has to be asked."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from bot.domain.delivery import MAX_BACKOFF, PATIENCE, DeliveryFault, OutboxEntry, backoff
from bot.domain.job import Job, JobId
from bot.ports import JobRepository, MessengerError
from bot.services.card_sender import CardSender, CardSenderDeps, PicturesLostError
from bot.services.direct_messages import DirectMessages
from bot.services.error_ids import log_incident
from bot.services.live_cards import LiveCards
from bot.services.patience import BLOCKED_PAUSE, SHUT_OUT, may_open_again, next_try
from bot.services.recheck import Recheck
from bot.services.wakeup import Sleep, WakeUp, rest

CONCURRENCY: Final = 4  # cards at once; each may hold four pictures in memory
MAX_REPORTS: Final = 3  # times that an unexpected error of one card is logged
DIRECT_TRIES: Final = 60  # at a direct message, once the patience with its place is over
SOON, RARELY = 60.0, 600.0  # seconds between two looks whether a place is open again: in the first minutes, and later
FEW: Final = 10  # tries
STOP_PATIENCE: Final = 5.0  # seconds that cards under way get on a stop; a card cut off is shown after the next start
IDLE_SECONDS: Final = 60.0
BUSY_SECONDS: Final = 1.0  # between looks at the outbox while its earliest entry is under way

log = logging.getLogger(__name__)

_UNDECIDED = frozenset({DeliveryFault.UNAVAILABLE, DeliveryFault.RATE_LIMITED})


@dataclass(frozen=True, slots=True)
class _ChannelPause:
    """No requests for a channel `until` so many ticks, because of `fault`."""

    until: float
    fault: DeliveryFault


class Delivery:
    """The outbox's loop: up to CONCURRENCY cards at once, one job's never twice at once.

    The job's live card is closed before its final edit, so no late progress can overwrite the pictures. What waits on disk
    waits a minute at most by the wall clock, which may be stepped; what is longer, this process counts by ticks.
    """

    def __init__(
        self,
        *,
        room: CardSenderDeps,
        jobs: JobRepository,
        recheck: Recheck,
        live: LiveCards,
        sleep: Sleep = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = room.outbox
        self._clock = room.clock
        self._metrics = room.metrics
        self._card_sender = CardSender(room)
        self._direct = DirectMessages(messenger=room.messenger, card_sender=self._card_sender, recheck=recheck)
        self._jobs = jobs
        self._recheck = recheck
        self._live = live
        self._sleep = sleep
        self._jitter = jitter
        self._signal = WakeUp()
        self._starting = asyncio.Lock()
        self._stopping = False
        self._in_flight: dict[JobId, asyncio.Task[None]] = {}
        self._channel_pauses: dict[int, _ChannelPause] = {}
        self._blocked_until: float | None = None

    async def run(self) -> None:
        """Deliver until `stop`."""
        try:
            while not self._stopping:
                woken = self._signal.listen()
                pause = IDLE_SECONDS
                try:
                    await self._start_due()
                    pause = await self._pause()
                except Exception as error:  # noqa: BLE001  # the loop outlives a database that is busy or full
                    log_incident(log, self._metrics, "The outbox could not be read", error)
                await rest(woken, pause, self._sleep)
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Start no more cards and let those under way end; may be called at any time, repeatedly."""
        self._stopping = True
        self._signal.ring()
        tasks = set(self._in_flight.values())
        if not tasks:
            return
        _, pending = await asyncio.wait(tasks, timeout=STOP_PATIENCE)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    def wake(self) -> None:
        """Say that the outbox has a new entry."""
        self._signal.ring()

    async def deliver_due(self) -> int:
        """One turn: try every card whose time has come, up to CONCURRENCY; returns how many were tried."""
        tasks = await self._start_due()
        if tasks:
            await asyncio.wait(tasks)
        return len(tasks)

    async def settle(self, job_id: JobId) -> None:
        """Return when no delivery of the job is under way."""
        task = self._in_flight.get(job_id)
        if task is not None:
            await asyncio.wait({task})

    async def _start_due(self) -> list[asyncio.Task[None]]:
        async with self._starting:  # `deliver_due` may run beside the loop
            now, under_way = self._clock.now(), set(self._in_flight)
            if self._stopping or self._blocked_for() > 0:
                return []
            free = (CONCURRENCY if self._blocked_until is None else 1) - len(under_way)
            if free <= 0:
                return []
            entries = await self._outbox.due(now=now, limit=CONCURRENCY + len(under_way))
            # `under_way` from before the query: an entry that was closed meanwhile was still open when it was read
            return [self._start(entry) for entry in [entry for entry in entries if entry.job_id not in under_way][:free]]

    def _start(self, entry: OutboxEntry) -> asyncio.Task[None]:
        task = asyncio.create_task(self._deliver(entry), name=f"deliver-{entry.job_id}")
        self._in_flight[entry.job_id] = task
        task.add_done_callback(lambda _: self._ended(entry.job_id))
        return task

    def _ended(self, job_id: JobId) -> None:
        del self._in_flight[job_id]
        self._signal.ring()

    async def _pause(self) -> float:
        """Seconds until the next look at the outbox, if nobody wakes us."""
        due = await self._outbox.next_due()
        if due is None:
            return IDLE_SECONDS
        seconds = max((due - self._clock.now()).total_seconds(), self._blocked_for())
        return min(seconds, IDLE_SECONDS) if seconds > 0 else BUSY_SECONDS

    def _blocked_for(self) -> float:
        """Seconds in which Discord is asked nothing."""
        return 0.0 if self._blocked_until is None else max(0.0, self._blocked_until - self._clock.ticks())

    async def _deliver(self, entry: OutboxEntry) -> None:
        try:
            await self._show(entry)
        except Exception as error:  # noqa: BLE001  # one bad entry must not stop the others
            if entry.attempts < MAX_REPORTS:
                log_incident(log, self._metrics, f"Card of job {entry.job_id} could not be delivered", error)
            await self._postpone(entry)

    async def _show(self, entry: OutboxEntry) -> None:
        await self._live.close(entry.job_id)
        job = await self._jobs.get(entry.job_id)
        if job is None or job.deleted_at is not None:
            await self._outbox.give_up(entry.job_id, DeliveryFault.MESSAGE_GONE, now=self._clock.now())
            return
        channel_id = job.reply.channel_id
        if await self._waits_for_channel(entry, channel_id):
            return
        try:
            job = await self._recheck.before_showing(job, await self._jobs.images(job.id))
            message_id = await self._card_sender.show(entry, job, await self._jobs.images(job.id))
        except MessengerError as error:
            await self._conclude_fault(entry, job, error)
        except PicturesLostError:
            await self._give_up_lost(job)
        else:
            self._blocked_until = None
            self._channel_pauses.pop(channel_id, None)
            await self._outbox.delivered(job.id, channel_id=channel_id, message_id=message_id, now=self._clock.now())

    async def _waits_for_channel(self, entry: OutboxEntry, channel_id: int) -> bool:
        """Whether its channel is left alone for now; then so is the card."""
        pause, ticks = self._channel_pauses.get(channel_id), self._clock.ticks()
        if pause is None:
            return False
        left = pause.until - ticks
        if left <= 0:
            if pause.fault in SHUT_OUT:  # one card asks whether it is open again
                self._channel_pauses[channel_id] = replace(pause, until=ticks + SOON)
            else:
                del self._channel_pauses[channel_id]
            return False
        now = self._clock.now()
        at = now + min(timedelta(seconds=left), MAX_BACKOFF)
        await self._outbox.retry(entry.job_id, at=at, fault=pause.fault, now=now)
        return True

    async def _conclude_fault(self, entry: OutboxEntry, job: Job, error: MessengerError) -> None:
        """Try again later, go to the member directly, or give up for good."""
        now, may_open = self._clock.now(), may_open_again(job, error.fault)
        at = next_try(entry, error, may_open=may_open, now=now, jitter=self._jitter())
        self._note_answer(error)
        if at is not None:
            self._spare(job.reply.channel_id, entry, error, may_open=may_open)
            log.debug("Card of job %s waits until %s: %s", entry.job_id, at, error)
            await self._outbox.retry(entry.job_id, at=at, fault=error.fault, now=now)
        elif error.fault in SHUT_OUT and job.origin.guild_id is not None and not entry.edits_only:
            await self._show_directly(entry, job, error)
        else:
            await self._give_up(entry, error)

    def _note_answer(self, error: MessengerError) -> None:
        """Any answer shows that Discord listens, but for one: that it refuses everything."""
        if error.fault is not DeliveryFault.UNAVAILABLE:
            blocked = error.fault is DeliveryFault.RATE_LIMITED and error.retry_after is None
            self._blocked_until = self._clock.ticks() + BLOCKED_PAUSE if blocked else None

    def _spare(self, channel_id: int, entry: OutboxEntry, error: MessengerError, *, may_open: bool) -> None:
        """Leave a channel alone, with all its cards, which is closed or wants fewer requests."""
        if may_open:
            seconds = SOON if entry.attempts < FEW else RARELY
        elif error.fault is DeliveryFault.RATE_LIMITED and error.retry_after is not None:
            seconds = max(1.0, error.retry_after)
        else:
            return
        self._channel_pauses[channel_id] = _ChannelPause(self._clock.ticks() + seconds, error.fault)

    async def _show_directly(self, entry: OutboxEntry, job: Job, error: MessengerError) -> None:
        try:
            shown = await self._direct.show(job, await self._jobs.images(job.id))
        except MessengerError as refusal:
            if refusal.fault in _UNDECIDED and entry.attempts + 1 < PATIENCE + DIRECT_TRIES:
                self._note_answer(refusal)
                now = self._clock.now()
                await self._outbox.retry(entry.job_id, at=now + backoff(entry.attempts, 1.0), fault=error.fault, now=now)
            else:
                await self._give_up(entry, error)
        except PicturesLostError:
            await self._give_up_lost(job)
        else:
            if shown is None:
                await self._give_up(entry, error)
                return
            now = self._clock.now()
            await self._outbox.delivered(job.id, channel_id=shown.channel_id, message_id=shown.message_id, now=now)

    async def _give_up(self, entry: OutboxEntry, error: MessengerError) -> None:
        level = logging.ERROR if error.fault is DeliveryFault.REFUSED else logging.WARNING
        log.log(level, "Card of job %s cannot be shown: %s", entry.job_id, error)
        await self._outbox.give_up(entry.job_id, error.fault, now=self._clock.now())

    async def _give_up_lost(self, job: Job) -> None:
        log.error("Pictures of job %s are missing on disk", job.id)
        await self._outbox.give_up(job.id, DeliveryFault.REFUSED, now=self._clock.now())

    async def _postpone(self, entry: OutboxEntry) -> None:
        """An error of ours (a full disk, a bug) is waited out like an outage: the outcome is as unknown."""
        now, fault = self._clock.now(), DeliveryFault.UNAVAILABLE
        at = next_try(entry, MessengerError(fault), may_open=False, now=now, jitter=self._jitter())
        try:
            if at is None:
                await self._outbox.give_up(entry.job_id, fault, now=now)
            else:
                await self._outbox.retry(entry.job_id, at=at, fault=fault, now=now)
        except Exception as error:  # noqa: BLE001  # the entry stays as it was and comes up again
            log_incident(log, self._metrics, f"Outbox entry of job {entry.job_id} could not be written", error)
            await self._sleep(BUSY_SECONDS)  # it is still due, so this slot would spin
