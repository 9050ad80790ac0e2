"""Runs all stages: the model is loaded, every measurement is a line on disk, and tables and a plot come after."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bot.bench.options import CPU_STEPS, BenchOptions
from bot.bench.session import make_folder, say
from bot.bench.setup import open_model
from bot.bench.stages.course import Course, Record, Stage
from bot.bench.stages.pictures import PictureSetting, PictureStages
from bot.bench.stages.plot import INCHES, draw_stages
from bot.bench.stages.tables import stage_lines
from bot.bench.workload import Workload
from bot.errors import FolderError
from bot.log import set_up_logging
from bot.plots import save_plot
from bot.resources import engine_settings
from bot.settings import Settings

if TYPE_CHECKING:
    from bot.inference.loading.pipelines import LoadedModel

GPU_TRIALS, GPU_WAVES = 6, 2
CPU_WAVES = 1


def bench_stages(settings: Settings, options: BenchOptions) -> None:
    """Measure, print the tables, and write MODEL.stages.jsonl and .png. On the main thread and without an event loop, so that
    a stage that takes too long can be interrupted. Raises FolderError, ModelError.
    """
    began = time.monotonic()
    set_up_logging("WARNING" if settings.log_level == "INFO" else settings.log_level, settings.log_format)
    folder = options.out or settings.data_dir / "bench"
    make_folder(folder)
    say("model")
    model = open_model(settings, options)
    record = Record(folder / f"{model.profile.name}.stages.jsonl")
    record.put(
        "model", {"model": model.profile.name, "device": str(model.device), "seconds": round(time.monotonic() - began, 2)}
    )
    limit = None if options.limit is None else options.limit - (time.monotonic() - began)
    run_stages(model, record, _stages(model, settings, options), limit=limit)
    for line in stage_lines(record.lines):
        print(line)
    plot = record.path.with_suffix(".png")
    has_plot = _save_plot(record, plot)
    print(f"\nWritten: {record.path} and {plot}" if has_plot else f"\nWritten: {record.path}")


def run_stages(model: LoadedModel, record: Record, stages: Sequence[Stage], *, limit: float | None) -> None:
    """Run the stages. Raises FolderError."""
    from bot.inference.faults import free_memory, is_device_lost

    course = Course(
        record=record,
        has_cuda=model.device.type == "cuda",
        limit=limit,
        say=say,
        after=free_memory,
        is_fatal=is_device_lost,
    )
    course.run(stages)
    record.put("end", {"seconds": round(record.seconds, 2)})


def _stages(model: LoadedModel, settings: Settings, options: BenchOptions) -> list[Stage]:
    """Returns the stages, the most informative first; seconds are estimates for an H200, times two to three."""
    from bot.bench.torch_side.stages.device_stages import DeviceStages
    from bot.bench.torch_side.stages.engine_stages import EngineStages
    from bot.bench.torch_side.stages.stopwatch import Stopwatch
    from bot.bench.torch_side.stages.unet_stages import UnetStages

    setting = _picture_setting(model, settings, options)
    trials = GPU_TRIALS if model.device.type == "cuda" and not options.is_quick else options.trials
    stopwatch = Stopwatch(model.device, trials)
    device, unet = DeviceStages(model, stopwatch), UnetStages(model, stopwatch)
    engine = EngineStages(model, stopwatch, setting.workload.requests(1, seed=1)[0])
    pictures = PictureStages(model, stopwatch, setting, unet, engine)
    return [
        Stage(name="machine", limit=40, work=device.machine),
        Stage(name="eager", limit=90, work=unet.eager),
        Stage(name="graphs", limit=60, work=unet.graphs, needs_cuda=True),
        Stage(name="attention", limit=40, work=unet.attention, needs_cuda=True),
        Stage(name="syncs", limit=40, work=engine.syncs),
        Stage(name="decoding", limit=60, work=engine.decoding),
        Stage(name="loras", limit=60, work=engine.loras),
        Stage(name="alone", limit=60, work=pictures.alone, keeps_time=True),
        Stage(name="company", limit=150, work=pictures.company, keeps_time=True),
        Stage(name="graphed_company", limit=150, work=pictures.graphed_company, needs_cuda=True, keeps_time=True),
        Stage(name="kernels", limit=40, work=unet.kernels, needs_cuda=True),
        Stage(name="fp8", limit=30, work=device.fp8, needs_cuda=True),
        Stage(name="files", limit=20, work=device.files),
        Stage(name="compiled", limit=240, work=unet.compiled, needs_cuda=True),
        Stage(name="channels_last", limit=30, work=unet.channels_last),
        Stage(name="compiled_company", limit=300, work=pictures.compiled_company, needs_cuda=True, keeps_time=True),
    ]


def _picture_setting(model: LoadedModel, settings: Settings, options: BenchOptions) -> PictureSetting:
    is_cuda, usual = model.device.type == "cuda", model.profile.num_inference_steps
    steps = options.steps or (usual if is_cuda else min(usual, CPU_STEPS))
    return PictureSetting(
        workload=replace(Workload.mixed(model.profile, steps), steps=(steps,)),
        members=options.members,
        waves=GPU_WAVES if is_cuda else CPU_WAVES,
        turns=options.trials,
        engine=replace(engine_settings(settings, model.plan), compile_cache=settings.data_dir / "compiled"),
    )


def _save_plot(record: Record, path: Path) -> bool:
    try:
        return save_plot(partial(draw_stages, lines=record.lines), path, inches=INCHES)
    except OSError as error:
        raise FolderError(f"{path} cannot be written ({error.strerror}). Give --out another folder.") from None
