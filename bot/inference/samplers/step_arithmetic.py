"""Shared arithmetic of the samplers that take one step of many pictures at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """A step of the pictures of one sampler, a row each.

    `numbers` are the step's, one column of all pictures after the other. `noise` is None if no picture draws any, and zero for
    those that draw none. `memory` is what earlier steps have left, a row each and in the latents' layout, since a UNet's
    kernels depend on the layout of their input.
    """

    latents: torch.Tensor
    prediction: torch.Tensor
    numbers: Sequence[torch.Tensor]
    velocity: bool = False
    noise: torch.Tensor | None = None
    memory: torch.Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moved:
    """The latents after a step, the clean ones that it aims at, and what the next step must know besides."""

    latents: torch.Tensor
    clean: torch.Tensor
    memory: torch.Tensor | None = None

    def rows(self) -> list[Moved]:
        """Returns each picture's own."""
        pictures = len(self.latents)
        memories = [None] * pictures if self.memory is None else self.memory.split(1)
        return [
            Moved(latents=latents, clean=clean, memory=memory)
            for latents, clean, memory in zip(self.latents.split(1), self.clean.split(1), memories, strict=True)
        ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BatchedSteps:
    """All steps of one picture, for the arithmetic that it shares with the others of its kind.

    `numbers` (steps, columns) are float32 on the CPU, `draws` says for each step whether it adds noise, `scales` what the
    latents are divided by before the UNet sees them. The arithmetic is that of diffusers' schedulers, in its order, so that
    the bits are the same.
    """

    arithmetic: Callable[[Batch], Moved]
    velocity: bool
    numbers: torch.Tensor
    draws: Sequence[bool]
    scales: torch.Tensor | None = None
    first_memory: Callable[[torch.Tensor], torch.Tensor] | None = None

    @property
    def kind(self) -> tuple[Callable[[Batch], Moved], bool]:
        """Returns a key; pictures share their steps if it is equal."""
        return self.arithmetic, self.velocity


def is_velocity(scheduler: Any) -> bool | None:
    """Returns whether a scheduler's model predicts v; None if it predicts neither v nor noise, or is clipped."""
    config: Any = scheduler.config
    if config.prediction_type not in ("epsilon", "v_prediction"):
        return None
    if config.get("thresholding") or config.get("clip_sample"):
        return None
    return config.prediction_type == "v_prediction"


def stacked(rows: Iterable[Sequence[torch.Tensor]]) -> torch.Tensor:
    """Returns the numbers of steps, computed one by one: torch's functions may differ in the last bit over many at once."""
    return torch.stack([torch.stack(list(row)) for row in rows]).float()


def column(values: torch.Tensor) -> torch.Tensor:
    """Returns the values as a column, one number for each picture of a batch."""
    return values.view(-1, 1, 1, 1)


def times(values: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Returns torch's product with a single number: in the type of `values`, to which only the product is rounded."""
    return (values * factors).to(values.dtype)


def divided(values: torch.Tensor, divisors: torch.Tensor) -> torch.Tensor:
    """Returns the quotient as torch gives it for a single number, as diffusers does: CUDA multiplies with the reciprocal
    (BinaryDivTrueKernel.cu), and that differs in the last bit.
    """
    return values * divisors.reciprocal() if values.is_cuda else values / divisors


def clean_latents(batch: Batch, signal: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Returns the model's estimate of the picture without noise; `signal` and `noise` are their shares in the latents."""
    if batch.velocity:
        return times(batch.latents, signal) - times(batch.prediction, noise)
    shown = batch.latents - times(batch.prediction, noise)
    return divided(shown, signal).to(shown.dtype)
