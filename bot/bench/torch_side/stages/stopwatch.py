"""Measures how long work takes the device, and the thread that asks for it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from bot.inference.measuring.machine import synchronise, timed

GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """Medians in milliseconds: of the device, and of the host until the call returned. If the host is as slow as the device,
    the device waits for launches.
    """

    device_ms: float
    host_ms: float

    def to_dict(self) -> dict[str, float]:
        return {"device_ms": round(self.device_ms, 3), "host_ms": round(self.host_ms, 3)}


class Stopwatch:
    """Measures on one device, with a number of trials after one that warms up. Belongs to the thread that draws."""

    def __init__(self, device: torch.device, trials: int) -> None:
        self.device = device
        self.is_cuda = device.type == "cuda"
        self._trials = trials

    def synchronise(self) -> None:
        """Wait until the device has finished everything that it was given."""
        synchronise(self.device)

    def took(self, work: Callable[[], object]) -> Took:
        """Returns the medians of one call of `work`."""
        work()
        self.synchronise()
        device_ms, host_ms = zip(*(self._once(work) for _ in range(self._trials)), strict=True)
        return Took(device_ms=statistics.median(device_ms), host_ms=statistics.median(host_ms))

    def seconds(self, work: Callable[[], object]) -> float:
        """Returns the seconds from the call until the device is done, once and without a warm-up."""
        return timed(self.device, work)

    def peak_gib(self) -> float | None:
        """Returns the highest memory of tensors since the last call of this; None if torch does not know."""
        if not self.is_cuda:
            return None
        peak = torch.cuda.max_memory_allocated(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        return round(peak / GIB, 2)

    def _once(self, work: Callable[[], object]) -> tuple[float, float]:
        if not self.is_cuda:
            began = time.perf_counter()
            work()
            host = 1000 * (time.perf_counter() - began)
            self.synchronise()
            return 1000 * (time.perf_counter() - began), host
        first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        first.record()
        began = time.perf_counter()
        work()
        host = 1000 * (time.perf_counter() - began)
        last.record()
        last.synchronize()
        return float(first.elapsed_time(last)), host
