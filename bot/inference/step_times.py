"""How long a call of the UNet takes: how many pictures a call should hold, and which call takes unusually long."""

from __future__ import annotations

import statistics
from collections import defaultdict, deque
from collections.abc import Callable

SIZES = (1, 2, 4, 8, 16)  # pictures a call
WORTH = 1.05  # twice the pictures in a call must raise pictures a second by this much: below, members only wait for one another
BUDGET_SECONDS = 0.6  # for the calls that count at the start, three times that in all; the first picture waits for it
REMEMBERED = 32
SETTLED = 5  # calls of one shape, after which their median means something


def best_batch(seconds: Callable[[int], float | None], *, most: int = SIZES[-1], budget: float = BUDGET_SECONDS) -> int:
    """How many pictures a call should hold: `seconds` measures a call of n (None: it does not fit into memory).

    Goes on doubling while that pays, up to `most`, and while the next size can be expected to fit into the budget: a machine
    whose single step takes seconds gains nothing by sharing steps.
    """
    best, spent, rate = 1, 0.0, 0.0
    for size in SIZES:
        if size > most or (rate and spent + size / rate > budget):
            break
        took = seconds(size)
        if took is None or size / took < rate * WORTH:
            break
        best, rate, spent = size, size / took, spent + took
    return best


class StepTimes:
    """Durations of calls by their shape."""

    def __init__(self) -> None:
        self._seconds: defaultdict[tuple[int, int], deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    def usual(self, rows: int, area: int) -> float | None:
        """The median in seconds, once there were enough."""
        known = self._seconds.get((rows, area), ())
        return statistics.median(known) if len(known) >= SETTLED else None

    def add(self, rows: int, area: int, seconds: float) -> None:
        self._seconds[rows, area].append(seconds)
