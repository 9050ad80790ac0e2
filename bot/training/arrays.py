"""Converts pictures between arrays and tensors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch


def to_tensor(pixels: npt.NDArray[np.uint8], device: torch.device | None = None) -> torch.Tensor:
    """Returns (n, height, width, 3) bytes as (n, 3, height, width) in -1..1."""
    return torch.from_numpy(np.array(pixels)).to(device).permute(0, 3, 1, 2).float().div(127.5).sub(1)
