"""Writes charts as PNG files with matplotlib (the extra `plots`); without it, prints one line that says how to get it."""

# matplotlib may be missing, so its types are unknown here.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

MISSING = "No plot was drawn, since matplotlib is not installed. `.venv/bin/python -m pip install '.[plots]'` installs it."


def save_plot(draw: Callable[[Any], None], path: Path, *, inches: tuple[float, float]) -> bool:
    """Lets `draw` fill an empty matplotlib Figure and writes it to `path`. Returns False, with a line, without matplotlib.

    Raises OSError.
    """
    try:
        from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports] # of the extra `plots`
    except ImportError:
        print(MISSING)
        return False
    figure = Figure(figsize=inches, layout="constrained")
    draw(figure)
    figure.savefig(path)
    return True
