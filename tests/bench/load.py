"""How long pictures take while members come at random, and whether waiting cards told the truth: python -m tests.bench.load.

Members come as a Poisson process, at shares of the rate at which the first checkout's bot serves one member's queue. Each asks
once, for a picture of few or many steps; every checkout gets the same arrivals. Before that, 16 members come at once.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.bench.harness import Asked, BenchHarness, Checkout, checkouts, options, run, running
from tests.bench.tables import median, quantile, record, say, seconds_since, table

LOADS = (0.5, 0.8, 0.95)
STEPS = (4, 8, 8, 8, 28)  # of a request, drawn at random; as in the simulations that the queue's order was chosen with
CROWD, CROWD_STEPS = 16, 8


@dataclass(frozen=True)
class Arrival:
    """Somebody asks `gap` seconds after the one before."""

    gap: float
    steps: int


@dataclass(frozen=True)
class Sample:
    """What was seen of one load: seconds to each picture, and the relative error of each time that a waiting card gave."""

    seconds: tuple[float, ...]
    errors: tuple[float, ...]
    promised: int  # cards that gave a time at all


async def service_rate(rig: BenchHarness) -> float:
    """Requests a second, of one member's queue."""
    member, started = rig.member(), time.monotonic()
    await rig.drawn(*[await rig.ask(member, steps=steps) for steps in STEPS * 2])
    return len(STEPS) * 2 / seconds_since(started)


def arrivals(count: int, rate: float, seed: int) -> list[Arrival]:
    luck = random.Random(seed)
    return [Arrival(luck.expovariate(rate), luck.choice(STEPS)) for _ in range(count)]


async def serve(rig: BenchHarness, coming: Iterable[Arrival]) -> Sample:
    asked, due = list[Asked](), time.monotonic()
    for arrival in coming:
        due += arrival.gap
        await asyncio.sleep(due - time.monotonic())
        asked.append(await rig.ask(rig.member(), steps=arrival.steps))
    await rig.drawn(*asked)
    errors = [error for one in asked for error in errors_of(one)]
    return Sample(tuple(one.seconds or 0.0 for one in asked), tuple(errors), sum(bool(one.promises) for one in asked))


def errors_of(one: Asked) -> list[float]:
    """By what share of the true wait each promise was wrong; a wait counts as 1 s at least, as Discord shows whole seconds."""
    assert one.finished_at is not None
    end = one.finished_at
    return [abs(promise.ready_at - end) / max(1.0, end - promise.said_at) for promise in one.promises]


async def crowd(rig: BenchHarness) -> float:
    """Pictures a second when sixteen members ask at once."""
    started = time.monotonic()
    await rig.drawn(*[await rig.ask(rig.member(), steps=CROWD_STEPS) for _ in range(CROWD)])
    return CROWD / seconds_since(started)


async def main() -> None:
    parser = options(__doc__, rounds=2)
    parser.add_argument("--arrivals", type=int, default=16, help="members a load and round")
    parser.add_argument("--batch", type=int, default=1, help="MAX_BATCH")
    given = parser.parse_args()
    started = time.monotonic()
    samples: dict[tuple[float, Checkout], list[Sample]] = defaultdict(list)
    rates: dict[Checkout, list[float]] = defaultdict(list)
    compared, rate = checkouts(given.checkout), 0.0
    for turn in range(given.rounds):
        for checkout in compared[:: -1 if turn % 2 else 1]:
            async with running(checkout.folder, MAX_BATCH=str(given.batch)) as rig:
                if not rate:
                    rate = await service_rate(rig)
                    record(measure="service rate", checkout=checkout.name, batch=given.batch, requests_a_second=rate)
                rates[checkout].append(await crowd(rig))
                record(measure="crowd", round=turn, checkout=checkout.name, batch=given.batch, rate=rates[checkout][-1])
                for load in LOADS:
                    sample = await serve(rig, arrivals(given.arrivals, load * rate, turn))
                    samples[load, checkout].append(sample)
                    record(measure="load", round=turn, checkout=checkout.name, batch=given.batch, load=load, **_facts([sample]))
    _show(samples, rates)
    say(f"\nMAX_BATCH {given.batch}, {given.rounds} rounds of {given.arrivals} a load, in {seconds_since(started):.0f} s")


def _facts(samples: Sequence[Sample]) -> dict[str, float]:
    seconds = [value for sample in samples for value in sample.seconds]
    return {
        "p50": quantile(seconds, 0.5), "p95": quantile(seconds, 0.95), "mean": sum(seconds) / len(seconds),
        "eta_error": median(value for sample in samples for value in sample.errors),
        "eta_cards": sum(sample.promised for sample in samples) / len(seconds),
    }  # fmt: skip


def _show(samples: dict[tuple[float, Checkout], list[Sample]], rates: dict[Checkout, list[float]]) -> None:
    rows = []
    for (load, checkout), found in sorted(samples.items(), key=lambda item: item[0][0]):
        facts = _facts(found)
        rows.append((
            f"{load:g}", checkout.name, f"{facts['p50']:.2f}", f"{facts['p95']:.2f}", f"{facts['mean']:.2f}",
            f"{facts['eta_error']:.0%}", f"{facts['eta_cards']:.0%}",
        ))  # fmt: skip
    table(("load", "checkout", "p50 s", "p95 s", "mean s", "ETA's median error", "cards with an ETA"), rows)
    table((f"{CROWD} at once", "pictures/s"), [(checkout.name, f"{median(found):.3f}") for checkout, found in rates.items()])


if __name__ == "__main__":
    run(main())
