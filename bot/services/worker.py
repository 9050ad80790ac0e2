"""The worker: claims jobs, draws them, and leaves every job in a state that says what comes next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from bot.domain.job import INTERRUPTED, Job, JobId, JobStatus
from bot.domain.quota import StepsTaken
from bot.errors import GeneratorDeadError, OperatorError
from bot.messages import Message
from bot.services.attempt import DEVICE_LOST, LEASE, AbortReason, Attempt, AttemptDeps
from bot.services.error_ids import log_incident
from bot.services.wakeup import WakeUp, rest

UPKEEP_INTERVAL: Final = 10.0  # seconds; a dead worker's job runs again at most a lease and an upkeep later
IDLE_INTERVAL: Final = 15.0  # seconds between looks at the queue that nobody asked for
ABORT_PATIENCE: Final = 8.0  # seconds that an aborted drawing gets to let go before its job is put back all the same

log = logging.getLogger(__name__)


class Worker:
    """Draws up to `generator.capacity` jobs at once; that may change when the weights are loaded (`wake` then). How they share
    the engine is the generator's matter: one loop claims, and each attempt is a task of its own.

    The order of events on `stop`: no more claims; the running attempts get their grace; the rest are aborted and put back.
    """

    def __init__(self, bench: AttemptDeps) -> None:
        self._deps = bench
        self._signal = WakeUp()
        self._stopping = asyncio.Event()
        self._running: dict[JobId, Attempt] = {}
        self._attempts: set[asyncio.Task[None]] = set()
        self._fault: OperatorError | None = None
        self._tasks: frozenset[asyncio.Task[None]] = frozenset()

    async def run(self) -> None:
        """Recover what an earlier process left, then claim and draw until `stop`.

        Raises GeneratorDeadError (or ModelError) when only a new process helps; every job is back on the queue by then.
        A cancelled `run` stops without grace.
        """
        if self._stopping.is_set():
            return
        await self._recover(expired_only=False)
        loops = {"worker-claims": self._claim_and_draw(), "worker-upkeep": self._keep_up()}
        self._tasks = frozenset(asyncio.create_task(loop, name=name) for name, loop in loops.items())
        try:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            await asyncio.shield(self.stop(0))
        ended = [task for task in self._tasks if task.done() and not task.cancelled()]
        errors = [error for task in ended if (error := task.exception()) is not None]
        if any(isinstance(error, GeneratorDeadError) for error in errors):
            await self._recover(expired_only=False, sentence=DEVICE_LOST)
        if errors:
            raise errors[0]

    async def stop(self, grace_seconds: float) -> None:
        """Stop claiming, let running jobs end within the grace, put the others back; may be called at any time, repeatedly."""
        self._stopping.set()
        self._signal.ring()
        if not self._tasks:
            return
        _, pending = await asyncio.wait(self._tasks, timeout=grace_seconds)
        if not pending:
            return
        for attempt in tuple(self._running.values()):
            attempt.abort(AbortReason.SHUTDOWN)
        await asyncio.wait(pending, timeout=ABORT_PATIENCE)
        for attempt in tuple(self._running.values()):
            log.warning("Job %s did not stop in time and is put back as it is", attempt.job.id)
            await attempt.give_back()

    def wake(self) -> None:
        """Say that a job was added, or that files have come."""
        self._signal.ring()
        self._deps.fetcher.wake()

    def abort_job(self, job_id: JobId) -> None:
        """Stop drawing a job that the database has as CANCELLED; a job that does not run here is left alone."""
        attempt = self._running.get(job_id)
        if attempt is not None:
            attempt.abort(AbortReason.CANCELLED)

    def steps_taken(self, job_id: JobId) -> StepsTaken | None:
        """How far the drawing of a job has come; None where it does not run here."""
        attempt = self._running.get(job_id)
        return None if attempt is None else attempt.steps_taken

    def steps_taken_of(self, user_id: int) -> Mapping[JobId, StepsTaken]:
        """The same of all that is drawn for a member."""
        return {
            job_id: attempt.steps_taken for job_id, attempt in self._running.items() if attempt.job.origin.user_id == user_id
        }

    async def _claim_and_draw(self) -> None:
        """Claim while there is room, and after the stop wait for what was claimed. Raises an attempt's OperatorError."""
        while not self._stopping.is_set() and self._fault is None:
            woken = self._signal.listen()
            if not await self._began():
                await rest(woken, IDLE_INTERVAL, self._deps.sleep)
        if self._fault is None and self._attempts:
            await asyncio.wait(self._attempts)
        if self._fault is not None:
            raise self._fault

    async def _began(self) -> bool:
        """Whether another job was claimed, and is drawn from now on."""
        if len(self._running) >= self._deps.generator.capacity:
            return False
        job = await self._claim()
        if job is None:
            return False
        attempt = self._running[job.id] = Attempt(job, self._deps)
        if self._stopping.is_set():  # the stop came while the claim was on its way
            attempt.abort(AbortReason.SHUTDOWN)
        task = asyncio.create_task(self._draw(attempt), name=f"attempt-{job.id}")
        self._attempts.add(task)
        task.add_done_callback(self._attempts.discard)
        return True

    async def _draw(self, attempt: Attempt) -> None:
        try:
            await attempt.run()
        except OperatorError as error:
            self._fault = self._fault or error
        except Exception as error:  # noqa: BLE001  # one job must not end the worker; its lease runs out
            job = attempt.job
            log_incident(log, self._deps.metrics, f"The attempt at job {job.id} broke off", error, about=job.request)
        finally:
            self._running.pop(attempt.job.id, None)
            self._signal.ring()  # its place is free

    async def _claim(self) -> Job | None:
        """The next job whose files are here; none while the disk has no room for its pictures."""
        fetcher, now = self._deps.fetcher, self._deps.clock.now()
        if not fetcher.is_ready:
            return None
        try:
            if not await self._deps.room.suffices():
                return None
            return await self._deps.jobs.claim(
                now=now, lease_until=now + LEASE, batch=self._deps.generator.batch, unfetched=fetcher.unfetched
            )
        except Exception as error:  # noqa: BLE001  # a full disk must not end the worker
            log_incident(log, self._deps.metrics, "No job could be claimed", error)
            return None

    async def _keep_up(self) -> None:
        while not self._stopping.is_set():
            await self._refresh_gauge()
            await rest(self._stopping, UPKEEP_INTERVAL, self._deps.sleep)
            if not self._stopping.is_set():
                await self._upkeep()

    async def _upkeep(self) -> None:
        """Renew our own leases first: after a suspended machine wakes up, all of them look expired."""
        try:
            for attempt in tuple(self._running.values()):
                await attempt.renew()
            await self._recover(expired_only=True)
        except Exception as error:  # noqa: BLE001  # the next turn may succeed
            log_incident(log, self._deps.metrics, "Recovery failed", error)

    async def _recover(self, *, expired_only: bool, sentence: Message = INTERRUPTED) -> None:
        now = self._deps.clock.now()
        recovery = await self._deps.jobs.recover(now=now, expired_only=expired_only, sentence=sentence)
        for job_id in recovery.requeued:
            log.info("Job %s was interrupted and is back on the queue", job_id)
        for job_id in recovery.failed:
            log.warning("Job %s was interrupted too often and has failed", job_id)
        if recovery.requeued:
            self._signal.ring()
        if recovery.failed:
            self._deps.on_ended()

    async def _refresh_gauge(self) -> None:
        try:
            counts = await self._deps.jobs.counts()
        except Exception as error:  # noqa: BLE001  # a missing figure harms nobody
            log_incident(log, self._deps.metrics, "Jobs could not be counted", error)
            return
        for status in JobStatus:
            self._deps.metrics.jobs.labels(status=status).set(counts.get(status, 0))
