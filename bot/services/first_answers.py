"""First answers whose outcome is unknown: finds out whether the member was shown the job, and takes it back where not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bot.domain.delivery import SEARCH_MARGIN, DeliveryFault, backoff
from bot.domain.job import Job, JobId
from bot.metrics import Metrics
from bot.ports import Clock, JobRepository, Messenger, MessengerError, Submission
from bot.services.delivery import Delivery
from bot.services.error_ids import log_incident
from bot.services.live_cards import LiveCards
from bot.services.wakeup import Sleep, WakeUp, rest
from bot.services.worker import Worker

IN_TRANSIT: Final = 5.0  # seconds; Discord takes a first answer for 3; one that we gave up may still be on its way
CALL_SECONDS: Final = 15.0
CONCURRENCY: Final = 4  # jobs at once
IDLE_SECONDS: Final = 60.0

OUTCOME_UNKNOWN: Final = frozenset({DeliveryFault.UNAVAILABLE, DeliveryFault.RATE_LIMITED})

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Due:
    """When to try next, in ticks, and by when an answer that is on its way has arrived."""

    at: float
    arrived_by: float
    attempts: int = 0


class FirstAnswers:
    """Asks Discord by the interaction's token; where that is dead, looks once for the card in its channel.

    A job that nobody was shown is cancelled and refunded, and nothing is ever posted for it. Until it is known, the job
    waits: it is neither claimed nor delivered. A look, and not an edit: an edit would turn the private sentence of a slow
    answer into a card that nobody else sees.
    """

    def __init__(
        self,
        *,
        jobs: JobRepository,
        messenger: Messenger,
        live: LiveCards,
        worker: Worker,
        delivery: Delivery,
        clock: Clock,
        metrics: Metrics,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._jobs = jobs
        self._messenger = messenger
        self._live = live
        self._worker = worker
        self._delivery = delivery
        self._clock = clock
        self._metrics = metrics
        self._sleep = sleep
        self._signal = WakeUp()
        self._in_hand: set[int] = set()
        self._due: dict[JobId, _Due] = {}
        self._stopping = False

    @contextlib.contextmanager
    def in_hand(self, interaction_id: int, storing: asyncio.Task[Submission]) -> Generator[None]:
        """While a door stores and answers, its job is its own; one that it leaves behind by an error is found out about."""
        self._in_hand.add(interaction_id)
        try:
            yield
        except BaseException:
            storing.add_done_callback(self._left_behind)
            raise
        finally:
            self._in_hand.discard(interaction_id)

    def find_out(self, job_id: JobId) -> None:
        """Start to find out about an answer that was sent this moment; may be called repeatedly."""
        self._take_on(job_id, arrived_by=self._clock.ticks() + IN_TRANSIT)

    async def shown(self, job: Job, *, message_id: int | None) -> None:
        """Let a job that was shown take its turn, and keep its card fresh; show its end, where it was cancelled meanwhile."""
        if await self._jobs.set_shown(job.id, message_id=message_id, now=self._clock.now()):
            known = await self._jobs.get(job.id)
            if known is not None and known.status.is_waiting:
                await self._live.show(known)
            self._worker.wake()
            self._delivery.wake()

    async def run(self) -> None:
        """Take up what an earlier process left, then what doors hand over, until `stop`."""
        if not await self._take_up():
            return
        while not self._stopping:
            woken = self._signal.listen()
            await self.look()
            await rest(woken, self._pause(), self._sleep)

    def stop(self) -> None:
        """Leave the rest to the next start."""
        self._stopping = True
        self._signal.ring()

    async def look(self) -> None:
        """One round: try every job whose time has come."""
        ticks = self._clock.ticks()
        due = [job_id for job_id, one in self._due.items() if one.at <= ticks][:CONCURRENCY]
        await asyncio.gather(*(self._try(job_id) for job_id in due))

    def _take_on(self, job_id: JobId, *, arrived_by: float) -> None:
        self._due.setdefault(job_id, _Due(at=self._clock.ticks(), arrived_by=arrived_by))
        self._signal.ring()

    async def _take_up(self) -> bool:
        """Whether the jobs that owe an answer could be read before `stop`."""
        attempts = 0
        while not self._stopping:
            try:
                for job_id in await self._jobs.owing_an_answer():
                    job = await self._jobs.get(job_id)
                    if job is not None and job.origin.interaction_id not in self._in_hand:
                        self._take_on(job_id, arrived_by=self._clock.ticks() + _in_transit(job, self._clock.now()))
            except Exception as error:  # noqa: BLE001  # a database that is busy or full may answer later
                log_incident(log, self._metrics, "Jobs without a first answer could not be read", error)
                await self._sleep(backoff(attempts, 0.5).total_seconds())
                attempts += 1
            else:
                return True
        return False

    def _left_behind(self, storing: asyncio.Task[Submission]) -> None:
        if not storing.cancelled() and storing.exception() is None and storing.result().created:
            self.find_out(storing.result().job.id)

    def _pause(self) -> float:
        if not self._due:
            return IDLE_SECONDS
        return max(0.0, min(one.at for one in self._due.values()) - self._clock.ticks())

    async def _try(self, job_id: JobId) -> None:
        due = self._due[job_id]
        try:
            settled = await self._find_out(job_id, due)
        except Exception as error:  # noqa: BLE001  # one job must not keep the others from their end
            log_incident(log, self._metrics, f"The first answer of job {job_id} could not be found out", error)
            settled = False
        if settled:
            del self._due[job_id]
        else:
            due.at = self._clock.ticks() + backoff(due.attempts, 0.5).total_seconds()
            due.attempts += 1

    async def _find_out(self, job_id: JobId, due: _Due) -> bool:
        """Whether it is known now. The token is asked whatever the clock says of its age: it may have been stepped."""
        job = await self._jobs.get(job_id)
        if job is None or job.shown_at is not None:
            return True
        try:
            async with asyncio.timeout(CALL_SECONDS):
                if job.reply.token is not None and await self._answered(job):
                    return True
                if self._clock.ticks() < due.arrived_by:
                    return False
                found = await self._messenger.find_post(job.reply, job.id, since=job.asked_at - SEARCH_MARGIN)
        except TimeoutError:
            return False
        except MessengerError as error:
            if error.fault in OUTCOME_UNKNOWN:
                return False
            found = None
        if found is not None:
            await self.shown(job, message_id=found)
        elif await self._jobs.withdraw(job.id, now=self._clock.now()):
            log.info("Job %s was never shown to its member; it is cancelled and costs nothing", job.id)
        return True

    async def _answered(self, job: Job) -> bool:
        """Whether the interaction was answered with the card. Raises MessengerError where Discord does not say."""
        try:
            seen = await self._messenger.first_answer(job.reply)
        except MessengerError as error:
            if error.fault is DeliveryFault.MESSAGE_GONE:  # there was one, and somebody has deleted it
                await self.shown(job, message_id=None)
                return True
            if error.fault in OUTCOME_UNKNOWN:
                raise
            return False
        if seen.is_private:  # the sentence of a slow answer, or a refusal; the card may have followed
            return False
        await self.shown(job, message_id=seen.message_id)
        return True


def _in_transit(job: Job, now: datetime) -> float:
    """Seconds that the answer of an earlier process may still be on its way; all of them where the clock was set back since."""
    return IN_TRANSIT - min(IN_TRANSIT, max(0.0, (now - job.created_at).total_seconds()))
