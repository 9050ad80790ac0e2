"""How long until a job is done: from the measured speed of the engine, corrected by how long the last jobs took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from bot.domain.batch_curve import BatchCurve
from bot.domain.job import JobId

ENOUGH = 5  # jobs that waited, before they correct the next
QUICKEST, SLOWEST = 0.5, 3.0  # times the measured duration that the last jobs may make of an estimate: one that waited for a
# download or stood still with the machine says nothing of the next


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSpeed:
    """What was measured: seconds a call by `curve`, for pictures of `megapixels`; calls hold up to `batch` pictures."""

    curve: BatchCurve
    batch: int
    megapixels: float

    def rate(self, pictures: float) -> float:
        """Returns megapixel-steps a second while so many pictures are under way."""
        held = self._held(pictures)
        return held * self.megapixels / self.curve.seconds(held)

    def own_rate(self, pictures: float, own: int) -> float:
        """Returns the part of `rate` that `own` of the pictures have at most: each has one place in a call."""
        held = self._held(pictures)
        return self.rate(pictures) * min(own, held) / held

    def _held(self, pictures: float) -> float:
        return min(max(1.0, pictures), float(self.batch))


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnJob:
    """A job that was drawn: when, how many pictures, and how many megapixel-steps in all."""

    id: JobId
    started_at: datetime
    finished_at: datetime
    pictures: int
    work: float

    @property
    def seconds(self) -> float:
        return (self.finished_at - self.started_at).total_seconds()

    def overlap(self, other: DrawnJob) -> float:
        """Returns for which share of the other's time this one was under way, too."""
        start, end = max(self.started_at, other.started_at), min(self.finished_at, other.finished_at)
        return max(0.0, (end - start).total_seconds()) / other.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What stands before a job's end: megapixel-steps that come first, in `jobs_ahead` jobs, and its own; `jobs_behind` are
    drawn beside it and end after it.
    """

    work_ahead: float
    jobs_ahead: int
    jobs_behind: int
    work: float
    pictures: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds until a job is done: what it takes alone, and what it waits for others who are there now."""

    alone: float
    waiting: float

    def seconds(self, company: float) -> float:
        """Returns all of it; `company` says how many times as long as estimated jobs wait lately."""
        return self.alone + self.waiting * company


def estimate(load: Load, speed: EngineSpeed | None, recent: Sequence[DrawnJob]) -> Estimate | None:
    """Returns None while neither a speed was measured nor a job was drawn."""
    timed = [job for job in recent if job.seconds > 0]
    if speed is None:
        if not timed:
            return None
        pace = 1 / median(_rate(job, timed) for job in timed)
        return Estimate(load.work * pace, load.work_ahead * pace)
    slowness = _slowness(speed, timed)
    pictures = load.jobs_ahead + load.pictures
    alone = slowness * load.work / speed.rate(load.pictures)
    in_company = slowness * load.work / speed.own_rate(pictures + load.jobs_behind, load.pictures)
    shared = slowness * (load.work_ahead + load.work) / speed.rate(pictures)
    return Estimate(alone, max(0.0, shared - alone, in_company - alone))


def company(told: Sequence[tuple[Estimate, float]]) -> float:
    """Returns how many times as long as estimated jobs waited, since others came after them and ended before: `told` are
    estimates with the seconds that it took.
    """
    waits = [(took - one.alone) / one.waiting for one, took in told if one.waiting > one.alone / 2]
    return min(SLOWEST, max(QUICKEST, median(waits))) if len(waits) >= ENOUGH else 1.0


def _slowness(speed: EngineSpeed, recent: Sequence[DrawnJob]) -> float:
    """How many times longer than measured the last jobs took: text, decoding, saving and neighbours are in it."""
    if not recent:
        return 1.0
    found = median(speed.rate(_pictures(job, recent)) / _rate(job, recent) for job in recent)
    return min(SLOWEST, max(QUICKEST, found))


def _rate(job: DrawnJob, recent: Sequence[DrawnJob]) -> float:
    """Megapixel-steps a second that all jobs together had while this one was under way."""
    return sum(other.work * job.overlap(other) for other in recent) / job.seconds


def _pictures(job: DrawnJob, recent: Sequence[DrawnJob]) -> float:
    """How many pictures were under way beside it on average, its own among them."""
    return sum(other.pictures * other.overlap(job) for other in recent)
