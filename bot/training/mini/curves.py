"""Loss logs as a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageDraw

from bot.training.checkpoint import read_log

WIDTH, HEIGHT, MARGIN = 640, 240, 44
INK, LINE, GRID = (50, 50, 60), (226, 90, 140), (225, 225, 232)


def draw_curves(logs: Mapping[str, Path]) -> Image.Image:
    """One panel a log that has at least two rows; the loss on a logarithmic axis, over steps."""
    found = {name: rows for name, path in logs.items() if len(rows := read_log(path)) > 1}
    image = Image.new("RGB", (WIDTH, max(1, len(found)) * HEIGHT), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    for i, (name, rows) in enumerate(found.items()):
        _panel(draw, i * HEIGHT, name, [(step, loss) for step, loss, _ in rows])
    return image


def _panel(draw: ImageDraw.ImageDraw, top: int, name: str, points: list[tuple[int, float]]) -> None:
    steps, losses = [step for step, _ in points], [loss for _, loss in points]
    low, high = math.log(min(losses)), math.log(max(losses))
    first, last = steps[0], steps[-1]

    def place(step: int, loss: float) -> tuple[float, float]:
        x = MARGIN + (WIDTH - 2 * MARGIN) * (step - first) / max(1, last - first)
        y = top + HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (math.log(loss) - low) / max(1e-6, high - low)
        return x, y

    for k in range(5):
        loss = math.exp(low + (high - low) * k / 4)
        draw.line([place(first, loss), place(last, loss)], fill=GRID)
        draw.text((4, place(first, loss)[1] - 6), f"{loss:.3f}", fill=INK)
    for one, two in pairwise(points):
        draw.line([place(*one), place(*two)], fill=LINE, width=2)
    draw.text((MARGIN, top + 12), f"{name}: loss over {last} steps", fill=INK)
