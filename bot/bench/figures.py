"""Numbers out of many measurements."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all do not exceed (nearest rank). NaN where there are none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: Sequence[float]) -> float:
    """NaN where there are none."""
    return statistics.median(values) if values else math.nan


def median_ratio(values: Sequence[float], bases: Sequence[float]) -> float:
    """The median over rounds of one round's value to the same round's base, so that a busy round says nothing of either."""
    return median([value / base for value, base in zip(values, bases, strict=True)])
