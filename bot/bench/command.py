"""The arguments of `python -m bot bench`. Imports no torch, so that the command line stays quick."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bot.bench.options import CPU_STEPS, SECONDS, STAGE_MEMBERS, BenchOptions, parse_members
from bot.domain.request import MAX_STEPS, check_range
from bot.errors import InvalidRequestError
from bot.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments; those left out have BenchOptions' defaults."""
    add = parser.add_argument
    add("--model", metavar="NAME", help="a model profile (default: the setting MODEL, as the bot)")
    add(
        "--random-weights",
        nargs="?",
        const="base",
        choices=("base", "tiny"),
        metavar="SIZE",
        help="an SDXL with random weights, made on the spot without a download (base: full size, for a GPU; or tiny)",
    )
    add(
        "--steps",
        type=int,
        metavar="N",
        help=f"the usual step count; others are mixed in (default: the profile's; CPU: {CPU_STEPS})",
    )
    add(
        "--members",
        metavar="LIST",
        help="how many ask at once, one scenario each (default: 1,4,16; with --stages 1,3,4,5,8,16)",
    )
    add("--seconds", type=float, metavar="X", help=f"time for each scenario (default: {SECONDS:g})")
    add("--quick", action="store_true", help="a look, too short for figures to be quoted")
    add(
        "--batch-curve",
        action="store_true",
        help="only measure anew how long steps take by the number of pictures, and keep that for the bot's next start",
    )
    add(
        "--precision",
        action="store_true",
        help="only choose anew whether a CPU draws in bfloat16 or float32, and keep that for the bot's next start",
    )
    add(
        "--stages",
        action="store_true",
        help="in place of the scenarios: each part of the engine by itself, a line of JSON a measurement, the weightiest first",
    )
    add("--limit", type=float, metavar="SECONDS", help="with --stages: time for all of them together; the last are left out")
    add("--out", type=Path, metavar="FOLDER", help="where MODEL.json and MODEL.png go (default: bench under DATA_DIR)")


def run_stages(arguments: argparse.Namespace) -> int:
    """Run `--stages` without an event loop, on the main thread; returns the exit code. Raises as `run` does."""
    options = read_options(arguments)
    from bot.bench.stages.session import bench_stages

    bench_stages(Settings.load(need_token=False), options)
    return 0


async def run(arguments: argparse.Namespace) -> int:
    """Measure and write; returns the exit code. Raises UserError for the arguments, OperatorError for everything else."""
    options = read_options(arguments)
    settings = Settings.load(need_token=False)
    if options.curve_only:
        from bot.bench.batch_curve import measure_batch_curve

        await measure_batch_curve(settings, options)
        return 0
    if options.precision_only:
        from bot.bench.precision import choose_precision

        await choose_precision(settings, options)
        return 0
    from bot.bench.session import bench

    await bench(settings, options)
    return 0


def read_options(arguments: argparse.Namespace) -> BenchOptions:
    """Returns the options. Raises InvalidRequestError."""
    given: dict[str, Any] = {
        name: getattr(arguments, name)
        for name in ("model", "random_weights", "steps", "seconds", "limit", "out")
        if getattr(arguments, name) is not None
    }
    if arguments.members is not None:
        given["members"] = parse_members(arguments.members)
    elif arguments.stages:
        given["members"] = STAGE_MEMBERS
    options = BenchOptions(
        **given, curve_only=arguments.batch_curve, precision_only=arguments.precision, stages=arguments.stages
    )
    _check_kinds(options)
    check_range("--steps", options.steps or 1, 1, MAX_STEPS)
    check_range("--limit", options.limit or 1, 1, 24 * 3600)
    check_range("--seconds", options.seconds, 0, 24 * 3600)
    return options.quick() if arguments.quick else options


def _check_kinds(options: BenchOptions) -> None:
    """Raises InvalidRequestError unless at most one kind of measuring is asked for, and it suits the model."""
    kinds = {"--stages": options.stages, "--batch-curve": options.curve_only, "--precision": options.precision_only}
    asked = [name for name, is_asked in kinds.items() if is_asked]
    if len(asked) > 1:
        raise InvalidRequestError(f"`{asked[0]}` and `{asked[1]}` measure different things; give one of them.")
    if options.limit is not None and not options.stages:
        raise InvalidRequestError("`--limit` is the time for `--stages`; for scenarios say `--seconds`, the time for each.")
    if asked and not options.stages and options.random_weights:
        raise InvalidRequestError(f"`{asked[0]}` measures the model that the bot draws with; leave `--random-weights` out.")
