"""The lines of a run as a picture: how quickly rows are worked off in every way to call the UNet, and pictures by members."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw

from bot.bench.plot import COLOURS, HEIGHT, INK, OTHER, PAPER, TOP, WIDTH, Panel, Series, caption

Line = Mapping[str, Any]
WAYS = {"eager": COLOURS["stock"], "graphs": COLOURS["batched"], "compiled": COLOURS["engine"], "channels_last": OTHER}
MEMBERS = {"company": COLOURS["stock"], "graphed_company": COLOURS["batched"], "compiled_company": COLOURS["engine"]}


def draw_stages(lines: Sequence[Line]) -> Image.Image:
    """Two panels beside each other; empty where nothing was measured."""
    image = Image.new("RGB", (2 * WIDTH, HEIGHT + TOP), PAPER)
    _legend(image)
    speeds = {way: _by(lines, way, "rows", _row_speed, "device_ms") for way in WAYS}
    _panel(image, 0, "Rows of the UNet a second", "rows of a call", speeds, WAYS)
    rates = {name: _by(lines, name, "members", _rate, "pictures_s") for name in MEMBERS}
    _panel(image, WIDTH, "Pictures a second", "members who ask anew when served", rates, MEMBERS)
    return image


def _row_speed(line: Line) -> float:
    return 1000 * float(line["rows"]) / float(line["device_ms"])


def _rate(line: Line) -> float:
    return float(line["pictures_s"])


def _by(lines: Sequence[Line], stage: str, key: str, value: Callable[[Line], float], needed: str) -> dict[int, float]:
    """The best value at each place."""
    found: dict[int, float] = {}
    for line in lines:
        if line["stage"] == stage and line.get(key) and line.get(needed):
            found[line[key]] = max(found.get(line[key], 0.0), value(line))
    return found


def _panel(
    image: Image.Image,
    x: int,
    title: str,
    below: str,
    values: Mapping[str, Mapping[int, float]],
    colours: Mapping[str, tuple[int, int, int]],
) -> None:
    places = sorted({place for series in values.values() for place in series})
    panel = Panel(image, x, TOP, max((one for series in values.values() for one in series.values()), default=math.nan))
    panel.frame(title, below, [str(place) for place in places])
    panel.lines(
        [
            Series(values=[series.get(place, math.nan) for place in places], colour=colours[name])
            for name, series in values.items()
        ]
    )


def _legend(image: Image.Image) -> None:
    draw, x = ImageDraw.Draw(image), 20.0
    for way, colour in WAYS.items():
        x = caption(draw, x, way, colour)
    draw.text((x, 44), "(right: eager, graphs, compiled)", fill=INK, anchor="lm")
