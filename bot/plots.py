"""Charts as PNG files, by matplotlib (the extra `plots`). Without it there is none, and one line that says how to get it."""

# matplotlib may be missing, so its types are unknown here.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

MISSING = "No plot was drawn, since matplotlib is not installed. `.venv/bin/python -m pip install '.[plots]'` installs it."


def save_plot(draw: Callable[[Any], None], path: Path, *, inches: tuple[float, float]) -> bool:
    """Have `draw` fill an empty matplotlib Figure and write it to `path`. Returns False, having said so, without matplotlib.

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
