"""Tensors on their way between the CPU and a GPU, so that neither waits for the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.overrides import TorchFunctionMode

BEHIND = frozenset({"cuda"})  # devices that fetch from pinned memory by themselves, while the thread goes on


def runs_behind(device: torch.device) -> bool:
    """Whether the thread is ahead of the device, so that to read a value of it is to wait."""
    return device.type in BEHIND


class Mark(Protocol):
    """A place in a GPU's stream of work, as torch.cuda.Event."""

    def record(self) -> None: ...

    def query(self) -> bool:
        """Whether the GPU has come there."""
        ...

    def synchronize(self) -> None: ...

    def elapsed_time(self, end_event: Any) -> float:
        """Milliseconds of the GPU's own clock until it came to a later one, where both are timed."""
        ...


def new_mark(*, timed: bool = False) -> Mark:
    """One that a thread sleeps at: by default it would keep a core busy until the GPU comes there."""
    return torch.cuda.Event(blocking=True, enable_timing=timed)


def marked(device: torch.device) -> Mark | None:
    """A timed mark behind all that the device has been given; None where nothing runs behind the thread."""
    if device.type != "cuda":
        return None
    mark = new_mark(timed=True)
    mark.record()
    return mark


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fetched:
    """A tensor on its way from the device; None as `arrived` where it is here already."""

    values: torch.Tensor
    arrived: Mark | None

    @property
    def is_here(self) -> bool:
        return self.arrived is None or self.arrived.query()

    def wait(self) -> torch.Tensor:
        """Returns it once it is here. Any thread."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return self.values


def fetched(values: torch.Tensor) -> Fetched:
    """Begin to fetch what the device makes of `values`, without waiting for it."""
    if not runs_behind(values.device):
        return Fetched(values=values.cpu(), arrived=None)
    return received(values)


def received(values: torch.Tensor) -> Fetched:
    """From a device of BEHIND, into page-locked memory."""
    here = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    here.copy_(values, non_blocking=True)
    return Fetched(values=here, arrived=marked(values.device))


def sent(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Returns `values` on the device. A GPU fetches them when its stream comes to it: never change them afterwards.

    From memory that is not pinned a copy waits for all that the stream has been given before (CUDA Runtime API, "API
    synchronization behavior").
    """
    if values.device == device or not runs_behind(device):
        return values.to(device)
    return pinned(values).to(device, non_blocking=True)


def taken(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Returns a copy of `values` on the device, whatever becomes of theirs: they may lie in a file."""
    return sent(values, device) if runs_behind(device) else values.to(device, copy=True)


class Sending(TorchFunctionMode):
    """A block in which what others send to the device with `Tensor.to` goes there as `sent` sends it."""

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
    """A copy in page-locked memory. torch keeps the memory until the copies from it are done, and then for the next."""
    return values.pin_memory()
