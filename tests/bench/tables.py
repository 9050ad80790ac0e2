"""What the measurements print: a JSON line each, a table at the end, and the order statistics in both."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Iterable, Sequence
from typing import Any


def say(text: str = "") -> None:
    print(text, flush=True)


def record(**facts: Any) -> None:
    """One measurement as a JSON line; what is infinite or undefined is null there."""
    say(json.dumps({name: _plain(value) for name, value in facts.items()}))


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    lines = [tuple(heading), *map(tuple, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    say()
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed; NaN of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def median(values: Iterable[float]) -> float:
    """NaN of nothing."""
    found = list(values)
    return statistics.median(found) if found else math.nan


def seconds_since(start: float) -> float:
    return time.monotonic() - start


def _plain(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return round(value, 4) if math.isfinite(value) else None
