"""Lanes that only sleep, and a report made up of round numbers."""

from __future__ import annotations

import asyncio

from bot.bench.probes import Watch
from bot.bench.results import Cancellation, Latency, Report, Setting, StepTime, Strain, Throughput
from bot.bench.scenarios import Contest
from bot.bench.workload import Workload
from bot.domain.progress import Phase, Progress
from bot.domain.request import GenerationRequest
from bot.ports import OnProgress

WORKLOAD = Workload(profile="mini", steps=(10, 7, 18), guidance_scale=7.0, width=64, height=64)


class SleepingLane:
    """One request after another, so many seconds a step."""

    def __init__(self, name: str, seconds_a_step: float, order: list[str] | None = None) -> None:
        self.name = name
        self.served: list[GenerationRequest] = []
        self._seconds = seconds_a_step
        self._order = order
        self._turn = asyncio.Lock()

    async def serve(self, request: GenerationRequest, on_progress: OnProgress) -> None:
        async with self._turn:
            self.served.append(request)
            if self._order is not None:
                self._order.append(self.name)
            for step in range(request.num_inference_steps):
                await asyncio.sleep(self._seconds)
                progress = Progress(phase=Phase.DENOISING, step=step + 1, steps=request.num_inference_steps)
                on_progress(progress)
                if step == 1:
                    on_progress(Progress(phase=Phase.DENOISING, preview=b"webp"))


class NoDevice:
    """A CPU, as far as memory is concerned."""

    def reset_peak_memory(self) -> None:
        pass

    def peak_memory(self) -> int | None:
        return None


def contest_of(*lanes: SleepingLane) -> Contest:
    return Contest(lanes, {lane.name: Watch(NoDevice()) for lane in lanes})


def sample_report() -> Report:
    names = ("stock", "batched", "engine")
    return Report(
        setting=Setting(
            model="mini",
            device="a device",
            dtype="float16",
            versions={"torch": "2"},
            batch=8,
            static_batch=8,
            steps=(10, 7, 18),
            guidance_scale=7.0,
            size=(64, 64),
        ),
        roof=1000.0,
        throughput=tuple(
            Throughput(
                members=members,
                requests=6,
                flops=100.0,
                rates={name: [1.0 + 0.5 * index, 2.0 + index] for index, name in enumerate(names)},
                cpu_seconds=dict.fromkeys(names, (0.25, 0.75)),
                previews={"stock": [], "batched": [], "engine": [0.1, 0.2]},
            )
            for members in (1, 4)
        ),
        latency=tuple(
            Latency(
                load=load,
                rate=1.0,
                requests=3,
                latencies={name: [1.0, 2.0, 6.0] for name in names},
                previews={"stock": [], "batched": [], "engine": [0.3]},
            )
            for load in (0.5, 0.8)
        ),
        cancellation=(Cancellation(company=0, seconds=(0.1,), steps=(0.5,)),),
        step_times=(StepTime(pictures=1, seconds=0.5, flops=200.0), StepTime(pictures=2, seconds=0.8, flops=400.0)),
        strain={name: Strain(lags=(0.001, 0.002), resident=2**30, device=None) for name in names},
    )
