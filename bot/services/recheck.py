"""What moderators tighten holds for what waits, too: the rules are asked again before a job is drawn and before it is shown."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace

from bot.domain.image import StoredImage
from bot.domain.job import Job, JobStatus, Place
from bot.domain.safety import Rating
from bot.domain.withholding import TightenedError, WithheldError
from bot.errors import GenerationError, NotAllowedError, NotFoundError
from bot.messages import Message, message, translatable
from bot.ports import Clock, ImageStore, JobRepository
from bot.services.gate import Gate
from bot.services.safety_check import SafetyCheck

NOT_DRAWN = translatable("The rules here changed while this waited, so I didn't draw it. {why} You weren't charged.")
NOT_SHOWN = translatable("The rules here changed before I could show this, so I deleted it. {why} You weren't charged.")
BEYOND = message("What came out goes further than they allow now.")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recheck:
    """Asks the gate and the classifier again about jobs that were taken in before."""

    gate: Gate
    safety_check: SafetyCheck
    jobs: JobRepository
    store: ImageStore
    clock: Clock

    async def before_drawing(self, job: Job) -> Job:
        """Returns the job as it may be shown now. Raises TightenedError with the reason where it may not be drawn any more."""
        return await self._limited(job, NOT_DRAWN)

    async def check_drawn(self, job: Job, pictures: list[bytes]) -> tuple[Rating | None, ...]:
        """Look at what was drawn; returns the ratings. Raises TightenedError, WithheldError, and GenerationError where the look
        failed.

        What goes further than the member was told is withheld; what only goes further than is allowed by now is no fault of
        theirs.
        """
        limited = await self._limited(job, NOT_SHOWN)
        try:
            return await self.safety_check.check(limited, pictures)
        except WithheldError as withheld:
            if withheld.rating.is_beyond(job.showing.rating):
                raise
            raise TightenedError(message(NOT_SHOWN, why=BEYOND)) from None

    async def before_showing(self, job: Job, images: tuple[StoredImage, ...]) -> Job:
        """Returns the job to show: itself, or FAILED with the whole refund and without files where it goes too far by now.

        Files that are gone are looked at by nobody: whoever delivers says so.
        """
        if job.status is not JobStatus.SUCCEEDED:
            return job
        try:
            limited = await self._limited(job, NOT_SHOWN)
            if job.showing.rating.is_beyond(limited.showing.rating):
                await self._look_again(limited, images)
        except GenerationError as error:
            return await self._kept_back(job, error.sentence)
        return job

    async def allows_directly(self, job: Job, images: tuple[StoredImage, ...]) -> bool:
        """Whether the rules of direct messages let a finished job's pictures be shown there."""
        there = replace(job, origin=replace(job.origin, guild_id=None, place=Place(channel_id=0)))
        try:
            limited = await self._limited(there, NOT_SHOWN)
            if job.showing.rating.is_beyond(limited.showing.rating):
                await self._look_again(limited, images)
        except GenerationError:
            return False
        return True

    async def _limited(self, job: Job, sentence: str) -> Job:
        try:
            rating = await self.gate.allowed_still(job)
        except NotAllowedError as error:
            raise TightenedError(message(sentence, why=error.sentence)) from None
        return replace(job, showing=replace(job.showing, rating=rating))

    async def _look_again(self, job: Job, images: tuple[StoredImage, ...]) -> None:
        try:
            pictures = await asyncio.gather(*(self.store.read(image.key) for image in images))
        except NotFoundError:
            return
        await self.safety_check.prepare(job)
        try:
            await self.safety_check.check(job, pictures)
        except WithheldError:
            raise TightenedError(message(NOT_SHOWN, why=BEYOND)) from None

    async def _kept_back(self, job: Job, reason: Message) -> Job:
        keys = await self.jobs.keep_back(job.id, reason, now=self.clock.now())
        if keys is not None:
            log.info("Job %s is not shown, because rules were tightened", job.id)
            await self.store.delete(keys)
        return await self.jobs.get(job.id) or job
