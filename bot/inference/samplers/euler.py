"""Euler's samplers, with and without noise in every step, many pictures at once."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import EulerAncestralDiscreteScheduler, EulerDiscreteScheduler  # pyright: ignore[reportPrivateImportUsage]

from bot.inference.samplers.step_arithmetic import Batch, BatchedSteps, Moved, divided, is_velocity, times


def euler_steps(scheduler: Any, steps: int) -> BatchedSteps | None:
    """Returns the last `steps` of a schedule; None for other samplers.

    A step's numbers are sigma, its change, the noise that the step adds, and for v-prediction the shares of the prediction and
    of the latents.
    """
    ancestral = type(scheduler) is EulerAncestralDiscreteScheduler
    if not (ancestral or type(scheduler) is EulerDiscreteScheduler) or (velocity := is_velocity(scheduler)) is None:
        return None
    sigmas: torch.Tensor = scheduler.sigmas[-steps - 1 :].cpu()
    sigma, following = sigmas[:-1], sigmas[1:]
    noise = torch.zeros_like(sigma)
    if ancestral:
        noise = (following**2 * (sigma**2 - following**2) / sigma**2) ** 0.5
        following = (following**2 - noise**2) ** 0.5
    square = sigma**2 + 1
    numbers = torch.stack([sigma, following - sigma, noise, -sigma / square**0.5, square], dim=1).float()
    return BatchedSteps(
        arithmetic=euler_step,
        velocity=velocity,
        numbers=numbers,
        draws=[ancestral] * steps,
        scales=numbers[:, -1] ** 0.5,
    )


def euler_step(batch: Batch) -> Moved:
    """Returns the outcome of a step, with the latents in the prediction's type."""
    sigma, distance, added, share, square = batch.numbers
    prediction, sample = batch.prediction, batch.latents.float()
    clean = times(prediction, share) + divided(sample, square) if batch.velocity else sample - times(prediction, sigma)
    moved = sample + divided(sample - clean, sigma) * distance
    if batch.noise is not None:
        moved = moved + times(batch.noise, added)
    return Moved(latents=moved.to(prediction.dtype), clean=clean)
