"""Measures a batch curve, one call at a time, so that other load on the machine does not distort it."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from bot.domain.batch_curve import BatchCurve

SIZES = (1, 2, 4, 8, 16)  # pictures a call
ROUNDS = 7  # in each every size has its turn
LONGEST_CALL = 1.5  # seconds; larger calls are not tried, since new requests wait for the call under way


class CurveMeasurement:
    """Times calls of all sizes by turns; each call of a larger size lies between two of one picture and is compared with them,
    so that other load on the machine slows all three. The median of the ratios counts, and for one picture the lower quartile:
    other load only ever makes it slower.

    `seconds(n)` times one call of n pictures and returns None if memory does not suffice. `step` times one; any work between
    two steps of a comparison must be told with `interrupt`. Raises MemoryError if one picture is too many.
    """

    def __init__(self, seconds: Callable[[int], float | None], *, most: int = SIZES[-1], rounds: int = ROUNDS) -> None:
        self._seconds = seconds
        self._untried = [size for size in SIZES[1:] if size <= most]
        self._rounds = rounds
        self._lone: list[float] = []
        self._ratios: dict[int, list[float]] = {}
        self._plan: list[int] | None = None  # sizes left to compare, once it is known which
        self._comparison: list[float] = []
        self._warm = False
        self._expected = 0.0  # of the next untried size, in seconds

    @property
    def done(self) -> bool:
        return self._plan is not None and not self._plan

    def interrupt(self) -> None:
        """Restart the comparison under way, as other work was done since the last step."""
        self._comparison = []

    def step(self) -> None:
        """Time one call at most."""
        if not self._warm:
            self._warm = True
            self._timed_lone()
        elif not self._lone:
            self._expected = 2 * self._keep_lone()
        elif self._plan is None:
            self._try_next()
        elif self._plan:
            self._compare(self._plan[0])

    def curve(self) -> BatchCurve:
        """Returns the curve measured so far (at least one call of one picture, else ValueError)."""
        if not self._lone:
            raise ValueError("nothing was measured")
        lone = statistics.quantiles(self._lone, n=4)[0] if len(self._lone) > 1 else self._lone[0]
        points = [(1, lone)]
        for size, ratios in self._ratios.items():
            if ratios:
                points.append((size, max(points[-1][1], lone * statistics.median(ratios))))
        return BatchCurve(tuple(points))

    def _try_next(self) -> None:
        """Time a size's first call, which chooses kernels, is not counted, and decides if the next is tried."""
        size = self._untried[0] if self._untried else None
        took = None if size is None or self._expected > LONGEST_CALL else self._seconds(size)
        if size is None or took is None:
            self._plan = list(self._ratios) * self._rounds or [1] * (self._rounds if self._lone[0] <= LONGEST_CALL else 0)
            return
        self._ratios[size] = []
        self._untried = self._untried[1:]
        self._expected = 2 * took

    def _compare(self, size: int) -> None:
        plan = self._plan or []
        if size == 1:
            self._keep_lone()
            self._plan = plan[1:]
            return
        took = self._seconds(size) if len(self._comparison) == 1 else self._timed_lone()
        if took is None:
            self._leave_out(size)
            return
        self._comparison.append(took)
        if len(self._comparison) == 3:
            before, between, after = self._comparison
            self._lone += [before, after]
            self._ratios[size].append(2 * between / (before + after))
            self._comparison, self._plan = [], plan[1:]

    def _leave_out(self, size: int) -> None:
        """Drop a size that once fitted into memory but no longer does."""
        self._comparison = []
        self._ratios = {smaller: ratios for smaller, ratios in self._ratios.items() if smaller < size}
        self._plan = [smaller for smaller in self._plan or () if smaller < size]

    def _keep_lone(self) -> float:
        self._lone.append(self._timed_lone())
        return self._lone[-1]

    def _timed_lone(self) -> float:
        took = self._seconds(1)
        if took is None:
            raise MemoryError("a call of one picture does not fit into memory")
        return took
