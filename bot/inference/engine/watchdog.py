"""Whether what the drawing thread does right now will ever end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

HANGS, HANG_SECONDS = 100.0, 120.0  # what takes so many times its usual, and so many seconds at least, never ends
FIRST_CALLS_SECONDS = 1800.0  # the same while nothing is usual yet: kernels may be compiled


class Watchdog:
    """Written by the drawing thread, which nobody can interrupt, and asked from any thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun: tuple[float, float | None] | None = None  # when it began, and its usual seconds

    @contextmanager
    def over(self, usual: float | None) -> Generator[None]:
        """Watch what is done meanwhile; `usual` is how many seconds it takes, where that is known."""
        self._begun = self._clock(), usual
        try:
            yield
        finally:
            self._begun = None

    def hang(self) -> str | None:
        """What to say of something that does not end, else None."""
        begun = self._begun
        if begun is None:
            return None
        began, usual = begun
        seconds = self._clock() - began
        if seconds < (FIRST_CALLS_SECONDS if usual is None else max(HANG_SECONDS, HANGS * usual)):
            return None
        return f"a step has not ended after {seconds:.0f} s"
