"""Reads a LoRA's matrices from its file unchanged, each with the scale of its own layer. Imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from bot.inference.formats.lora_keys import LoraFormatError, Part
from bot.inference.formats.loras import LayerPart, LoraPlan
from bot.inference.formats.weights import WeightsError
from bot.inference.loras.merging import Factor
from bot.inference.transfers import taken


def read_factors(path: Path, plan: LoraPlan, device: torch.device) -> tuple[Factor, ...]:
    """Read what `plan` names onto `device`, in the file's own types. Raises LoraFormatError, WeightsError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return tuple(_factor(file, part, device) for part in plan.parts)
    except SafetensorError as error:
        raise WeightsError(f"is damaged or was cut off ({error}); download it again") from None
    except OSError as error:
        raise WeightsError(f"cannot be read ({error.strerror or type(error).__name__})") from None


def _factor(file: Any, part: LayerPart, device: torch.device) -> Factor:
    tensors = {kind: _finite(file.get_tensor(key), key) for kind, key in part.tensors.keys.items()}
    alpha, scalar = (tensors[kind].float().item() if kind in tensors else None for kind in (Part.ALPHA, Part.SCALAR))
    scale = part.scale if alpha is None else alpha / part.rank
    return Factor(
        place=part.place,
        down=taken(tensors[Part.DOWN], device),  # safetensors returns views of the file itself
        up=taken(tensors[Part.UP], device),
        scaling=scale if scalar is None else scale * scalar,
    )


def _finite(tensor: torch.Tensor, key: str) -> torch.Tensor:
    if not bool(torch.isfinite(tensor.float()).all()):
        raise LoraFormatError(f"holds what is no number (NaN or infinite) in {key}: its training failed. Use another file")
    return tensor
