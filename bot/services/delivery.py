"""Delivery: every job that ended gets its final card shown once, however often Discord has to be asked."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from bot.domain.delivery import DELIVERY_PATIENCE, DeliveryFault, OutboxEntry, Pause, backoff
from bot.domain.job import JobId
from bot.ports import JobRepository, MessengerError
from bot.services.courier import Courier, Mailroom, PicturesLostError
from bot.services.incidents import report
from bot.services.live_cards import LiveCards
from bot.services.recheck import Recheck
from bot.services.signals import Signal, Sleep, rest

CONCURRENCY: Final = 4  # cards at once; each may hold four pictures in memory
MAX_REFUSALS: Final = 3  # tries at what Discord calls our own mistake
MAX_REPORTS: Final = 3  # times that an unexpected error of one card is logged
MIN_TRIES: Final = 12  # tries that a card gets at least, also when the bot itself was off for longer than the patience
BLOCKED_PAUSE: Final = timedelta(seconds=60)  # between probes while Discord refuses everything
STOP_PATIENCE: Final = 5.0  # seconds that cards under way get on a stop; a card cut off is shown after the next start
IDLE_SECONDS: Final = 60.0
BUSY_SECONDS: Final = 1.0  # between looks at the outbox while its earliest entry is under way

log = logging.getLogger(__name__)

_NEVER_AGAIN = frozenset({DeliveryFault.CHANNEL_GONE, DeliveryFault.FORBIDDEN})


class Delivery:
    """The outbox's loop: up to CONCURRENCY cards at once, one job's never twice at once.

    The job's live card is closed before its final edit, so no late progress can overwrite the pictures.
    """

    def __init__(
        self,
        *,
        room: Mailroom,
        jobs: JobRepository,
        recheck: Recheck,
        live: LiveCards,
        sleep: Sleep = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = room.outbox
        self._clock = room.clock
        self._metrics = room.metrics
        self._courier = Courier(room)
        self._jobs = jobs
        self._recheck = recheck
        self._live = live
        self._sleep = sleep
        self._jitter = jitter
        self._signal = Signal()
        self._starting = asyncio.Lock()
        self._stopping = False
        self._in_flight: dict[JobId, asyncio.Task[None]] = {}
        self._channel_pauses: dict[int, Pause] = {}
        self._blocked: Pause | None = None

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
                    report(log, self._metrics, "The outbox could not be read", error)
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
            if self._stopping or (self._blocked is not None and self._blocked.holds(now)):
                return []
            free = (CONCURRENCY if self._blocked is None else 1) - len(under_way)
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
        wanted = due if self._blocked is None else max(due, self._blocked.until)
        seconds = (wanted - self._clock.now()).total_seconds()
        return min(seconds, IDLE_SECONDS) if seconds > 0 else BUSY_SECONDS

    async def _deliver(self, entry: OutboxEntry) -> None:
        try:
            await self._show(entry)
        except Exception as error:  # noqa: BLE001  # one bad entry must not stop the others
            if entry.attempts < MAX_REPORTS:
                report(log, self._metrics, f"Card of job {entry.job_id} could not be delivered", error)
            await self._postpone(entry)

    async def _show(self, entry: OutboxEntry) -> None:
        await self._live.close(entry.job_id)
        job = await self._jobs.get(entry.job_id)
        if job is None or job.deleted_at is not None:
            await self._outbox.give_up(entry.job_id, DeliveryFault.MESSAGE_GONE, now=self._clock.now())
            return
        channel_id = job.reply.channel_id
        pause, now = self._channel_pauses.get(channel_id), self._clock.now()
        if pause is not None and pause.holds(now):
            await self._outbox.retry(entry.job_id, at=pause.until, fault=DeliveryFault.RATE_LIMITED, now=now)
            return
        self._channel_pauses.pop(channel_id, None)
        try:
            job = await self._recheck.before_showing(job, await self._jobs.images(job.id))
            message_id = await self._courier.show(entry, job, await self._jobs.images(job.id))
        except MessengerError as error:
            await self._conclude_fault(entry, channel_id, error)
        except PicturesLostError:
            log.error("Pictures of job %s are missing on disk", job.id)
            await self._outbox.give_up(job.id, DeliveryFault.REFUSED, now=self._clock.now())
        else:
            self._blocked = None
            await self._outbox.delivered(job.id, channel_id=channel_id, message_id=message_id, now=self._clock.now())

    async def _conclude_fault(self, entry: OutboxEntry, channel_id: int, error: MessengerError) -> None:
        """Try again later, or give up for good."""
        now = self._clock.now()
        at = next_try(entry, error, now=now, jitter=self._jitter())
        blocked = error.fault is DeliveryFault.RATE_LIMITED and error.retry_after is None
        if error.fault is not DeliveryFault.UNAVAILABLE:  # any other answer shows that Discord listens
            self._blocked = Pause(since=now, until=now + BLOCKED_PAUSE) if blocked else None
        if error.fault is DeliveryFault.RATE_LIMITED and at is not None and not blocked:
            self._channel_pauses[channel_id] = Pause(since=now, until=at)
        if at is not None:
            log.debug("Card of job %s waits until %s: %s", entry.job_id, at, error)
            await self._outbox.retry(entry.job_id, at=at, fault=error.fault, now=now)
            return
        level = logging.ERROR if error.fault is DeliveryFault.REFUSED else logging.WARNING
        log.log(level, "Card of job %s cannot be shown: %s", entry.job_id, error)
        await self._outbox.give_up(entry.job_id, error.fault, now=now)

    async def _postpone(self, entry: OutboxEntry) -> None:
        """An error of ours (a full disk, a bug) is waited out like an outage: the outcome is as unknown."""
        now, fault = self._clock.now(), DeliveryFault.UNAVAILABLE
        at = next_try(entry, MessengerError(fault), now=now, jitter=self._jitter())
        try:
            if at is None:
                await self._outbox.give_up(entry.job_id, fault, now=now)
            else:
                await self._outbox.retry(entry.job_id, at=at, fault=fault, now=now)
        except Exception as error:  # noqa: BLE001  # the entry stays as it was and comes up again
            report(log, self._metrics, f"Outbox entry of job {entry.job_id} could not be written", error)
            await self._sleep(BUSY_SECONDS)  # it is still due, so this slot would spin


def next_try(entry: OutboxEntry, error: MessengerError, *, now: datetime, jitter: float) -> datetime | None:
    """When delivery may try again after `error`; None is never. `jitter` is 0 to 1."""
    if error.fault in _NEVER_AGAIN or (entry.edits_only and error.fault is DeliveryFault.MESSAGE_GONE):
        return None
    if now - entry.created_at > DELIVERY_PATIENCE and entry.attempts + 1 >= MIN_TRIES:
        return None
    match error.fault:
        case DeliveryFault.RATE_LIMITED:
            pause = BLOCKED_PAUSE if error.retry_after is None else timedelta(seconds=max(1.0, error.retry_after))
            return now + pause
        case DeliveryFault.UNAVAILABLE:
            return now + max(backoff(entry.attempts, jitter), timedelta(seconds=error.retry_after or 0))
        case _:
            last = entry.last_fault is error.fault and entry.attempts + 1 >= MAX_REFUSALS
            return None if last else now + backoff(entry.attempts, jitter)
