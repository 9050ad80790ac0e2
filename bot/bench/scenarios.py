"""Runs scenarios in rounds: in each round every lane has its turn, so that load on the machine affects all lanes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from bot.bench.contestants import Contestant
from bot.bench.probes import Watch
from bot.bench.results import Latency, Throughput
from bot.bench.serving import Run, closed_loop, open_loop
from bot.bench.workload import Plan, Workload, poisson_arrivals
from bot.domain.request import GenerationRequest

Item = TypeVar("Item")


class Contest:
    """The lanes, each with its watch."""

    def __init__(self, lanes: Sequence[Contestant], watches: Mapping[str, Watch]) -> None:
        self._lanes = lanes
        self._watches = watches

    async def rounds(self, count: int, run: Callable[[Contestant, int], Awaitable[Run]]) -> dict[str, list[Run]]:
        """Let every lane do `run` once a round, given the round's number; the lane that begins changes each time."""
        runs: dict[str, list[Run]] = {lane.name: [] for lane in self._lanes}
        for number in range(count):
            for lane in rotated(self._lanes, number):
                async with self._watches[lane.name].watching():
                    runs[lane.name].append(await run(lane, number))
        return runs


def rotated(items: Sequence[Item], by: int) -> list[Item]:
    """Returns the same circle, starting elsewhere."""
    start = by % len(items)
    return [*items[start:], *items[:start]]


async def measure_throughput(
    contest: Contest, workload: Workload, plan: Plan, *, members: int, flops_of: Callable[[GenerationRequest], int]
) -> Throughput:
    """Measure members in a closed loop, on each lane with the same requests."""
    rounds = [workload.requests(plan.requests, seed=number) for number in range(plan.rounds)]
    runs = await contest.rounds(plan.rounds, lambda lane, number: closed_loop(lane, rounds[number], members=members))
    pictures = [request for requests in rounds for request in requests]
    return Throughput(
        members=members,
        requests=len(pictures),
        flops=sum(flops_of(request) for request in pictures) / len(pictures),
        rates={lane: [run.pictures_per_second for run in done] for lane, done in runs.items()},
        cpu_seconds={lane: [run.cpu_seconds_per_picture for run in done] for lane, done in runs.items()},
        previews={lane: [seconds for run in done for seconds in run.preview_latencies] for lane, done in runs.items()},
    )


async def measure_latency(contest: Contest, workload: Workload, plan: Plan, *, load: float, capacity: float) -> Latency:
    """Measure members who come at random, `load` times the `capacity` (pictures a second), at equal moments on each lane."""
    rate = load * capacity
    rounds = [workload.requests(plan.requests, seed=100 + number) for number in range(plan.rounds)]
    arrivals = [poisson_arrivals(rate, plan.requests, seed=number) for number in range(plan.rounds)]
    runs = await contest.rounds(plan.rounds, lambda lane, number: open_loop(lane, rounds[number], arrivals[number]))
    return Latency(
        load=load,
        rate=rate,
        requests=plan.rounds * plan.requests,
        latencies={lane: [seconds for run in done for seconds in run.latencies] for lane, done in runs.items()},
        previews={lane: [seconds for run in done for seconds in run.preview_latencies] for lane, done in runs.items()},
    )
