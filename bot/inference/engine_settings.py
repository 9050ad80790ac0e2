"""What an operator may say about the engine. Does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bot.domain.batch_curve import BatchCurve


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """`batch` is how many pictures a call of the UNet may hold (None: measured when the weights are there), and `curve`
    how long calls take (None: as measured; before that, sharing a call is taken to gain nothing).

    `reproducible` fills every call up to the same number of rows, so that a picture does not depend on its company; nothing is
    measured then, and a call holds one picture where `batch` says nothing. With a folder as `compile_cache` the model is
    compiled, on a GPU: a CPU would compile for longer than it draws.
    """

    batch: int | None = None
    curve: BatchCurve | None = None
    reproducible: bool = False
    compile_cache: Path | None = None
    measurements: Path | None = None


UNMEASURED = EngineSettings()
