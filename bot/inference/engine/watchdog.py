"""Detects work of the drawing thread that will probably never end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

HANGS, HANG_SECONDS = 100.0, 120.0  # a call counts as hung after max(120 s, 100 x its median)
FIRST_CALLS_SECONDS = 1800.0  # the same while nothing is usual yet: kernels may be compiled


class Watchdog:
    """Watches the drawing thread, which writes it and cannot be interrupted; any thread may ask."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun: tuple[float, float | None] | None = None  # when it began, and its usual seconds

    @contextmanager
    def over(self, usual: float | None) -> Generator[None]:
        """Watch the work in the block; `usual` is how many seconds it takes, if known."""
        self._begun = self._clock(), usual
        try:
            yield
        finally:
            self._begun = None

    def hang(self) -> str | None:
        """Returns a sentence about work that does not end, else None."""
        begun = self._begun
        if begun is None:
            return None
        began, usual = begun
        seconds = self._clock() - began
        if seconds < (FIRST_CALLS_SECONDS if usual is None else max(HANG_SECONDS, HANGS * usual)):
            return None
        return f"a step has not ended after {seconds:.0f} s"
