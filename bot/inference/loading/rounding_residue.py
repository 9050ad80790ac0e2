"""Keeps what weights lose when they are rounded to bfloat16 beside them.

A LoRA changes many weights by less than half of a bfloat16's last bit. Added to rounded weights, such a change is lost; added
to the original weight and rounded then, it is right on average over the weights.
"""

from __future__ import annotations

from typing import Any

import torch


def keep_rounded_off(layer: Any) -> None:
    """Call this before the layer's float32 weights are rounded. It takes as much memory as the rounded weights; both together
    take what float32 took.
    """
    weight: torch.Tensor = layer.weight.detach()
    layer.rounded_off = (weight - weight.to(torch.bfloat16).float()).to(torch.bfloat16)


def unrounded(layer: Any, pristine: torch.Tensor) -> torch.Tensor:
    """Returns the layer's `pristine` weights in float32 as they were before rounding; a new tensor."""
    weights = pristine.to(torch.float32, copy=True)
    rounded_off: torch.Tensor | None = getattr(layer, "rounded_off", None)
    return weights if rounded_off is None else weights.add_(rounded_off)
