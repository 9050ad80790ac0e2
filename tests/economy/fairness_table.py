"""How long ten members wait, in turns and first come, first served: `.venv/bin/python -m tests.economy.fairness_table`.

The queue is the real one on real SQLite, and the engine shares its steps as it always does.
"""

from __future__ import annotations

import asyncio
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.batch_curve import BatchCurve
from bot.domain.fairness import Share
from bot.domain.job import Job
from bot.domain.quota import UNLIMITED
from bot.inference.engine.batch_scheduler import BatchScheduler
from bot.storage.database import Database
from tests.inference.crowd import AREA, Picture, Request
from tests.storage.samples import NOW, Store, memory_folder, new_job

SECONDS_A_STEP = 0.21  # 5.9 s a picture of one credit
FAIR, FIFO = "turns", "first come"


@dataclass(frozen=True)
class Arrival:
    """Somebody asks for `num_images` pictures, `at` seconds after the start."""

    at: float
    member: str
    num_images: int = 1


@dataclass(frozen=True)
class Waits:
    """Seconds: from asking to the end of the first picture, and over all of a member's jobs; `last` counts from the start."""

    jobs: int
    first: float
    mean: float
    longest: float
    last: float


def arrivals() -> list[Arrival]:
    """A member asks for 50 pictures at once; nine others come within the next four minutes, some of them twice or with four."""
    crowd = [Arrival(0, "flooder")] * 50
    for number in range(1, 10):
        at = 25.0 * number
        crowd.append(Arrival(at, f"member {number}", num_images=4 if number % 4 == 0 else 1))
        if number % 3 == 0:
            crowd += [Arrival(at + 2, f"member {number}"), Arrival(at + 90, f"member {number}")]
    return sorted(crowd, key=lambda arrival: arrival.at)


async def simulate(crowd: Sequence[Arrival], batch: int) -> dict[str, Waits]:
    """Draw everything by the real queue and the engine's rule, in simulated time; returns the waits by member. A call of
    several pictures takes as long as each of them alone.
    """
    ids = {member: number for number, member in enumerate(sorted({arrival.member for arrival in crowd}), start=1)}
    turns: BatchScheduler[Request] = BatchScheduler(BatchCurve(((1, 1.0),)), AREA)
    waits: dict[str, list[tuple[float, float]]] = defaultdict(list)
    asked: dict[str, Arrival] = {}
    drawn: dict[Request, Job] = {}
    left, now = list(enumerate(crowd, start=1)), 0.0
    with memory_folder() as folder:
        async with Database.open(folder / "pastel.db") as database:
            store = Store.over(database)
            while left or len(asked) > sum(map(len, waits.values())):
                while left and left[0][1].at <= now:
                    number, arrival = left.pop(0)
                    new = new_job(number, user_id=ids[arrival.member], num_images=arrival.num_images)
                    asked[(await store.jobs.add(new, limits=UNLIMITED, now=_time(arrival.at))).job.id] = arrival
                while job := await store.jobs.claim(now=_time(now), lease_until=_time(now + 600), batch=batch):
                    steps = job.request.num_inference_steps
                    pictures = [Picture(steps) for _ in range(job.request.num_images)]
                    request = Request(at=now, share=Share(job.origin.user_id), pictures=pictures)
                    drawn[request] = job
                    turns.join(request)
                call = turns.next_call(now, lambda _: batch)
                if not call:
                    now = left[0][1].at
                    continue
                turns.drawn(call, now)
                now += sum(SECONDS_A_STEP for _ in call)
                for row in call:
                    row.job.pictures[row.index].step += 1
                for request in {row.job: None for row in call if row.job.done}:
                    turns.leave(request)
                    job = drawn.pop(request)
                    assert await store.jobs.finish(job.id, job.attempt, (), now=_time(now))
                    waits[asked[job.id].member].append((now - asked[job.id].at, now))
    return {member: _waits(waits[member]) for member in ids}


def first_come(crowd: Sequence[Arrival]) -> dict[str, Waits]:
    """The same, drawn one after another as they came."""
    waits: dict[str, list[tuple[float, float]]] = defaultdict(list)
    steps, now = new_job(1).request.num_inference_steps, 0.0
    for arrival in crowd:
        now = max(now, arrival.at) + arrival.num_images * steps * SECONDS_A_STEP
        waits[arrival.member].append((now - arrival.at, now))
    return {member: _waits(waits[member]) for member in sorted(waits)}


def table(fair: dict[str, Waits], fifo: dict[str, Waits]) -> str:
    """Both beside one another, in seconds."""
    head = f"{'':>10}  jobs  {'first picture':^17}  {'mean wait':^17}  {'longest wait':^17}"
    rows = [head, f"{'':>16}" + f"  {FAIR:>6} {FIFO:>10}" * 3]
    for member, mine in fair.items():
        other = fifo[member]
        pairs = ((mine.first, other.first), (mine.mean, other.mean), (mine.longest, other.longest))
        rows.append(f"{member:>10}  {mine.jobs:4}" + "".join(f"  {a:6.0f} {b:10.0f}" for a, b in pairs))
    return "\n".join(rows)


def _waits(ended: Sequence[tuple[float, float]]) -> Waits:
    durations = [wait for wait, _ in ended]
    return Waits(
        jobs=len(ended),
        first=durations[0],
        mean=statistics.fmean(durations),
        longest=max(durations),
        last=max(at for _, at in ended),
    )


def _time(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


async def main() -> None:
    print(table(await simulate(arrivals(), 1), first_come(arrivals())))


if __name__ == "__main__":
    asyncio.run(main())
