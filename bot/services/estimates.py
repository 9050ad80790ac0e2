"""When a waiting job will start and end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from bot.domain.card import QueuePosition
from bot.domain.job import Job
from bot.domain.waiting import QueueEntry
from bot.ports import Clock, ImageGenerator, JobRepository


class Estimator:
    """Turns the work that lies ahead of a job into times.

    The work ahead is shared by as many jobs as `generator` draws at once.
    """

    def __init__(self, *, jobs: JobRepository, clock: Clock, generator: ImageGenerator) -> None:
        self._jobs = jobs
        self._clock = clock
        self._generator = generator

    async def position(self, job: Job) -> QueuePosition | None:
        """None when the job does not wait any more."""
        ahead = await self._jobs.ahead(job.id)
        if ahead is None:
            return None
        if ahead.paused:
            return QueuePosition(ahead=ahead.jobs, is_paused=True)
        pace = await self._jobs.pace()
        if pace is None:
            return QueuePosition(ahead=ahead.jobs)
        starts_at = self._clock.now() + timedelta(seconds=ahead.work * pace / max(1, self._generator.capacity))
        return QueuePosition(
            ahead=ahead.jobs, starts_at=starts_at, done_at=starts_at + timedelta(seconds=job.request.work * pace)
        )

    async def entries(self, jobs: Sequence[Job]) -> tuple[QueueEntry, ...]:
        """Waiting and running jobs with their places."""
        return tuple([QueueEntry(job=job, position=await self.position(job) or QueuePosition(ahead=0)) for job in jobs])
