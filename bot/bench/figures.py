"""Summarises many measurements as one number."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """Returns the smallest value that at least `share` (0 to 1) of all do not exceed (nearest rank). NaN for no values."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: Sequence[float]) -> float:
    """Returns the median; NaN for no values."""
    return statistics.median(values) if values else math.nan


def median_ratio(values: Sequence[float], bases: Sequence[float]) -> float:
    """Returns the median of per-round ratios value/base; pairing by round cancels load that affects a whole round."""
    return median([value / base for value, base in zip(values, bases, strict=True)])
