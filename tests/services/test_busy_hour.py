"""The times that waiting cards tell, over a busy hour: real queue, order and estimator; an engine whose steps are played."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import median

import pytest

from bot.domain.batch_curve import BatchCurve
from bot.domain.eta import EngineSpeed
from bot.domain.fairness import Share
from bot.domain.job import Job, JobId
from bot.domain.progress import Phase, Progress
from bot.inference.engine.batch_scheduler import BatchScheduler
from tests.examples import new_job, origin, request
from tests.fakes import START
from tests.inference.crowd import AREA, Picture
from tests.services.harness import ServicesHarness

HOUR = 3600.0
STEP = 0.5  # seconds that a step of one picture takes, as measured
SLOWER = 1.25  # what it really takes: somebody else uses the machine, too
DECODING = 1.5  # seconds a picture, which nothing measures
WEIGHTS = 90.0  # seconds that the first job waits for the weights
ADMITTED = 64
SIZES = ((8, 1), (20, 1), (20, 1), (28, 1), (20, 4))  # steps, pictures
CURVES = {
    1: BatchCurve(((1, STEP), (2, 2 * STEP))),
    4: BatchCurve(((1, STEP), (2, 1.3 * STEP), (4, 2 * STEP))),
}


@dataclass(eq=False)
class Drawing:
    """A job under way, as the engine's order sees it."""

    job: Job
    share: Share
    pictures: list[Picture]

    @property
    def drawn(self) -> int:
        return sum(picture.step for picture in self.pictures)

    @property
    def done(self) -> bool:
        return all(picture.done for picture in self.pictures)


@dataclass
class Hour:
    """Members ask by chance; the engine takes jobs as the queue gives them out, and steps as its order says."""

    harness: ServicesHarness
    batch: int
    chance: random.Random
    now: float = 0.0
    drawings: list[Drawing] = field(default_factory=list)
    told: dict[JobId, tuple[float, float]] = field(default_factory=dict)  # when it was asked, and when it should be ready
    errors: list[float] = field(default_factory=list)
    turns: BatchScheduler[Drawing] = field(init=False)

    async def run(self, load: float) -> None:
        curve = CURVES[self.batch]
        self.turns = BatchScheduler(curve, AREA)
        work = sum(steps * pictures for steps, pictures in SIZES) * SLOWER * curve.seconds(self.batch) / self.batch
        rate = load * len(SIZES) / (work + DECODING * sum(pictures for _, pictures in SIZES))
        coming, number = self.chance.expovariate(rate), 0
        while self.now < HOUR:
            if coming <= self.now or not self.drawings:
                self._pass(max(0.0, coming - self.now))
                number += 1
                await self._ask(number, *self.chance.choice(SIZES))
                coming += self.chance.expovariate(rate)
                await self._claim()
                self._pass(WEIGHTS if number == 1 else 0.0)
            else:
                await self._call(curve)

    def _pass(self, seconds: float) -> None:
        self.now += seconds
        self.harness.clock.advance(seconds)

    async def _ask(self, number: int, steps: int, pictures: int) -> None:
        """A member's request, and what its card says."""
        asked = request(num_inference_steps=steps, num_images=pictures)
        member = origin(number, user_id=1 + self.chance.randrange(40))
        new = new_job(number, request=asked, origin=member)
        job = (await self.harness.jobs.add(new, limits=self.harness.limits, now=self.harness.clock.now())).job
        position = await self.harness.services.server_queue.estimator.position(job)
        assert position is not None
        assert position.done_at is not None, "every waiting card tells a time"
        self.told[job.id] = self.now, (position.done_at - START).total_seconds()

    async def _claim(self) -> None:
        while len(self.drawings) < ADMITTED:
            now = self.harness.clock.now()
            job = await self.harness.jobs.claim(now=now, lease_until=now + timedelta(hours=2), batch=self.batch)
            if job is None:
                return
            pictures = [Picture(job.request.num_inference_steps) for _ in range(job.request.num_images)]
            drawing = Drawing(job, Share(job.origin.user_id), pictures)
            self.turns.join(drawing)
            self.drawings.append(drawing)

    async def _call(self, curve: BatchCurve) -> None:
        """One call of the model; whoever is done is decoded, saved and leaves."""
        call = self.turns.next_call(self.now, lambda _: self.batch)
        self.turns.drawn(call, self.now)
        self._pass(curve.seconds(len(call)) * SLOWER * self.chance.uniform(0.9, 1.1))
        for row in call:
            assert isinstance(row.picture, Picture)
            row.picture.step += 1
        for drawing in {row.job: None for row in call}:
            steps = drawing.job.request.num_inference_steps * len(drawing.pictures)
            report = Progress(phase=Phase.DENOISING, step=drawing.drawn, steps=steps)
            self.harness.services.live.on_progress(drawing.job, report)
            if drawing.done:
                await self._end(drawing)

    async def _end(self, drawing: Drawing) -> None:
        decoding = DECODING * len(drawing.pictures)
        self.turns.charge(drawing, decoding)
        self._pass(decoding)
        self.turns.leave(drawing)
        self.drawings.remove(drawing)
        assert await self.harness.jobs.finish(drawing.job.id, drawing.job.attempt, (), now=self.harness.clock.now())
        await self.harness.services.live.close(drawing.job.id)
        asked, ready = self.told[drawing.job.id]
        self.errors.append(abs(ready - self.now) / (self.now - asked))
        await self._claim()


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "load"), [(1, 0.5), (1, 0.9), (4, 0.9)])
async def test_the_times_told_over_a_busy_hour_are_off_by_less_than_thirty_percent(
    harness: ServicesHarness, batch: int, load: float
) -> None:
    megapixels = request().width * request().height / 1e6
    harness.generator.speed = EngineSpeed(curve=CURVES[batch], batch=batch, megapixels=megapixels)
    hour = Hour(harness, batch, random.Random(7))

    await hour.run(load)

    assert len(hour.errors) > 50
    assert median(hour.errors) < 0.3, f"{median(hour.errors):.0%} of {len(hour.errors)} jobs"
