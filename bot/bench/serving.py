"""Simulates members in front of a lane, and records when each was served. The clock is the event loop's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bot.bench.contestants import Contestant
from bot.domain.progress import Progress
from bot.domain.request import GenerationRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One member's request; moments in seconds of the loop's clock. `previewed` is when something could first be seen (None:
    only the picture itself).
    """

    steps: int
    asked: float
    previewed: float | None
    served: float

    @property
    def latency(self) -> float:
        return self.served - self.asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A scenario on one lane from its start to the last picture, in seconds; `cpu_seconds` are those of all threads."""

    served: tuple[Served, ...]
    seconds: float
    cpu_seconds: float

    @property
    def pictures_per_second(self) -> float:
        return len(self.served) / self.seconds

    @property
    def cpu_seconds_per_picture(self) -> float:
        return self.cpu_seconds / len(self.served)

    @property
    def latencies(self) -> list[float]:
        return [one.latency for one in self.served]

    @property
    def preview_latencies(self) -> list[float]:
        """Returns the latencies of requests with a preview."""
        return [one.previewed - one.asked for one in self.served if one.previewed is not None]


async def closed_loop(lane: Contestant, requests: Sequence[GenerationRequest], *, members: int) -> Run:
    """Run a closed loop: `members` ask at once, and each again when served, until all requests were asked for.

    The end, when fewer and fewer ask, counts too: it makes lanes that need company look a little worse than they are.
    """
    remaining = iter(requests)
    served: list[Served] = []

    async def member() -> None:
        for request in remaining:
            served.append(await _serve(lane, request))  # noqa: PERF401 (others append between)

    began, cpu_began = asyncio.get_running_loop().time(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(members):
            group.create_task(member())
    return Run(
        served=tuple(served),
        seconds=asyncio.get_running_loop().time() - began,
        cpu_seconds=time.process_time() - cpu_began,
    )


async def open_loop(lane: Contestant, requests: Sequence[GenerationRequest], arrivals: Sequence[float]) -> Run:
    """Run an open loop: each request comes at its moment, `arrivals` seconds from the start, whatever the others do."""
    loop = asyncio.get_running_loop()
    began, cpu_began = loop.time(), time.process_time()

    async def member(request: GenerationRequest, arrival: float) -> Served:
        await asyncio.sleep(began + arrival - loop.time())
        return await _serve(lane, request)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(member(request, arrival)) for request, arrival in zip(requests, arrivals, strict=True)]
    return Run(
        served=tuple(task.result() for task in tasks),
        seconds=loop.time() - began,
        cpu_seconds=time.process_time() - cpu_began,
    )


async def _serve(lane: Contestant, request: GenerationRequest) -> Served:
    loop = asyncio.get_running_loop()
    asked = loop.time()
    previews: list[float] = []

    def on_progress(progress: Progress) -> None:
        if progress.preview is not None:
            previews.append(loop.time())

    await lane.serve(request, on_progress)
    return Served(
        steps=request.num_inference_steps,
        asked=asked,
        previewed=previews[0] if previews else None,
        served=loop.time(),
    )
