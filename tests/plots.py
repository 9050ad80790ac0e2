"""What tests of plots ask."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

HAS_PLOTS = find_spec("matplotlib") is not None
needs_plots = pytest.mark.skipif(not HAS_PLOTS, reason="needs matplotlib, which comes with the extras `plots` and `dev`")


def pixels_of(colour: str, path: Path) -> int:
    """Returns how many pixels of a picture have the colour `#rrggbb`."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    return int((pixels == list(bytes.fromhex(colour[1:]))).all(axis=1).sum())
