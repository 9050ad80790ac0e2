"""How long ten members wait, in turns and first come, first served: `.venv/bin/python -m tests.economy.fairness_table`.

One machine draws one job at a time. The queue is the real one on real SQLite; for the comparison, each job is given to a member
of its own, in which case turns are the order of arrival.
"""

from __future__ import annotations

import asyncio
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.quota import UNLIMITED
from bot.storage.database import Database
from tests.storage.samples import NOW, Store, memory_folder, new_job

SECONDS_A_MEGAPIXEL_STEP = 0.2  # 5.9 s a picture of one credit
SFQ, FIFO = "turns", "first come"


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


async def simulate(crowd: Sequence[Arrival], order: str) -> dict[str, Waits]:
    """Draw everything, in simulated time; returns the waits by member."""
    ids = {member: number for number, member in enumerate(sorted({arrival.member for arrival in crowd}), start=1)}
    asked: dict[str, tuple[Arrival, float]] = {}
    waits: dict[str, list[tuple[float, float]]] = defaultdict(list)
    left, now = list(enumerate(crowd, start=1)), 0.0
    with memory_folder() as folder:
        async with Database.open(folder / "pastel.db") as database:
            store = Store.over(database)
            while left or len(asked) > sum(map(len, waits.values())):
                while left and left[0][1].at <= now:
                    number, arrival = left.pop(0)
                    user_id = ids[arrival.member] if order == SFQ else number
                    new = new_job(number, user_id=user_id, num_images=arrival.num_images)
                    job = (await store.jobs.add(new, limits=UNLIMITED, now=_time(arrival.at))).job
                    asked[job.id] = arrival, job.request.work * SECONDS_A_MEGAPIXEL_STEP
                job = await store.jobs.claim(now=_time(now), lease_until=_time(now + 600), batch=64)
                if job is None:
                    now = left[0][1].at
                    continue
                arrival, seconds = asked[job.id]
                now += seconds
                assert await store.jobs.finish(job.id, job.attempt, (), now=_time(now))
                waits[arrival.member].append((now - arrival.at, now))
    return {member: _waits(waits[member]) for member in ids}


def table(fair: dict[str, Waits], fifo: dict[str, Waits]) -> str:
    """Both beside one another, in seconds."""
    head = f"{'':>10}  jobs  {'first picture':^17}  {'mean wait':^17}  {'longest wait':^17}"
    rows = [head, f"{'':>16}" + f"  {SFQ:>6} {FIFO:>10}" * 3]
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
    print(table(await simulate(arrivals(), SFQ), await simulate(arrivals(), FIFO)))


if __name__ == "__main__":
    asyncio.run(main())
