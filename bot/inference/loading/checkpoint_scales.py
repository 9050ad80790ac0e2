"""Rescales weights that a single file stores in fp8 with a scale beside each. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bot.inference.formats.checkpoints import Scale
from bot.inference.formats.weights import WeightsError


@torch.no_grad()
def apply_scales(pipeline: Any, file: Path, scales: Sequence[Scale]) -> None:
    """Multiply each weight of a pipeline that diffusers has just read from `file` without its scales. Every number of fp8 is
    exact in float16, so that each weight is rounded once. Raises WeightsError.
    """
    from safetensors import safe_open

    if not scales:
        return
    opened: Any = safe_open(file, framework="pt")
    with opened as tensors:
        for scale in scales:
            component, path = scale.place
            weight = _weight(getattr(pipeline, component), path)
            factor = tensors.get_tensor(scale.key).float()
            if not bool(torch.isfinite(factor).all()):
                raise WeightsError(f"holds what is no number (NaN or infinite) in {scale.key}; download it again")
            rows = factor.reshape(-1, *(1,) * (weight.ndim - 1))
            weight.copy_(weight.float() * rows)


def _weight(module: Any, path: str) -> torch.Tensor:
    """Returns the layer's weight; transformers 5.6 keeps one text encoder's layers below `text_model`, but not the other's."""
    return getattr(module, "text_model", module).get_submodule(path).weight
