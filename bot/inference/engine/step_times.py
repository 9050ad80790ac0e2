"""Keeps recent durations of calls of the UNet, so that one which takes unusually long is noticed."""

from __future__ import annotations

import statistics
from collections import defaultdict, deque

REMEMBERED = 32
SETTLED = 5  # calls of one shape, after which their median means something


class StepTimes:
    """Durations of calls by their shape."""

    def __init__(self) -> None:
        self._seconds: defaultdict[tuple[int, int], deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    def usual(self, rows: int, area: int) -> float | None:
        """Returns the median in seconds, once there were enough calls."""
        known = self._seconds.get((rows, area), ())
        return statistics.median(known) if len(known) >= SETTLED else None

    def add(self, rows: int, area: int, seconds: float) -> None:
        self._seconds[rows, area].append(seconds)
