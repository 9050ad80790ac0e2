"""Tensors on their way between the CPU and a GPU, so that neither waits for the other."""

# torch is partly unannotated.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Sequence

import torch

BEHIND = frozenset({"cuda"})  # devices that fetch from pinned memory by themselves, while the thread goes on


def sent(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Returns `values` on the device. A GPU fetches them when its stream comes to it: never change them afterwards.

    From memory that is not pinned a copy waits for all that the stream has been given before (CUDA Runtime API, "API
    synchronization behavior").
    """
    if values.device == device or device.type not in BEHIND:
        return values.to(device)
    return pinned(values).to(device, non_blocking=True)


def sent_together(parts: Sequence[torch.Tensor], device: torch.device) -> list[torch.Tensor]:
    """Returns the parts, each of one dimension and all of one type, on the device: one copy for all of them."""
    pieces: tuple[torch.Tensor, ...] = torch.split(sent(torch.cat(list(parts)), device), [len(part) for part in parts])
    return list(pieces)


def pinned(values: torch.Tensor) -> torch.Tensor:
    """A copy in page-locked memory. torch keeps the memory until the copies from it are done, and then for the next."""
    return values.pin_memory()
