"""Watches a lane while it serves: the event loop's lag, and memory."""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

from bot.bench.results import Strain
from bot.health import measure_lag

STATM = Path("/proc/self/statm")  # sizes of this process in pages, on Linux


class DeviceMemory(Protocol):
    """A device that remembers the most bytes in use."""

    def reset_peak_memory(self) -> None: ...

    def peak_memory(self) -> int | None: ...


class Watch:
    """Gathers the costs of one lane, over all its runs."""

    def __init__(self, device: DeviceMemory) -> None:
        self._device = device
        self._lags: list[float] = []
        self._resident = 0
        self._device_bytes: int | None = None

    @asynccontextmanager
    async def watching(self) -> AsyncGenerator[None]:
        """Watch while the block runs."""
        self._device.reset_peak_memory()
        probe = asyncio.create_task(measure_lag(self._note), name="bench-lag")
        try:
            yield
        finally:
            probe.cancel()
            with suppress(asyncio.CancelledError):
                await probe
            self._resident = max(self._resident, resident_bytes())
            peak = self._device.peak_memory()
            if peak is not None:
                self._device_bytes = max(peak, self._device_bytes or 0)

    def strain(self) -> Strain:
        return Strain(lags=tuple(self._lags), resident=self._resident, device=self._device_bytes)

    def _note(self, lag: float) -> None:
        self._lags.append(lag)
        self._resident = max(self._resident, resident_bytes())


def resident_bytes() -> int:
    """Returns this process's memory now or, where the system does not tell, its highest."""
    if STATM.exists():
        return int(STATM.read_text().split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kibibytes but on macOS
