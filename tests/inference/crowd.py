"""A crowd in front of one engine, without torch: who asks when, what is drawn, and when equal sharing would have ended it.

`python -m tests.inference.crowd` prints how long jobs take at several loads, by the rule and by the one before it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bot.domain.batch_curve import BatchCurve
from bot.domain.fairness import Share
from bot.inference.engine.batch_scheduler import BatchScheduler

AREA = 64
FLAT = {1: 1.0, 2: 2.0, 4: 4.0, 8: 8.0, 16: 16.0}  # a call of more pictures gives nothing: a CPU
LARGE_GPU = {1: 45.0, 2: 72.0, 4: 126.0, 8: 234.0, 16: 450.0}
FREE = {1: 1.0, 2: 1.05, 4: 1.15, 8: 1.35, 16: 2.0}
EPSILON = 1e-6


@dataclass(eq=False)
class Picture:
    steps: int
    area: int = AREA
    group: str = "square"
    step: int = 0

    @property
    def begun(self) -> bool:
        return self.step > 0

    @property
    def done(self) -> bool:
        return self.step >= self.steps

    @property
    def rows(self) -> int:
        return 2

    def steps_left(self, rows: int) -> int:
        return self.steps - self.step if rows == 2 else 0


@dataclass(eq=False)
class Request:
    """A job of `pictures`, asked for at `at` and cancelled at `until`; times are the engine's, in seconds."""

    at: float
    share: Share
    pictures: Sequence[Picture]
    until: float = math.inf
    seen: float = 0.0  # when the engine knew of it: a turn under way ends first
    first: float | None = None
    ended: float | None = None
    cancelled: float | None = None

    @property
    def done(self) -> bool:
        return all(picture.done for picture in self.pictures)


@dataclass
class Run:
    """What became of a crowd; `turn` is the longest call."""

    requests: list[Request] = field(default_factory=list)
    turn: float = 0.0
    calls: int = 0


def draw(requests: Sequence[Request], curve: dict[int, float], most: int) -> Run:
    """All of them by the engine's rule."""
    times = BatchCurve(tuple((size, seconds) for size, seconds in curve.items() if size <= most))
    turns: BatchScheduler[Request] = BatchScheduler(times, AREA)
    coming, here, run, now = sorted(requests, key=lambda request: request.at), list[Request](), Run(list(requests)), 0.0
    while coming or here:
        if not here:
            now = max(now, coming[0].at)
        while coming and coming[0].at <= now:
            request = coming.pop(0)
            request.seen = now
            turns.join(request)
            here.append(request)
        for request in [one for one in here if one.until <= now]:
            request.cancelled = now
            here.remove(request)
            turns.leave(request)
        call = turns.next_call(now, lambda _: most)
        if not call:
            continue
        seconds = times.seconds(len(call))
        turns.drawn(call, now)
        now += seconds
        run.turn, run.calls = max(run.turn, seconds), run.calls + 1
        for row in call:
            assert isinstance(row.picture, Picture)
            row.picture.step += 1
            row.job.first = row.job.first or now
        for request in [one for one in here if one.done]:
            request.ended = now
            here.remove(request)
            turns.leave(request)
    return run


def equal_ends(requests: Sequence[Request]) -> dict[Request, float]:
    """When each request would have ended, had the engine's time been shared equally among the members with work, each step in a
    call of its own. Fluid, from event to event; it knows nothing of the rule.

    A request that is cancelled has its share there until it would have ended: that others give up makes nobody late.
    """
    left = {request: float(sum(picture.steps for picture in request.pictures)) for request in requests}
    ends: dict[Request, float] = {}
    now = 0.0
    while left:
        lines: dict[int, Request] = {}
        for request in (one for one in requests if one in left and one.seen <= now + EPSILON):
            lines.setdefault(request.share.member, request)
        weights = sum(request.share.weight for request in lines.values())
        events = [request.seen for request in left if request.seen > now + EPSILON]
        events += [now + left[request] * weights / request.share.weight for request in lines.values()]
        then = min(events)
        for request in lines.values():
            left[request] -= (then - now) * request.share.weight / weights
        now = then
        for request in [one for one in lines.values() if left[one] <= EPSILON]:
            ends[request] = now
            del left[request]
    return ends


def crowd(load: float, count: int, *, seed: int, sizes: Sequence[int] = (4, 8, 8, 8, 28)) -> list[Request]:
    """One job a member, at random; `load` 1 is what the engine does in calls of one picture."""
    luck, at = random.Random(seed), 0.0
    mean = sum(sizes) / len(sizes)
    requests: list[Request] = []
    for member in range(count):
        at += luck.expovariate(load / mean)
        requests.append(Request(at=at, share=Share(member), pictures=[Picture(luck.choice(sizes))]))
    return requests


def draw_in_equal_shares(requests: Sequence[Request], curve: dict[int, float], most: int) -> Run:
    """By the rule before, to compare: as many jobs as a call holds pictures, in their order, and in each call those whose last
    turn lies longest back.
    """
    times = BatchCurve(tuple((size, seconds) for size, seconds in curve.items() if size <= most))
    coming, here, run, now = sorted(requests, key=lambda request: request.at), list[Request](), Run(list(requests)), 0.0
    last: dict[Picture, int] = {}
    while coming or here:
        if not here:
            now = max(now, coming[0].at)
        while coming and coming[0].at <= now and len(here) < most:
            here.append(coming.pop(0))
        waiting = [(request, picture) for request in here for picture in request.pictures if not picture.done]
        call = sorted(waiting, key=lambda entry: last.get(entry[1], -1))[:most]
        now += times.seconds(len(call))
        run.calls += 1
        for request, picture in call:
            picture.step += 1
            last[picture] = run.calls
            request.first = request.first or now
        for request in [one for one in here if one.done]:
            request.ended = now
            here.remove(request)
    return run


CURVES = {"calls of one": FLAT, "a large GPU": LARGE_GPU, "nearly free": FREE}
RULES: dict[str, Callable[[Sequence[Request], dict[int, float], int], Run]] = {"before": draw_in_equal_shares, "now": draw}


def relative(name: str) -> dict[int, float]:
    """A curve of CURVES in units of a call of one picture."""
    return {size: seconds / CURVES[name][1] for size, seconds in CURVES[name].items()}


def table(count: int = 4_000) -> str:
    """Times in lone steps."""
    lines = [
        "| curve | most | load | rule | mean | p50 | p95 | first step p95 | calls |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in CURVES:
        curve = relative(name)
        for most in (1, 4, 8, 16):
            for load in (0.5, 0.8, 0.95):
                for rule, drawing in RULES.items():
                    run = drawing(crowd(load * most / curve[most], count, seed=3), curve, most)
                    lines.append(f"| {name} | {most} | {load} | {rule} | {_figures(run)} |")
    return "\n".join(lines)


def _figures(run: Run) -> str:
    ended = [(request, request.ended, request.first) for request in run.requests if request.ended and request.first]
    took = sorted(end - request.at for request, end, _ in ended)
    first = sorted(begun - request.at for request, _, begun in ended)
    figures = (sum(took) / len(took), took[len(took) // 2], took[int(len(took) * 0.95)], first[int(len(first) * 0.95)])
    return " | ".join(f"{figure:.1f}" for figure in figures) + f" | {run.calls}"


if __name__ == "__main__":
    print(table())
