"""DPM-Solver++ (arXiv:2211.01095) of order 2, many pictures at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import DPMSolverMultistepScheduler  # pyright: ignore[reportPrivateImportUsage]

from bot.inference.samplers.noise_levels import NoiseLevels
from bot.inference.samplers.step_arithmetic import Batch, BatchedSteps, Moved, clean_latents, is_velocity, stacked, times

HALF = 0.5  # the midpoint
SHORT = 15  # steps, below which the last one is of order 1


def dpm_solver_steps(scheduler: Any, steps: int) -> BatchedSteps | None:
    """Returns the last `steps` of a schedule; None for other samplers and for settings that SDXL is not drawn with.

    A step's numbers are the shares of signal and noise, the factors of the latents, of the clean ones and of their change since
    the step before, and the stretch of that change. The last two are 0 in a step of order 1.
    """
    config = scheduler.config
    if type(scheduler) is not DPMSolverMultistepScheduler or (velocity := is_velocity(scheduler)) is None:
        return None
    if config.algorithm_type != "dpmsolver++" or config.solver_type != "midpoint" or config.solver_order > 2:
        return None
    if config.variance_type is not None or config.use_flow_sigmas:
        return None
    levels = NoiseLevels(scheduler, steps)
    return BatchedSteps(
        arithmetic=dpm_solver_step,
        velocity=velocity,
        numbers=stacked(_numbers(levels, index) for index in levels.indexes),
        draws=[False] * steps,
        first_memory=torch.clone,
    )


def dpm_solver_step(batch: Batch) -> Moved:
    signal, noise, kept, aimed, turned, stretch = batch.numbers
    assert batch.memory is not None
    clean = clean_latents(batch, signal, noise)
    change = times(clean - batch.memory, stretch)
    moved = batch.latents.float() * kept - times(clean, aimed) - times(change, turned)
    return Moved(latents=moved.to(clean.dtype), clean=clean, memory=clean)


def _numbers(levels: NoiseLevels, index: int) -> Sequence[torch.Tensor]:
    """Returns the numbers as diffusers' `step` computes them."""
    aimed = levels.shares[index + 1][0] * (torch.exp(-levels.way(index)) - 1.0)
    common = (*levels.shares[index], levels.kept(index), aimed)
    if index == levels.begin or levels.config.solver_order == 1 or _ends_in_order_1(levels, index):
        return (*common, torch.zeros(()), torch.zeros(()))
    return (*common, HALF * aimed, 1.0 / -levels.ratio(index))


def _ends_in_order_1(levels: NoiseLevels, index: int) -> bool:
    config, whole = levels.config, levels.whole
    short = config.lower_order_final and whole < SHORT
    return index == whole - 1 and bool(config.euler_at_final or short or config.final_sigmas_type == "zero")
