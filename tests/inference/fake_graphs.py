"""CUDA graphs on a CPU: what was recorded is done again on the same memory, so what a graph would not see is not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass(kw_only=True, eq=False, repr=False)
class FakeGraph:
    """Knows the call, which knows nothing but its static inputs, and where the output lies."""

    call: Callable[[], torch.Tensor]
    output: torch.Tensor
    backend: FakeGraphs
    addresses: tuple[int, ...]
    released: bool = False
    replays: int = 0

    def replay(self) -> None:
        """A graph that was given back, or whose weights lie elsewhere now, would read what others have written there."""
        assert not self.released
        assert addresses(self.backend.unet) == self.addresses
        if self.backend.full is not None:
            raise self.backend.full
        self.replays += 1
        with torch.no_grad():
            self.output.copy_(self.call() + self.backend.changed)


@dataclass(kw_only=True, eq=False, repr=False)
class FakeGraphs:
    """Implements GraphBackend. `faults` are raised by the captures to come, `lost` by `check`; `changed` is added to outputs,
    and `full` raised by replays.
    """

    unet: Any = None
    faults: list[Exception] = field(default_factory=list)
    lost: Exception | None = None
    changed: float = 0.0
    full: Exception | None = None
    graphs: list[FakeGraph] = field(default_factory=list)

    @property
    def rows(self) -> list[int]:
        """Of each capture."""
        return [graph.output.shape[0] for graph in self.graphs]

    @property
    def replays(self) -> int:
        return sum(graph.replays for graph in self.graphs)

    def capture(self, call: Callable[[], torch.Tensor]) -> tuple[FakeGraph, torch.Tensor]:
        if self.faults:
            raise self.faults.pop(0)
        output = call().clone()
        graph = FakeGraph(call=call, output=output, backend=self, addresses=addresses(self.unet))
        self.graphs.append(graph)
        return graph, output

    def check(self) -> None:
        if self.lost is not None:
            raise self.lost

    def release(self) -> None:
        """Their memory is somebody else's now."""
        for graph in self.graphs:
            graph.released = True
            graph.output.fill_(torch.nan)


def addresses(unet: Any) -> tuple[int, ...]:
    return () if unet is None else tuple(weights.data_ptr() for weights in unet.parameters())
