"""The operator's settings of the engine. Does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bot.domain.batch_curve import BatchCurve
from bot.domain.memory_plan import MOST_PICTURES, MemoryPlan
from bot.inference.card_memory import KEPT

KEPT_BYTES = 512 * 2**20  # where no plan of the memory says less

Precision = Literal["auto", "exact"]
GraphUse = Literal["off", "auto", "on"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """An operator's settings. `batch` is how many pictures a call of the UNet may have (None: measured once the weights are
    loaded), `curve` how long calls take (None: as measured; until then, sharing a call counts as no gain).

    `reproducible` fills every call up to the same number of rows, so that a picture does not depend on its company; nothing is
    measured then, and a call has one picture unless `batch` says otherwise. With a folder as `compile_cache` the model is
    compiled, on a GPU: a CPU would compile for longer than it draws. `plan` says how the GPU's memory is used, and so how many
    pictures a call has room for (None: as if there was enough). `watermark` adds the invisible one to every picture.

    `precision` "auto" draws in bfloat16 on a CPU where that was measured to be quicker; "exact" and `reproducible` stay in
    float32. GPUs are not affected.

    `graphs` says whether a GPU replays calls of the UNet as CUDA graphs: "auto" if that was found to give the same bits and to
    be quicker, "on" always. Compiled code has graphs of its own.
    """

    batch: int | None = None
    curve: BatchCurve | None = None
    reproducible: bool = False
    compile_cache: Path | None = None
    measurements: Path | None = None
    plan: MemoryPlan | None = None
    watermark: bool = False
    precision: Precision = "exact"
    graphs: GraphUse = "off"

    @property
    def cap(self) -> int:
        """Returns the most pictures that a call may have."""
        return MOST_PICTURES if self.plan is None else self.plan.cap

    @property
    def most_kept(self) -> int:
        """Returns how many bytes all pictures may keep between their steps before nobody else is admitted."""
        return KEPT_BYTES if self.plan is None else self.plan.forms[KEPT].size


UNMEASURED = EngineSettings()
