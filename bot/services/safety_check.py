"""A look at finished pictures before anybody sees or stores them. Whatever goes wrong with the look, they are withheld."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import TypeVar

from bot.domain.job import Job
from bot.domain.progress import Progress
from bot.domain.safety import Rating
from bot.domain.withholding import WithheldError
from bot.errors import GenerationError
from bot.messages import translatable
from bot.metrics import Metrics
from bot.ports import PictureClassifier
from bot.services.error_ids import log_incident
from bot.services.wakeup import Sleep

LOOK_SECONDS = 30.0  # for all pictures of a job; a ViT of 384 pixels takes about a second each on two CPU cores
LOAD_SECONDS = 900.0  # for the classifier's weights, which the first start downloads

UNCHECKED = translatable(
    "I couldn't check what this shows (error `{incident}`), so I deleted it. You weren't charged. Try again in a few minutes; "
    "if it happens again, tell whoever hosts me the error's number."
)

log = logging.getLogger(__name__)
Value = TypeVar("Value")


class MissingClassifierError(Exception):
    """The model's profile names a classifier, and nobody built one."""


class SafetyCheck:
    """Asks the classifier, where the model's profile has one (`needed`), and fails closed.

    A job is one whole: a single picture beyond what its channel allows withholds all of them. Neither that nor a fault of the
    classifier is worth drawing again, hence the GenerationErrors are not retryable; the job ends FAILED.
    """

    def __init__(
        self, classifier: PictureClassifier | None, *, needed: bool, metrics: Metrics, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._classifier = classifier
        self._needed = needed
        self._metrics = metrics
        self._sleep = sleep

    def shown(self, job: Job, progress: Progress) -> Progress:
        """Returns the progress as members may see it: where pictures are looked at, a preview stays only if it is rated at
        least one level below what the job's pictures may show, since a half-drawn picture is easily misjudged.
        """
        if not self._needed or progress.preview is None:
            return progress
        limit = job.showing.rating.below()
        if limit is None or progress.rating is None or progress.rating.is_beyond(limit):
            return replace(progress, preview=None, refused=True)
        return progress

    async def prepare(self, job: Job) -> None:
        """Have the classifier ready before anything is drawn in vain. Raises GenerationError."""
        if not self._needed:
            return
        try:
            await self._within(LOAD_SECONDS, self._present().load())
        except Exception as error:
            raise self._unchecked(job, error) from error

    async def check(self, job: Job, pictures: Sequence[bytes]) -> tuple[Rating | None, ...]:
        """Returns each picture's rating if all may be shown where the job belongs; None for each where nobody looks.

        Raises WithheldError if one may not, GenerationError where the look failed.
        """
        if not self._needed:
            return (None,) * len(pictures)
        try:
            ratings = await self._within(LOOK_SECONDS, self._present().ratings(pictures))
            if len(ratings) != len(pictures):
                raise ValueError(f"The classifier gave {len(ratings)} ratings for {len(pictures)} pictures")
        except Exception as error:
            raise self._unchecked(job, error) from error
        limit = job.showing.rating
        if beyond := [rating for rating in ratings if rating.is_beyond(limit)]:
            log.info("Job %s: %d of %d pictures are beyond %s; withheld", job.id, len(beyond), len(pictures), limit)
            raise WithheldError(max(beyond, key=tuple(Rating).index))
        return tuple(ratings)

    def _present(self) -> PictureClassifier:
        if self._classifier is None:
            raise MissingClassifierError
        return self._classifier

    def _unchecked(self, job: Job, error: Exception) -> GenerationError:
        incident = log_incident(log, self._metrics, f"Pictures of job {job.id} could not be checked", error, about=job.request)
        return GenerationError(UNCHECKED, incident=incident, retryable=False)

    async def _within(self, seconds: float, work: Awaitable[Value]) -> Value:
        """Raises TimeoutError. `work` is not waited for after that: it may be what hangs."""
        working = asyncio.ensure_future(work)
        sleeper = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait({working, sleeper}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise TimeoutError(f"The classifier did not answer within {seconds:.0f} s")
            return working.result()
        finally:
            working.cancel()
            sleeper.cancel()
