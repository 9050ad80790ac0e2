"""Runs one bench from the first scenario to the last, and writes its results."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from bot import __version__
from bot.bench.cancelling import measure_cancellation
from bot.bench.contestants import BatchedContestant, EngineContestant, StockContestant
from bot.bench.figures import median
from bot.bench.options import CPU_STEPS, BenchOptions
from bot.bench.plot import INCHES, draw_report
from bot.bench.probes import Watch
from bot.bench.results import Cancellation, Latency, Report, Setting, StepTime, Throughput
from bot.bench.scenarios import Contest, measure_latency, measure_throughput
from bot.bench.serving import closed_loop
from bot.bench.setup import BenchSetup, open_field
from bot.bench.table import report_lines
from bot.bench.workload import Workload, plan
from bot.errors import FolderError
from bot.log import set_up_logging
from bot.plots import save_plot
from bot.settings import Settings

LIBRARIES = ("torch", "diffusers", "transformers")
WARM_UP = (1, 4)  # pictures asked for at once before anything is measured
MLPERF_MEMBERS = 16
COMPANY = 3  # others that are drawn while one is cancelled, where there is room for them

Value = TypeVar("Value")


async def bench(settings: Settings, options: BenchOptions) -> None:
    """Measure, print the tables, and write MODEL.json and MODEL.png. Raises FolderError, ModelError, GenerationError."""
    set_up_logging("WARNING" if settings.log_level == "INFO" else settings.log_level, settings.log_format)
    folder = options.out or settings.data_dir / "bench"
    await asyncio.to_thread(make_folder, folder)
    try:
        async with open_field(settings, options) as opened:
            report = await Session(opened, options, say).measure()
    except ExceptionGroup as group:  # of members who asked together: the first one's fault is reported
        raise group.exceptions[0] from None
    for line in report_lines(report):
        print(line)
    written = await asyncio.to_thread(write_report, report, folder)
    print("\nWritten: " + " and ".join(map(str, written)))


def write_report(report: Report, folder: Path) -> tuple[Path, ...]:
    """Write JSON and plot, named after the model, over those of an older bench.

    Returns the written files. Raises FolderError.
    """
    data, picture = folder / f"{report.setting.model}.json", folder / f"{report.setting.model}.png"
    try:
        data.write_text(json.dumps(report.to_dict(), indent=2) + "\n", encoding="utf-8")
        has_plot = save_plot(partial(draw_report, report=report), picture, inches=INCHES)
    except OSError as error:
        raise FolderError(f"{folder} cannot be written ({error.strerror}). Give --out another folder.") from None
    return (data, picture) if has_plot else (data,)


class Session:
    """Runs the scenarios one after another. `say` is told what is being measured."""

    def __init__(self, opened: BenchSetup, options: BenchOptions, say: Callable[[str], None]) -> None:
        field = opened.field
        self._field = field
        self._thread = opened.thread
        self._options = options
        self._say = say
        self._stock = StockContestant(field.stock.draw, opened.thread)
        self._engine = EngineContestant(field.generator)
        batched = BatchedContestant(field.stock.draw, opened.thread, most=options.static_batch)
        self._lanes = (self._stock, batched, self._engine)
        self._watches = {lane.name: Watch(field.probe) for lane in self._lanes}
        self._contest = Contest(self._lanes, self._watches)
        usual = field.profile.num_inference_steps
        steps = options.steps or (usual if field.probe.is_cuda else min(usual, CPU_STEPS))
        self._workload = Workload.mixed(field.profile, steps)
        self._roof = 0.0

    async def measure(self) -> Report:
        """Returns the report after measuring everything, in its order."""
        self._say("warming up")
        rate = await self._warm_up()
        step_times = await self._step_times()
        throughput = [await self._throughput(members, rate) for members in self._options.members]
        capacity = throughput[-1].rate(self._stock.name)
        latency = [await self._latency(load, capacity) for load in self._options.loads]
        cancellation = await self._cancellation()
        mlperf = await self._mlperf()
        return Report(
            setting=self._setting(),
            roof=self._roof,
            throughput=tuple(throughput),
            latency=tuple(latency),
            cancellation=cancellation,
            step_times=step_times,
            strain={name: watch.strain() for name, watch in self._watches.items()},
            mlperf=mlperf,
        )

    async def _warm_up(self) -> float:
        """Let every lane draw a little, then return the stock pipeline's pictures a second, roughly."""
        short = replace(self._workload, steps=(2,))
        for lane in self._lanes:
            for count in WARM_UP:
                await closed_loop(lane, short.requests(count, seed=300), members=count)
        one_of_each = self._workload.requests(len(self._workload.steps), seed=301)
        return (await closed_loop(self._stock, one_of_each, members=1)).pictures_per_second

    async def _step_times(self) -> tuple[StepTime, ...]:
        """Returns medians over trials, in each of which all sizes have their turn. Sizes too large for memory are left out."""
        self._say("step times")
        width, height = self._workload.width, self._workload.height
        seconds: dict[int, list[float]] = {size: [] for size in self._options.sizes}
        for trial in range(self._options.trials + 1):
            for size in tuple(seconds):
                took = await self._on_thread(partial(self._field.probe.step_seconds, size, width=width, height=height))
                if took is None:
                    del seconds[size]
                elif trial:  # the first call of a shape warms up
                    seconds[size].append(took)
        flops = partial(self._field.step_flops, width=width, height=height)
        await self._on_thread(partial(flops, 1))
        return tuple(StepTime(pictures=size, seconds=median(all_), flops=flops(size)) for size, all_ in seconds.items())

    async def _throughput(self, members: int, rate: float, workload: Workload | None = None) -> Throughput:
        """Returns the throughput, and measures the roof as well: the fastest value ever seen counts."""
        self._say(f"throughput, {members} members")
        workload = workload or self._workload
        self._roof = max(self._roof, await self._on_thread(self._field.probe.matmul_flops_per_second))
        await self._on_thread(
            partial(self._field.flops, workload.requests(1, seed=0)[0])
        )  # counted here, not on the event loop
        pictures = self._options.seconds * rate / len(self._lanes)
        least = max(members, len(workload.steps))
        planned = plan(pictures, least=least, most_rounds=self._options.most_rounds)
        return await measure_throughput(self._contest, workload, planned, members=members, flops_of=self._field.flops)

    async def _latency(self, load: float, capacity: float) -> Latency:
        self._say(f"latency, load {load:g}")
        pictures = self._options.seconds * load * capacity / len(self._lanes)
        planned = plan(pictures, least=self._options.least_arrivals, most_rounds=self._options.most_rounds)
        return await measure_latency(self._contest, self._workload, planned, load=load, capacity=capacity)

    async def _cancellation(self) -> tuple[Cancellation, ...]:
        self._say("cancels")
        room = min(COMPANY, self._field.generator.batch - 1)
        return tuple(
            [
                await measure_cancellation(self._engine, self._workload, cancels=self._options.cancels, company=company)
                for company in sorted({0, room})
            ]
        )

    async def _mlperf(self) -> Throughput | None:
        """Returns MLPerf Inference's text_to_image: 20 steps, Euler, guidance 8, 1024 x 1024; None where it is meaningless."""
        if not self._field.probe.is_cuda or self._field.profile.family != "sdxl" or self._options.is_quick:
            return None
        self._say("MLPerf's setting")
        workload = replace(
            self._workload, steps=(20,), guidance_scale=8.0, width=1024, height=1024, scheduler="EulerDiscreteScheduler"
        )
        pilot = await closed_loop(self._stock, workload.requests(2, seed=302), members=1)
        return await self._throughput(MLPERF_MEMBERS, pilot.pictures_per_second, workload)

    def _setting(self) -> Setting:
        field, workload = self._field, self._workload
        return Setting(
            model=field.profile.name,
            device=field.probe.name,
            dtype=field.probe.dtype,
            versions={"pastel": __version__, "python": sys.version.split()[0]} | {name: version(name) for name in LIBRARIES},
            batch=field.generator.batch,
            static_batch=self._options.static_batch,
            steps=workload.steps,
            guidance_scale=workload.guidance_scale,
            size=(workload.width, workload.height),
            is_quick=self._options.is_quick,
        )

    async def _on_thread(self, work: Callable[[], Value]) -> Value:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def make_folder(folder: Path) -> None:
    """Create the folder of results. Raises FolderError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(f"The folder {folder} cannot be made ({error.strerror}). Give --out another one.") from None


def say(text: str) -> None:
    """Print what is measured now, apart from the tables."""
    print(f"bench: {text} ...", file=sys.stderr, flush=True)
