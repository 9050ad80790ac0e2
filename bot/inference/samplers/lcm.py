"""The sampler of latent consistency models (arXiv:2310.04378), many pictures at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import LCMScheduler  # pyright: ignore[reportPrivateImportUsage]

from bot.inference.samplers.step_arithmetic import Batch, BatchedSteps, Moved, clean_latents, is_velocity, stacked, times


def lcm_steps(scheduler: Any, steps: int) -> BatchedSteps | None:
    """Returns the last `steps` of a schedule; None for other samplers.

    A step's numbers are the shares of signal and noise in the latents before it, those of the clean and the noisy latents in
    the model's estimate, and those of that and of new noise in the latents after it; the last step adds none.
    """
    if type(scheduler) is not LCMScheduler or (velocity := is_velocity(scheduler)) is None:
        return None
    whole = len(scheduler.timesteps)
    return BatchedSteps(
        arithmetic=lcm_step,
        velocity=velocity,
        numbers=stacked(_numbers(scheduler, index) for index in range(whole - steps, whole)),
        draws=[index < whole - 1 for index in range(whole - steps, whole)],
    )


def lcm_step(batch: Batch) -> Moved:
    signal, noise, shown, skipped, next_signal, next_noise = batch.numbers
    clean = times(clean_latents(batch, signal, noise), shown) + times(batch.latents, skipped)
    if batch.noise is None:
        return Moved(latents=clean, clean=clean)
    return Moved(latents=times(clean, next_signal) + times(batch.noise, next_noise), clean=clean)


def _numbers(scheduler: Any, index: int) -> Sequence[torch.Tensor]:
    """Returns the numbers as diffusers' `step` computes them."""
    timestep = scheduler.timesteps[index]
    signal: torch.Tensor = scheduler.alphas_cumprod[timestep]
    skipped, shown = scheduler.get_scalings_for_boundary_condition_discrete(timestep)
    common = signal.sqrt(), (1 - signal).sqrt(), shown, skipped
    if index == len(scheduler.timesteps) - 1:
        return (*common, torch.ones(()), torch.zeros(()))
    following: torch.Tensor = scheduler.alphas_cumprod[scheduler.timesteps[index + 1]]
    return (*common, following.sqrt(), (1 - following).sqrt())
