"""The times that waiting cards tell, over a busy hour: the real queue and estimator, an engine whose steps are played."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import median

import pytest

from bot.domain.batch_curve import BatchCurve
from bot.domain.eta import EngineSpeed
from bot.domain.job import Job, JobId
from bot.domain.progress import Phase, Progress
from tests.examples import new_job, origin, request
from tests.fakes import START
from tests.services.world import World

HOUR = 3600.0
STEP = 0.5  # seconds that a step of one picture takes, as measured
SLOWER = 1.25  # what it really takes: somebody else uses the machine, too
DECODING = 1.5  # seconds a picture, which nothing measures
WEIGHTS = 90.0  # seconds that the first job waits for the weights
CURVES = {
    1: BatchCurve(((1, STEP), (2, 2 * STEP))),
    4: BatchCurve(((1, STEP), (2, 1.3 * STEP), (4, 2 * STEP))),
}


@dataclass
class Drawing:
    """A job under way; `calls` is how many steps each of its pictures still takes."""

    job: Job
    calls: int
    loading: float = 0.0

    @property
    def pictures(self) -> int:
        return self.job.request.num_images


@dataclass
class Hour:
    """Members ask by chance; the engine takes the jobs as the queue gives them out and steps as many as a call holds."""

    world: World
    batch: int
    chance: random.Random
    now: float = 0.0
    drawings: list[Drawing] = field(default_factory=list)
    told: dict[JobId, tuple[float, float]] = field(default_factory=dict)  # when it was asked, and when it should be ready
    errors: list[float] = field(default_factory=list)

    async def run(self, load: float) -> None:
        sizes = ((8, 1), (20, 1), (20, 1), (28, 1), (20, 4))  # steps, pictures
        curve = CURVES[self.batch]
        mean = sum(steps * pictures for steps, pictures in sizes) / len(sizes)
        decoding = DECODING * sum(pictures for _, pictures in sizes) / len(sizes)
        rate = load / (mean * SLOWER * curve.seconds(self.batch) / self.batch + decoding)
        coming, number = self.chance.expovariate(rate), 0
        while self.now < HOUR:
            await self._claim()
            if coming <= self.now or not self.drawings:
                self._pass(max(0.0, coming - self.now))
                number += 1
                await self._ask(number, *self.chance.choice(sizes))
                coming += self.chance.expovariate(rate)
            else:
                await self._call(curve)

    def _pass(self, seconds: float) -> None:
        self.now += seconds
        self.world.clock.advance(seconds)

    async def _ask(self, number: int, steps: int, pictures: int) -> None:
        """A member's request, and what its card says."""
        asked = request(num_inference_steps=steps, num_images=pictures)
        member = origin(number, user_id=1 + self.chance.randrange(12))
        new = new_job(number, request=asked, origin=member)
        job = (await self.world.jobs.add(new, limits=self.world.limits, now=self.world.clock.now())).job
        position = await self.world.services.server_queue.estimator.position(job)
        assert position is not None
        assert position.done_at is not None, "every waiting card tells a time"
        self.told[job.id] = self.now, (position.done_at - START).total_seconds()

    async def _claim(self) -> None:
        while len(self.drawings) < self.batch:
            now = self.world.clock.now()
            job = await self.world.jobs.claim(now=now, lease_until=now + timedelta(hours=2), batch=self.batch)
            if job is None:
                return
            loading = 0.0 if self.drawings or len(self.told) > 1 else WEIGHTS
            self.drawings.append(Drawing(job=job, calls=job.request.num_inference_steps, loading=loading))

    async def _call(self, curve: BatchCurve) -> None:
        """A step of those who are next; whoever is done is decoded, saved and leaves."""
        self._pass(self.drawings[0].loading)
        self.drawings[0].loading = 0.0
        held, room = [], self.batch
        for drawing in self.drawings:
            if room > 0:
                held.append(drawing)
                room -= drawing.pictures
        turns = max(1, -(-sum(one.pictures for one in held) // self.batch))  # of one that holds more than a call does
        calls = min(self.batch, sum(one.pictures for one in held))
        self._pass(turns * curve.seconds(calls) * SLOWER * self.chance.uniform(0.9, 1.1))
        for drawing in held:
            drawing.calls -= 1
            steps = drawing.job.request.num_inference_steps
            report = Progress(phase=Phase.DENOISING, step=steps - drawing.calls, steps=steps)
            self.world.services.live.on_progress(drawing.job, report)
            if drawing.calls == 0:
                await self._end(drawing)

    async def _end(self, drawing: Drawing) -> None:
        self._pass(DECODING * drawing.pictures)
        self.drawings.remove(drawing)
        assert await self.world.jobs.finish(drawing.job.id, drawing.job.attempt, (), now=self.world.clock.now())
        await self.world.services.live.close(drawing.job.id)
        asked, ready = self.told[drawing.job.id]
        self.errors.append(abs(ready - self.now) / (self.now - asked))


@pytest.mark.parametrize(("batch", "load"), [(1, 0.5), (1, 0.9), (4, 0.9)])
async def test_the_times_told_over_a_busy_hour_are_off_by_less_than_thirty_percent(
    world: World, batch: int, load: float
) -> None:
    megapixels = request().width * request().height / 1e6
    world.generator.capacity = batch
    world.generator.speed = EngineSpeed(curve=CURVES[batch], batch=batch, megapixels=megapixels)
    hour = Hour(world, batch, random.Random(7))

    await hour.run(load)

    assert len(hour.errors) > 50
    assert median(hour.errors) < 0.3, f"{median(hour.errors):.0%} of {len(hour.errors)} jobs"
