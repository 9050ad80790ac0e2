"""Records CUDA graphs with torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

WARM_UPS = 2  # calls, in which libraries choose kernels and allocate memory that they keep


class CudaGraphs:
    """Implements GraphBackend on one GPU."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: Any = torch.cuda.Stream(device)
        self._pool: Any = None

    def capture(self, call: Callable[[], torch.Tensor]) -> tuple[torch.cuda.CUDAGraph, torch.Tensor]:
        """Capture as torch's notes on CUDA graphs ask: warmed up on a side stream, with one pool for all.

        Other threads use the GPU at the same time, for previews say; in torch's own mode their work would break the capture.
        The stream is set around torch's context, which leaves its own as the current one if ending a capture fails.
        """
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device):
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                for _ in range(WARM_UPS):
                    call()
                with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
                    output = call()
            torch.cuda.current_stream().wait_stream(self._stream)
        self._pool = graph.pool()
        return graph, output

    def check(self) -> None:
        torch.cuda.synchronize(self._device)

    def release(self) -> None:
        self._pool = None


def graph_backend(device: torch.device) -> CudaGraphs | None:
    """Returns the device's backend for graphs; None where it has none."""
    return CudaGraphs(device) if device.type == "cuda" else None
