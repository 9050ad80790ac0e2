"""When a waiting job will start and end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.domain.card import QueuePosition
from bot.domain.eta import Estimate, Load, company, estimate
from bot.domain.job import Job, JobId, JobStatus
from bot.domain.queue import QueueEntry
from bot.ports import Clock, ImageGenerator, JobRepository

REMEMBERED = 1000  # first estimates, of which those of the last jobs are compared with the truth
RECENT = 20  # drawn jobs; enough to outvote one that stood still


class DrawnShares:
    """How much of the jobs that run here is drawn, 0 to 1. Belongs to the event loop."""

    def __init__(self) -> None:
        self._shares: dict[JobId, float] = {}

    def note(self, job_id: JobId, share: float) -> None:
        """The job is so far."""
        self._shares[job_id] = share

    def forget(self, job_id: JobId) -> None:
        """The job has ended, or is to be drawn from the beginning."""
        self._shares.pop(job_id, None)

    def left(self, job_id: JobId, work: float) -> float:
        """Returns how much of the job's work is not drawn yet."""
        return work * (1.0 - self._shares.get(job_id, 0.0))


class Estimator:
    """Turns the work that lies ahead of a job into times; `drawn` has to be told what becomes of it."""

    def __init__(self, *, jobs: JobRepository, clock: Clock, generator: ImageGenerator) -> None:
        self._jobs = jobs
        self._clock = clock
        self._generator = generator
        self.drawn = DrawnShares()
        self._told: dict[JobId, tuple[Estimate, datetime]] = {}  # the first estimate of each job, and when it was made

    async def position(self, job: Job) -> QueuePosition | None:
        """None when the job neither waits nor runs; of one that runs only the time is of interest."""
        ahead = await self._jobs.ahead(job.id)
        if ahead is None:
            return None
        if ahead.paused:
            return QueuePosition(ahead=ahead.jobs, is_paused=True)
        drawn = sum(work - self.drawn.left(job_id, work) for job_id, work in ahead.running)
        load = Load(
            work_ahead=max(0.0, ahead.work - drawn),
            jobs_ahead=ahead.jobs,
            jobs_behind=ahead.behind,
            work=self.drawn.left(job.id, job.request.work),
            pictures=job.request.num_images,
        )
        done_at = await self._done_at(job.id, load)
        return QueuePosition(ahead=0 if job.status is JobStatus.RUNNING else ahead.jobs, done_at=done_at)

    async def _done_at(self, job_id: JobId, load: Load) -> datetime | None:
        now, recent = self._clock.now(), await self._jobs.recent(RECENT)
        found = estimate(load, self._generator.speed, recent)
        if found is None:
            return None
        took = {job.id: job.finished_at for job in recent}
        told = [(first, (took[id_] - at).total_seconds()) for id_, (first, at) in self._told.items() if id_ in took]
        self._told.setdefault(job_id, (found, now))
        if len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]
        return now + timedelta(seconds=found.seconds(company(told)))

    async def entries(self, jobs: Sequence[Job]) -> tuple[QueueEntry, ...]:
        """Waiting and running jobs with their places."""
        return tuple([QueueEntry(job=job, position=await self.position(job) or QueuePosition(ahead=0)) for job in jobs])
