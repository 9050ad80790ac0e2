"""Moves tensors between the CPU and a GPU so that neither waits for the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.overrides import TorchFunctionMode

BEHIND = frozenset({"cuda"})  # devices that fetch from pinned memory by themselves, while the thread continues


def runs_behind(device: torch.device) -> bool:
    """Returns whether the thread runs ahead of the device, so that reading a value from it means waiting."""
    return device.type in BEHIND


class Mark(Protocol):
    """A place in a GPU's stream of work, as torch.cuda.Event."""

    def record(self) -> None: ...

    def query(self) -> bool:
        """Returns whether the GPU has reached it."""
        ...

    def synchronize(self) -> None: ...

    def elapsed_time(self, end_event: Any) -> float:
        """Returns the milliseconds of the GPU's clock until it reached a later mark; both must be timed."""
        ...


def new_mark(*, timed: bool = False) -> Mark:
    """Returns a mark that a thread sleeps at: by default it would keep a core busy until the GPU gets there."""
    return torch.cuda.Event(blocking=True, enable_timing=timed)


def marked(device: torch.device) -> Mark | None:
    """Returns a timed mark behind all that the device has been given; None if nothing runs behind the thread."""
    if device.type != "cuda":
        return None
    mark = new_mark(timed=True)
    mark.record()
    return mark


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fetched:
    """A tensor on its way from the device; `arrived` is None if it is here already."""

    values: torch.Tensor
    arrived: Mark | None

    @property
    def is_here(self) -> bool:
        return self.arrived is None or self.arrived.query()

    def wait(self) -> torch.Tensor:
        """Returns the tensor once it is here. Any thread."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return self.values


def fetched(values: torch.Tensor) -> Fetched:
    """Begin to fetch `values` from the device, without waiting for it."""
    if not runs_behind(values.device):
        return Fetched(values=values.cpu(), arrived=None)
    return received(values)


def received(values: torch.Tensor) -> Fetched:
    """Returns `values` in page-locked memory, from a device of BEHIND."""
    here = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    here.copy_(values, non_blocking=True)
    return Fetched(values=here, arrived=marked(values.device))


def sent(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Returns `values` on the device. A GPU fetches them when its stream reaches the copy: never change them afterwards.

    From memory that is not pinned, a copy waits for all that the stream has been given before (CUDA Runtime API, "API
    synchronization behavior").
    """
    if values.device == device or not runs_behind(device):
        return values.to(device)
    return pinned(values).to(device, non_blocking=True)


def taken(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Returns a copy of `values` on the device, independent of theirs: they may be mapped from a file."""
    return sent(values, device) if runs_behind(device) else values.to(device, copy=True)


class Sending(TorchFunctionMode):
    """Opens a block in which other code's `Tensor.to` sends to the device as `sent` does."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func is torch.Tensor.to and self._goes_there(args[0], [*args[1:], given.get("device")]):
            args = (sent(args[0], self._device), *args[1:])
        return func(*args, **given)

    def _goes_there(self, values: torch.Tensor, options: Sequence[Any]) -> bool:
        return runs_behind(self._device) and values.device.type == "cpu" and self._device in options


def sent_together(parts: Sequence[torch.Tensor], device: torch.device) -> list[torch.Tensor]:
    """Returns the parts, each of one dimension and all of one type, on the device: one copy for all of them."""
    pieces: tuple[torch.Tensor, ...] = torch.split(sent(torch.cat(list(parts)), device), [len(part) for part in parts])
    return list(pieces)


def pinned(values: torch.Tensor) -> torch.Tensor:
    """Returns a copy in page-locked memory. torch keeps the memory until the copies from it are done, and then reuses it."""
    return values.pin_memory()
