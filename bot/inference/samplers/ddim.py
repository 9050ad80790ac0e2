"""DDIM (arXiv:2010.02502), many pictures at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import DDIMScheduler  # pyright: ignore[reportPrivateImportUsage]

from bot.inference.samplers.step_arithmetic import Batch, BatchedSteps, Moved, clean_latents, is_velocity, stacked, times


def ddim_steps(scheduler: Any, steps: int) -> BatchedSteps | None:
    """Returns the last `steps` of a schedule; None for other samplers.

    A step's numbers are the shares of signal and noise in the latents before it, and those in the latents after it.
    """
    if type(scheduler) is not DDIMScheduler or (velocity := is_velocity(scheduler)) is None:
        return None
    return BatchedSteps(
        arithmetic=ddim_step,
        velocity=velocity,
        numbers=stacked(_numbers(scheduler, timestep) for timestep in scheduler.timesteps[-steps:]),
        draws=[False] * steps,
    )


def ddim_step(batch: Batch) -> Moved:
    signal, noise, next_signal, next_noise = batch.numbers
    clean = clean_latents(batch, signal, noise)
    direction = batch.prediction
    if batch.velocity:
        direction = times(batch.prediction, signal) + times(batch.latents, noise)
    return Moved(latents=times(clean, next_signal) + times(direction, next_noise), clean=clean)


def _numbers(scheduler: Any, timestep: torch.Tensor) -> Sequence[torch.Tensor]:
    """Returns the numbers as diffusers' `step` computes them, with an eta of 0."""
    following = timestep - scheduler.config.num_train_timesteps // scheduler.num_inference_steps
    signal: torch.Tensor = scheduler.alphas_cumprod[timestep]
    next_signal: torch.Tensor = scheduler.alphas_cumprod[following] if following >= 0 else scheduler.final_alpha_cumprod
    return signal**0.5, (1 - signal) ** 0.5, next_signal**0.5, (1 - next_signal) ** 0.5
