"""Sets which work a GPU prefers: that of streams of a higher priority, which have lower numbers."""

from __future__ import annotations

import torch

FIRST, LAST = -1, 0  # priorities of CUDA streams; a thread that asks for none has the last


def put_first(device: torch.device) -> None:
    """Give the calling thread a stream whose kernels go before those of previews. Does nothing without a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)  # the weights came on another stream
        torch.cuda.set_stream(torch.cuda.Stream(device, priority=FIRST))
