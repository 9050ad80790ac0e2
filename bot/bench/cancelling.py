"""Measures how soon the engine stops drawing a cancelled picture."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

from bot.bench.contestants import Contestant
from bot.bench.results import Cancellation
from bot.bench.workload import Workload
from bot.domain.progress import Phase, Progress
from bot.domain.request import MAX_STEPS, GenerationRequest

STEPS_BEFORE = 4  # reports of a step after which a request is cancelled; the time between them is the step time


async def measure_cancellation(lane: Contestant, workload: Workload, *, cancels: int, company: int) -> Cancellation:
    """Cancel `cancels` requests, one by one, each while `company` others are drawn, and return the delays."""
    long = replace(workload, steps=(MAX_STEPS,))
    chance = random.Random(company)  # noqa: S311 (no secret)
    trials: list[tuple[float, float]] = []
    for number in range(cancels):
        request, *others = long.requests(1 + company, seed=200 + number)
        beside = [asyncio.create_task(lane.serve(other, lambda _: None)) for other in others]
        try:
            trials.append(await _cancel_one(lane, request, chance.random()))
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
    return Cancellation(
        company=company,
        seconds=tuple(seconds for seconds, _ in trials),
        steps=tuple(seconds / step for seconds, step in trials),
    )


async def _cancel_one(lane: Contestant, request: GenerationRequest, phase: float) -> tuple[float, float]:
    """Returns the seconds until the lane had stopped, and the seconds of a step. The cancel comes when `phase` (0 to 1) of a
    step has passed: right after a report it would always meet the engine between two steps.
    """
    loop = asyncio.get_running_loop()
    moments: list[float] = []
    under_way = asyncio.Event()

    def on_progress(progress: Progress) -> None:
        if progress.phase is Phase.DENOISING and progress.preview is None:
            moments.append(loop.time())
            if len(moments) == STEPS_BEFORE:
                under_way.set()

    drawing = asyncio.create_task(lane.serve(request, on_progress))
    reached = asyncio.create_task(under_way.wait())
    await asyncio.wait([drawing, reached], return_when=asyncio.FIRST_COMPLETED)
    reached.cancel()
    if drawing.done():
        drawing.result()  # raises its error; a picture of MAX_STEPS cannot be finished yet
    step = (moments[-1] - moments[0]) / (len(moments) - 1)
    await asyncio.sleep(phase * step)
    began = loop.time()
    drawing.cancel()
    await asyncio.wait([drawing])
    return loop.time() - began, step
