"""Plots loss logs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bot.plots import save_plot
from bot.training.checkpoint import read_log

Points = list[tuple[int, float]]
PANEL_INCHES = (8.0, 3.0)
COLOUR = "#e25a8c"


def save_curves(logs: Mapping[str, Path], path: Path) -> bool:
    """Write one panel for each log that has at least two rows. Returns whether a plot was written, as `save_plot` does."""
    found = {name: [(step, loss) for step, loss, _ in rows] for name, log in logs.items() if len(rows := read_log(log)) > 1}
    width, height = PANEL_INCHES
    return save_plot(partial(draw_curves, found=found), path, inches=(width, height * max(1, len(found))))


def draw_curves(figure: Any, found: Mapping[str, Points]) -> None:
    """Draw the loss on a logarithmic axis, over steps, on a matplotlib Figure."""
    if not found:
        return
    panels = figure.subplots(len(found), 1, squeeze=False).flat
    for axes, (name, points) in zip(panels, found.items(), strict=True):
        axes.plot([step for step, _ in points], [loss for _, loss in points], color=COLOUR)
        axes.set_yscale("log")
        axes.set_title(f"{name}: loss over {points[-1][0]} steps")
        axes.set_xlabel("steps")
        axes.grid(alpha=0.4, which="both")
