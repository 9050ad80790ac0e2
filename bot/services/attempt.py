"""One attempt at one job: from the claim to its outcome in the database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from bot.domain.fairness import Share
from bot.domain.image import GeneratedImage, GenerationResult, StoredImage
from bot.domain.job import MAX_ATTEMPTS, Job
from bot.domain.progress import Phase, Progress
from bot.domain.quota import StepsTaken
from bot.domain.request import GenerationRequest
from bot.domain.withholding import WithheldError
from bot.errors import DiskFullError, FolderError, GenerationError, GeneratorDeadError, NotFoundError, OperatorError, UserError
from bot.messages import Message, message, translatable
from bot.metrics import Metrics
from bot.ports import Clock, ImageCodec, ImageGenerator, ImageStore, JobRepository
from bot.services.disk_space import DiskSpace
from bot.services.error_ids import log_incident
from bot.services.fetching import Fetcher
from bot.services.live_cards import LiveCards
from bot.services.recheck import Recheck
from bot.services.safety_check import SafetyCheck
from bot.services.wakeup import Sleep

LEASE = timedelta(seconds=30)
HEARTBEAT = 7.0  # seconds; a lease survives three that fail

DEVICE_LOST = message("My graphics card stopped working while drawing this. You weren't charged. Try again in a few minutes.")
DISK_FULL = message(
    "I drew your pictures but couldn't save them, because my disk is full or can't be written. You weren't charged. "
    "Tell whoever hosts me, then try again."
)
ORIGINAL_GONE = message("The picture to upscale was deleted in the meantime, so I drew nothing. You weren't charged.")
UPLOAD_GONE = message("The picture to start from is no longer stored. Attach it again and send your request once more.")
BROKE = translatable(
    "Something went wrong while drawing this (error `{incident}`). You weren't charged. Try again; if it happens again, tell "
    "whoever hosts me the error's number."
)

log = logging.getLogger(__name__)


class AbortReason(StrEnum):
    """Why a drawing is stopped before its end."""

    CANCELLED = "cancelled"  # a member or moderator asked; the database says so already
    SHUTDOWN = "aborted"  # the job goes back to the queue, the try does not count
    FENCE_LOST = "lost"  # the job is no longer ours


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptDeps:
    """What an attempt works with. `on_ended` is called when the outbox has a new entry."""

    jobs: JobRepository
    generator: ImageGenerator
    safety_check: SafetyCheck
    recheck: Recheck
    store: ImageStore
    room: DiskSpace
    codec: ImageCodec
    live: LiveCards
    fetcher: Fetcher
    clock: Clock
    metrics: Metrics
    on_ended: Callable[[], None]
    sleep: Sleep = asyncio.sleep


class Attempt:
    """Draws a claimed job and records the outcome; every write is fenced by the attempt's number.

    The lease is kept by a task of its own. `abort` stops the drawing and the look at the pictures only: once those may be
    shown, saving and recording run to their end, and the fence decides whether they count.
    """

    def __init__(self, job: Job, bench: AttemptDeps) -> None:
        self.job = job
        self._deps = bench
        self._drawing: asyncio.Task[GenerationResult] | None = None
        self._abort_reason: AbortReason | None = None
        self._steps_seen = 0

    @property
    def steps_taken(self) -> StepsTaken:
        """How far the drawing has come, as the generator said last."""
        return StepsTaken(attempt=self.job.attempt, steps=self._steps_seen)

    async def run(self) -> None:
        """Raises OperatorErrors of the generator once the job has been given back; after GeneratorDeadError it still runs."""
        bench, job = self._deps, self.job
        if job.started_at is not None:
            bench.metrics.wait_seconds.observe(max(0.0, (job.started_at - job.created_at).total_seconds()))
        await bench.live.show(job)
        lease = asyncio.create_task(self._keep_lease(), name=f"lease-{job.id}")
        drawing = self._drawing = asyncio.create_task(self._draw(), name=f"draw-{job.id}")
        try:
            if self._abort_reason is not None:
                drawing.cancel()
            await asyncio.wait({drawing})
            outcome = await self._conclude(drawing)
            bench.metrics.finished.labels(outcome=outcome).inc()
        finally:
            drawing.cancel()
            lease.cancel()
            await asyncio.gather(lease, drawing, return_exceptions=True)
        _raise_fault_of_ours(drawing)

    def abort(self, reason: AbortReason) -> None:
        """Stop drawing within one step. The first reason stays; later calls change nothing."""
        if self._abort_reason is None:
            self._abort_reason = reason
            if self._drawing is not None:
                self._drawing.cancel()

    async def renew(self) -> None:
        """Extend the lease; a lost fence stops the drawing."""
        job = self.job
        lease_until = self._deps.clock.now() + LEASE
        if not await self._deps.jobs.extend_lease(job.id, job.attempt, lease_until=lease_until):
            self.abort(AbortReason.FENCE_LOST)

    async def give_back(self) -> None:
        """Put the job back without waiting for the drawing, for a generator that does not let go in time."""
        await self._write("put back", self._deps.jobs.put_back(self.job.id, self.job.attempt, aborted=True))

    async def _keep_lease(self) -> None:
        """The first renewal is at once: it notices a cancellation that came between the claim and our knowing of it."""
        while self._abort_reason is None:
            try:
                await self.renew()
            except Exception as error:  # noqa: BLE001  # the next beat may succeed; if none does, the lease runs out
                log_incident(log, self._deps.metrics, f"Lease of job {self.job.id} could not be extended", error)
            await self._deps.sleep(HEARTBEAT)

    async def _draw(self) -> GenerationResult:
        """Pictures that may be shown; nothing is saved before this returns. Raises what generator and inspection raise."""
        asked = self.job
        self.job = await self._deps.recheck.before_drawing(asked)
        request = self.job.request
        init_image: bytes | None = None
        if request.init_image is not None:
            init_image = await self._start(request, request.init_image.key)
        await self._deps.safety_check.prepare(self.job)
        share = Share(self.job.origin.user_id, self.job.weight)
        result = await self._deps.generator.generate(request, init_image=init_image, share=share, on_progress=self._on_progress)
        ratings = await self._deps.recheck.check_drawn(asked, [image.data for image in result.images])
        rated = (replace(image, rating=rating) for image, rating in zip(result.images, ratings, strict=True))
        return replace(result, images=tuple(rated))

    async def _start(self, request: GenerationRequest, key: str) -> bytes:
        """The picture to start from, in the request's size: that of an upscale, or of a remix in another size, differs."""
        try:
            data = await self._deps.store.read_upload(key)
        except NotFoundError:
            raise GenerationError(ORIGINAL_GONE if request.is_upscale else UPLOAD_GONE, retryable=False) from None
        return (await self._deps.codec.read_upload(data, width=request.width, height=request.height)).data

    def _on_progress(self, progress: Progress) -> None:
        if progress.phase is Phase.DENOISING:
            self._deps.metrics.steps.inc(max(0, progress.step - self._steps_seen))
            self._steps_seen = max(progress.step, self._steps_seen)
        if self._abort_reason is None:
            self._deps.live.on_progress(self.job, self._deps.safety_check.shown(self.job, progress))

    async def _conclude(self, drawing: asyncio.Task[GenerationResult]) -> str:
        """Record what became of the drawing; returns the outcome's name for the metrics."""
        error: BaseException | None = None if drawing.cancelled() else drawing.exception()
        if not drawing.cancelled() and error is None:
            return await self._save(drawing.result())
        if error is None or (self._abort_reason is not None and not isinstance(error, OperatorError)):
            return await self._conclude_abort()
        if isinstance(error, GeneratorDeadError):
            return AbortReason.FENCE_LOST  # it stays as it is: the worker judges all that ran together
        if isinstance(error, OperatorError):
            await self.give_back()
            return AbortReason.SHUTDOWN
        if isinstance(error, WithheldError):
            return await self._withhold()
        if isinstance(error, GenerationError) and error.retryable:
            return await self._retry_or_fail(error.sentence)
        if isinstance(error, UserError):
            return await self._fail(error.sentence)
        incident = log_incident(log, self._deps.metrics, f"Job {self.job.id} broke", error, about=self.job.request)
        return await self._retry_or_fail(message(BROKE, incident=incident))

    async def _conclude_abort(self) -> str:
        reason = self._abort_reason or AbortReason.SHUTDOWN
        if reason is AbortReason.SHUTDOWN:
            await self.give_back()
        return reason

    async def _save(self, result: GenerationResult) -> str:
        bench = self._deps
        bench.metrics.draw_seconds.observe(max(0.0, result.seconds))
        stored: list[StoredImage] = []
        try:
            for index, image in enumerate(result.images):
                key = await bench.store.save(self.job.id, self.job.attempt, index, image.data)
                stored.append(_stored(index, key, image))
        except DiskFullError as error:
            await self._discard(stored)
            return await self._wait_for_room(error)
        except (FolderError, OSError) as error:
            log_incident(log, bench.metrics, f"Pictures of job {self.job.id} could not be saved", error)
            await self._discard(stored)
            return await self._fail(DISK_FULL)
        return await self._finish(tuple(stored))

    async def _wait_for_room(self, error: DiskFullError) -> str:
        """The job goes back and is drawn again when there is room. Where the disk says that it has room all the same (a quota
        of the system's), it is a try like others, so that nobody draws in vain for ever.
        """
        if not await self._deps.room.failed():
            log_incident(log, self._deps.metrics, f"Pictures of job {self.job.id} could not be saved", error)
            return await self._retry_or_fail(DISK_FULL)
        await self.give_back()
        return "waits"

    async def _finish(self, stored: tuple[StoredImage, ...]) -> str:
        job, bench = self.job, self._deps
        finishing = bench.jobs.finish(job.id, job.attempt, stored, now=bench.clock.now())
        finished = await self._write("finish", finishing)
        if finished is None:  # the files stay: whether the database has them is unknown, and the lease may run out
            return AbortReason.FENCE_LOST
        if not finished:
            await self._discard(stored)
            return self._abort_reason or AbortReason.FENCE_LOST
        bench.metrics.images.inc(len(stored))
        bench.on_ended()
        return "succeeded"

    async def _retry_or_fail(self, reason: Message) -> str:
        if self.job.tries >= MAX_ATTEMPTS:
            return await self._fail(reason)
        job = self.job
        await self._write("put back", self._deps.jobs.put_back(job.id, job.attempt, aborted=False))
        return "retried"

    async def _fail(self, reason: Message) -> str:
        job, bench = self.job, self._deps
        await self._write("fail", bench.jobs.fail(job.id, job.attempt, reason, now=bench.clock.now()))
        bench.on_ended()
        return "failed"

    async def _withhold(self) -> str:
        job, bench = self.job, self._deps
        await self._write("withhold", bench.jobs.withhold(job.id, job.attempt, now=bench.clock.now()))
        bench.on_ended()
        return "failed"

    async def _discard(self, stored: list[StoredImage] | tuple[StoredImage, ...]) -> None:
        """Delete files that no job will ever show."""
        try:
            await self._deps.store.delete([image.key for image in stored])
        except Exception as error:  # noqa: BLE001  # a file too many harms nobody
            log_incident(log, self._deps.metrics, f"Files of job {self.job.id} could not be deleted", error)

    async def _write(self, what: str, writing: Awaitable[bool]) -> bool | None:
        """None when the database refused: the lease runs out then, and recovery decides about the job."""
        try:
            return await writing
        except Exception as error:  # noqa: BLE001  # a full disk must not end the worker
            log_incident(log, self._deps.metrics, f"Could not {what} job {self.job.id}", error, about=self.job.request)
            return None


def _stored(index: int, key: str, image: GeneratedImage) -> StoredImage:
    return StoredImage(
        index=index,
        key=key,
        seed=image.seed,
        width=image.width,
        height=image.height,
        parameters=image.parameters,
        size_bytes=len(image.data),
        rating=image.rating,
    )


def _raise_fault_of_ours(drawing: asyncio.Task[GenerationResult]) -> None:
    """Hand on what only a new process can cure."""
    if drawing.cancelled():
        return
    error = drawing.exception()
    if isinstance(error, OperatorError):
        raise error
