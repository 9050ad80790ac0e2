"""Finds the matrix products of a UNet's linear layers, by shape, without doing any of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch

from bot.bench.torch_side.meta_model import meta_unet
from bot.inference.loading.pipelines import LoadedModel


@dataclass(frozen=True, slots=True)
class LinearShape:
    """A shape: each row of the UNet's call multiplies (`tokens`, `inputs`) by (`inputs`, `outputs`), `count` times."""

    tokens: int
    inputs: int
    outputs: int
    count: int

    @property
    def flops(self) -> int:
        """Returns the FLOPs of one row; a multiplication and an addition are two."""
        return 2 * self.tokens * self.inputs * self.outputs * self.count


def linear_shapes(model: LoadedModel) -> list[LinearShape]:
    """Returns the shapes in the profile's default size, those with the most arithmetic first."""
    size = model.profile.size(None)
    unet = meta_unet(model, width=size.width, height=size.height)
    found: Counter[tuple[int, int, int]] = Counter()

    def seen(layer: torch.nn.Linear, inputs: tuple[torch.Tensor, ...], outcome: Any) -> None:
        del outcome
        found[inputs[0].numel() // layer.in_features, layer.in_features, layer.out_features] += 1

    for layer in unet.module.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.register_forward_hook(seen)
    unet.call(1)
    shapes = [LinearShape(*shape, count) for shape, count in found.items()]
    return sorted(shapes, key=lambda shape: -shape.flops)
