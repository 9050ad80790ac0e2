"""How far a running job is."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from bot.domain.downloads import Transfer
from bot.domain.safety import Rating


class Phase(StrEnum):
    """What the generator does right now."""

    FETCHING = "fetching"  # files come from the hub; the job waits for them
    LOADING = "loading"  # weights are being read; steps are not known yet
    DENOISING = "denoising"
    DECODING = "decoding"  # latents to pixels, encoding the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One report. A job's pictures are drawn side by side: `step` counts the finished steps of all of them, of `steps`.

    `decoded` is how many pictures are finished. `preview` is a small WebP of what is visible so far of one of them (longest
    side at most 512), not in every report; `rating` is what the model's classifier says of it, None where it has none.
    `refused`: an earlier preview must not be shown any longer. `transfer` is what is FETCHING.
    """

    phase: Phase
    num_images: int = 1
    step: int = 0
    steps: int = 0
    decoded: int = 0
    preview: bytes | None = field(default=None, repr=False)
    rating: Rating | None = None
    refused: bool = False
    transfer: Transfer | None = None

    @property
    def fraction(self) -> float:
        """0 to 1 over all pictures of the job."""
        if self.phase is Phase.LOADING or not self.steps:
            return 0.0
        return min(1.0, self.step / self.steps)
