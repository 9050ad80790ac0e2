"""Euler's samplers as one step of many pictures: each has its own sigmas and noise, and together they launch as much as one."""

# torch and diffusers are partly unannotated.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import EulerAncestralDiscreteScheduler, EulerDiscreteScheduler  # pyright: ignore[reportPrivateImportUsage]

COLUMNS = 5  # numbers of a step


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EulerSteps:
    """The numbers of each step of one picture, (steps, COLUMNS) in float32 on the CPU.

    They are sigma, how far the step goes, the noise it adds, and for v-prediction the shares of the prediction and of the
    latents. The arithmetic is that of diffusers' schedulers, in its order, so that the bits are the same.
    """

    numbers: torch.Tensor
    ancestral: bool
    velocity: bool

    @classmethod
    def of(cls, scheduler: Any) -> EulerSteps | None:
        """For a scheduler that knows its timesteps and where it begins; None for other samplers."""
        ancestral = type(scheduler) is EulerAncestralDiscreteScheduler
        kind = scheduler.config.get("prediction_type")
        if not (ancestral or type(scheduler) is EulerDiscreteScheduler) or kind not in ("epsilon", "v_prediction"):
            return None
        sigmas: torch.Tensor = scheduler.sigmas[scheduler.begin_index or 0 :].cpu()
        sigma, following = sigmas[:-1], sigmas[1:]
        noise = torch.zeros_like(sigma)
        if ancestral:
            noise = (following**2 * (sigma**2 - following**2) / sigma**2) ** 0.5
            following = (following**2 - noise**2) ** 0.5
        square = sigma**2 + 1
        numbers = torch.stack([sigma, following - sigma, noise, -sigma / square**0.5, square], dim=1)
        return cls(numbers=numbers.float(), ancestral=ancestral, velocity=kind == "v_prediction")

    @property
    def scales(self) -> torch.Tensor:
        """What the latents are divided by before the UNet sees them, a step each."""
        return self.numbers[:, -1] ** 0.5


def euler_step(
    latents: torch.Tensor, prediction: torch.Tensor, numbers: torch.Tensor, noise: torch.Tensor | None, *, velocity: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the latents after a step of each picture, in the prediction's type, and the clean ones that it aims at.

    `numbers` (COLUMNS, pictures) are of the step, on the device.
    """
    sigma, distance, added, share, square = (column(values) for values in numbers)
    sample = latents.float()
    if velocity:
        clean = (prediction * share).to(prediction.dtype) + divided(sample, square)
    else:
        clean = sample - (sigma * prediction).to(prediction.dtype)
    moved = sample + divided(sample - clean, sigma) * distance
    if noise is not None:
        moved = moved + (noise * added).to(noise.dtype)
    return moved.to(prediction.dtype), clean


def column(values: torch.Tensor) -> torch.Tensor:
    """One number for each picture of a batch."""
    return values.view(-1, 1, 1, 1)


def divided(values: torch.Tensor, divisors: torch.Tensor) -> torch.Tensor:
    """As torch divides by a single number, which diffusers has it do: on CUDA it multiplies with the reciprocal
    (BinaryDivTrueKernel.cu), and that differs in the last bit.
    """
    return values * divisors.reciprocal() if values.is_cuda else values / divisors
