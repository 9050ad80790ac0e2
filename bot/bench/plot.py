"""A report as a picture: four panels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from PIL import Image, ImageDraw, ImageFont

from bot.bench.figures import percentile
from bot.bench.results import Report

WIDTH, HEIGHT, TOP = 560, 330, 56  # of a panel, and of the title above all
LEFT, RIGHT, ABOVE, BELOW = 62, 18, 40, 46  # around the axes of a panel
INK, GRID, PAPER = (50, 50, 60), (225, 225, 232), (255, 255, 255)
COLOURS = {"stock": (120, 124, 140), "batched": (86, 150, 220), "engine": (226, 90, 140)}
OTHER = (40, 160, 120)
TICKS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line, or one colour of bars: a value for each place on the axis, NaN where there is none."""

    values: Sequence[float]
    colour: tuple[int, int, int]
    is_dashed: bool = False


class Panel:
    """One pair of axes with its corner at (x, y): places along the bottom, values from 0 up."""

    def __init__(self, image: Image.Image, x: int, y: int, highest: float) -> None:
        self._draw = ImageDraw.Draw(image)
        self._left, self._right = x + LEFT, x + WIDTH - RIGHT
        self._top, self._bottom = y + ABOVE, y + HEIGHT - BELOW
        self._tick = nice_tick(highest)
        self._highest = self._tick * max(1, math.ceil(highest / self._tick)) if math.isfinite(highest) else 1.0

    def frame(self, title: str, below: str, places: Sequence[str]) -> None:
        """Title, grid, and what stands along the bottom."""
        self._draw.text((self._left, self._top - 28), title, fill=INK, font=_font(14))
        value = 0.0
        while value <= self._highest * 1.001:
            height = self._height(value)
            self._draw.line([(self._left, height), (self._right, height)], fill=GRID)
            self._draw.text((self._left - 8, height), f"{value:g}", fill=INK, font=_font(11), anchor="rm")
            value = round(value + self._tick, 9)
        for index, place in enumerate(places):
            middle = self._middle(index, len(places))
            self._draw.text((middle, self._bottom + 12), place, fill=INK, font=_font(11), anchor="mm")
        self._draw.text(((self._left + self._right) / 2, self._bottom + 32), below, fill=INK, font=_font(11), anchor="mm")

    def bars(self, series: Sequence[Series]) -> None:
        """Groups of bars, one of each series at every place."""
        for number, one in enumerate(series):
            for index, value in enumerate(one.values):
                slot = (self._right - self._left) / len(one.values)
                width = 0.7 * slot / len(series)
                left = self._left + slot * index + 0.15 * slot + width * number
                if math.isfinite(value):
                    self._draw.rectangle([left + 1, self._height(value), left + width - 1, self._bottom], fill=one.colour)

    def lines(self, series: Sequence[Series]) -> None:
        """Points at every place, joined."""
        for one in series:
            points = [
                (self._middle(index, len(one.values)), self._height(value))
                for index, value in enumerate(one.values)
                if math.isfinite(value)
            ]
            for begin, end in pairwise(points):
                self._segment(begin, end, one)
            for x, y in points:
                self._draw.ellipse([x - 3, y - 3, x + 3, y + 3], fill=one.colour)

    def _segment(self, begin: tuple[float, float], end: tuple[float, float], series: Series) -> None:
        pieces = max(1, round(math.dist(begin, end) / 6)) if series.is_dashed else 1
        for piece in range(0, pieces, 2):
            near, far = piece / pieces, min(1.0, (piece + 1) / pieces)
            points = [tuple(a + share * (b - a) for a, b in zip(begin, end, strict=True)) for share in (near, far)]
            self._draw.line([(points[0][0], points[0][1]), (points[1][0], points[1][1])], fill=series.colour, width=2)

    def _height(self, value: float) -> float:
        return self._bottom - (self._bottom - self._top) * value / self._highest

    def _middle(self, index: int, places: int) -> float:
        return self._left + (self._right - self._left) * (index + 0.5) / places


def draw_plot(report: Report) -> Image.Image:
    """Throughput, latency, the step-time curve and shares of the roofline."""
    image = Image.new("RGB", (2 * WIDTH, 2 * HEIGHT + TOP), PAPER)
    _title(image, report)
    _throughput(image, report)
    _latency(image, report)
    _step_times(image, report)
    _roofline(image, report)
    return image


def nice_tick(highest: float) -> float:
    """A round distance of ticks: about TICKS of them up to `highest`."""
    if not math.isfinite(highest) or highest <= 0:
        return 1.0
    rough = highest / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * 0.999)


def _title(image: Image.Image, report: Report) -> None:
    draw, setting = ImageDraw.Draw(image), report.setting
    draw.text((20, 12), f"{setting.model} on {setting.device}, {setting.dtype}", fill=INK, font=_font(16))
    x = 20.0
    for lane, colour in COLOURS.items():
        x = caption(draw, x, lane, colour)


def caption(draw: ImageDraw.ImageDraw, x: float, text: str, colour: tuple[int, int, int]) -> float:
    """Writes what a colour means under the title; returns where the next may begin."""
    draw.rectangle([x, 38, x + 12, 50], fill=colour)
    draw.text((x + 18, 44), text, fill=INK, font=_font(12), anchor="lm")
    return x + 34 + draw.textlength(text, font=_font(12))


def _throughput(image: Image.Image, report: Report) -> None:
    rates = {lane: [one.rate(lane) for one in report.throughput] for lane in COLOURS}
    panel = Panel(image, 0, TOP, _highest(rates))
    panel.frame("Pictures a second", "members who ask anew when served", [str(one.members) for one in report.throughput])
    panel.bars(_coloured(rates))


def _latency(image: Image.Image, report: Report) -> None:
    halves, tails = (
        {lane: [percentile(one.latencies[lane], share) for one in report.latency] for lane in COLOURS} for share in (0.5, 0.95)
    )
    panel = Panel(image, WIDTH, TOP, _highest(tails))
    panel.frame(
        "Seconds to the picture: p50, dashed p95",
        "load (1 = all that stock can serve)",
        [f"{one.load:g}" for one in report.latency],
    )
    panel.lines([*_coloured(halves), *_coloured(tails, is_dashed=True)])


def _step_times(image: Image.Image, report: Report) -> None:
    rates = [one.pictures / one.seconds for one in report.step_times]
    panel = Panel(image, 0, TOP + HEIGHT, max(rates, default=math.nan))
    panel.frame("Steps a second, of all pictures together", "pictures a call", [str(one.pictures) for one in report.step_times])
    panel.lines([Series(values=rates, colour=OTHER)])


def _roofline(image: Image.Image, report: Report) -> None:
    shares = {lane: [100 * one.rate(lane) * one.flops / report.roof for one in report.throughput] for lane in COLOURS}
    panel = Panel(image, WIDTH, TOP + HEIGHT, _highest(shares))
    panel.frame("Percent of the roofline", "members who ask anew when served", [str(one.members) for one in report.throughput])
    panel.bars(_coloured(shares))


def _highest(values: Mapping[str, Sequence[float]]) -> float:
    return max((value for series in values.values() for value in series if math.isfinite(value)), default=math.nan)


def _coloured(values: Mapping[str, Sequence[float]], *, is_dashed: bool = False) -> list[Series]:
    return [Series(values=series, colour=COLOURS[lane], is_dashed=is_dashed) for lane, series in values.items()]


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
