"""Plots the lines of a run: how quickly rows are processed in every way to call the UNet, and pictures by members."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bot.bench.plot import COLOURS, OTHER, frame

Line = Mapping[str, Any]
INCHES = (11.2, 3.9)
WAYS = {"eager": COLOURS["stock"], "graphs": COLOURS["batched"], "compiled": COLOURS["engine"], "channels_last": OTHER}
MEMBERS = {"company": COLOURS["stock"], "graphed_company": COLOURS["batched"], "compiled_company": COLOURS["engine"]}
MEMBER_LABELS = {"company": "eager", "graphed_company": "graphs", "compiled_company": "compiled"}


def draw_stages(figure: Any, lines: Sequence[Line]) -> None:
    """Draw two panels beside each other on a matplotlib Figure; empty where nothing was measured."""
    rows, members = figure.subplots(1, 2)
    speeds = {way: _by(lines, way, "rows", _row_speed, "device_ms") for way in WAYS}
    _panel(rows, speeds, WAYS, {way: way for way in WAYS})
    frame(rows, "Rows of the UNet a second", "rows of a call", _places(speeds))
    rates = {name: _by(lines, name, "members", _rate, "pictures_s") for name in MEMBERS}
    _panel(members, rates, MEMBERS, MEMBER_LABELS)
    frame(members, "Pictures a second", "members who ask anew when served", _places(rates))


def _row_speed(line: Line) -> float:
    return 1000 * float(line["rows"]) / float(line["device_ms"])


def _rate(line: Line) -> float:
    return float(line["pictures_s"])


def _by(lines: Sequence[Line], stage: str, key: str, value: Callable[[Line], float], needed: str) -> dict[int, float]:
    """Returns the best value at each place."""
    found: dict[int, float] = {}
    for line in lines:
        if line["stage"] == stage and line.get(key) and line.get(needed):
            found[line[key]] = max(found.get(line[key], 0.0), value(line))
    return found


def _places(values: Mapping[str, Mapping[int, float]]) -> list[str]:
    return [str(place) for place in sorted({place for series in values.values() for place in series})]


def _panel(axes: Any, values: Mapping[str, Mapping[int, float]], colours: Mapping[str, str], labels: Mapping[str, str]) -> None:
    places = sorted({place for series in values.values() for place in series})
    for name, series in values.items():
        if series:
            points = [series.get(place, math.nan) for place in places]
            axes.plot(points, marker="o", color=colours[name], label=labels[name])
