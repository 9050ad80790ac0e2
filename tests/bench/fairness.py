"""How much longer a member waits for a picture when others have asked for many: python -m tests.bench.fairness.

One member asks a second after one flooder with ten jobs (of one picture each, then of four), or after three flooders.
The figure is the time to the picture as a multiple of the same request alone: 2 beside one flooder and 4 beside three where
members share the engine equally.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass

from tests.bench.harness import BenchHarness, Checkout, checkouts, options, run, running
from tests.bench.tables import median, record, say, seconds_since, table

JOBS = 10  # each flooder's
HEAD_START = 1.0  # seconds
LONE = 2  # requests without anybody else


@dataclass(frozen=True)
class Flood:
    """`aim` is the largest multiple that is wanted."""

    name: str
    flooders: int
    images: int
    aim: float


FLOODS = (
    Flood("10 jobs", 1, 1, 2.5),
    Flood("10 jobs of 4", 1, 4, 2.5),
    Flood("3 x 10 jobs", 3, 1, 4.5),
)


@dataclass(frozen=True)
class Outcome:
    """What one member met, in seconds: alone, in the flood, and until their card showed a step."""

    alone: float
    crowded: float
    first_step: float

    @property
    def multiple(self) -> float:
        return self.crowded / self.alone


async def measure(rig: BenchHarness, floods: tuple[Flood, ...], steps: int) -> dict[Flood, Outcome]:
    alone = median([(await rig.draw(rig.member(), steps=steps)).seconds or 0.0 for _ in range(LONE)])
    return {flood: await _in(rig, flood, alone, steps) for flood in floods}


async def _in(rig: BenchHarness, flood: Flood, alone: float, steps: int) -> Outcome:
    flooders = [rig.member() for _ in range(flood.flooders)]
    for _ in range(JOBS):
        for flooder in flooders:
            await rig.ask(flooder, images=flood.images, steps=steps)
    await asyncio.sleep(HEAD_START)
    asked = await rig.draw(rig.member(), steps=steps)
    await rig.clear()
    assert asked.seconds is not None
    return Outcome(alone, asked.seconds, asked.first_step or asked.seconds)


async def main() -> None:
    parser = options(__doc__, rounds=2)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4, 8], help="MAX_BATCH")
    parser.add_argument("--steps", type=int, default=8)
    given = parser.parse_args()
    started = time.monotonic()
    found: dict[tuple[int, Flood, Checkout], list[Outcome]] = defaultdict(list)
    compared = checkouts(given.checkout)
    for turn in range(given.rounds):
        for batch in given.batch:
            for checkout in compared:
                async with running(checkout.folder, MAX_BATCH=str(batch)) as rig:
                    outcomes = await measure(rig, FLOODS, given.steps)
                for flood, outcome in outcomes.items():
                    found[batch, flood, checkout].append(outcome)
                    record(
                        measure="fairness", round=turn, checkout=checkout.name, batch=batch, flood=flood.name,
                        alone=outcome.alone, crowded=outcome.crowded, multiple=outcome.multiple, first_step=outcome.first_step,
                    )  # fmt: skip
    _show(found)
    say(f"\n{given.rounds} rounds of {given.steps} steps in {seconds_since(started):.0f} s")


def _show(found: dict[tuple[int, Flood, Checkout], list[Outcome]]) -> None:
    heading = ("batch", "flood", "checkout", "alone s", "crowded s", "multiple", "of rounds", "aim", "first step s")
    rows = []
    for (batch, flood, checkout), outcomes in sorted(found.items(), key=lambda item: (item[0][0], FLOODS.index(item[0][1]))):
        multiples = [outcome.multiple for outcome in outcomes]
        rows.append((
            str(batch), flood.name, checkout.name, f"{median(o.alone for o in outcomes):.2f}",
            f"{median(o.crowded for o in outcomes):.2f}", f"{median(multiples):.2f}",
            f"{min(multiples):.2f} to {max(multiples):.2f}", f"<= {flood.aim}", f"{median(o.first_step for o in outcomes):.2f}",
        ))  # fmt: skip
    table(heading, rows)


if __name__ == "__main__":
    run(main())
