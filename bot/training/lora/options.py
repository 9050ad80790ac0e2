"""Options of a LoRA training. Imports no torch, so that the command line stays quick."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from bot.errors import InvalidRequestError

Target = Literal["all", "attention"]
DtypeName = Literal["auto", "float32", "bfloat16", "float16"]
TARGETS: tuple[str, ...] = get_args(Target)
DTYPES: tuple[str, ...] = get_args(DtypeName)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraOptions:
    """One training. `model` is a profile's name, a diffusers folder or a .safetensors checkpoint.

    `alpha` None is `rank`; `resolution` None is the model's own, in pixels (pictures of about its square are trained on).
    `target` "all" is kohya's LoCon: attention, feed-forward layers and convolutions; "attention" is half of that.
    `caption_dropout` is the share of captions left out, which keeps guidance working. `keep_tags` first tags stay where they
    are when `shuffle_tags` moves the others. `gradient_checkpointing` None: on CUDA. `threads` None: torch's choice.
    `data_dir` holds the operator's own profiles, models and styles; `style` is the name of a style file to write there.
    """

    model: str
    pictures: Path
    out: Path
    rank: int = 16
    alpha: float | None = None
    steps: int = 1500
    batch_size: int = 1
    learning_rate: float = 1e-4
    resolution: int | None = None
    target: Target = "all"
    text_encoders: bool = False
    trigger: str = ""
    caption_dropout: float = 0.1
    shuffle_tags: bool = False
    keep_tags: int = 1
    seed: int = 0
    device: str = "auto"
    dtype: DtypeName = "auto"
    gradient_checkpointing: bool | None = None
    threads: int | None = None
    log_every: int = 20
    data_dir: Path = Path("data")
    style: str | None = None

    def __post_init__(self) -> None:
        """Raises InvalidRequestError."""
        wrong = (
            (self.out.suffix != ".safetensors", "--out must end in .safetensors"),
            (min(self.rank, self.steps, self.batch_size, self.log_every) < 1, "rank, steps and batch size start at 1"),
            (self.scale <= 0, "--alpha must be above 0"),
            (not 0 < self.learning_rate < 1, "--learning-rate must be between 0 and 1; 0.0001 is usual"),
            (not 0 <= self.caption_dropout < 1, "--caption-dropout is a share from 0 to below 1; 0.1 is usual"),
            (self.resolution is not None and not 32 <= self.resolution <= 4096, "--resolution is 32 to 4096 pixels"),
            (self.keep_tags < 0, "--keep-tags must not be negative"),
            (self.threads is not None and self.threads < 1, "--threads starts at 1"),
            (not 0 <= self.seed < 2**32, "--seed is a number from 0 to 4,294,967,295"),
        )
        if problems := [text for is_wrong, text in wrong if is_wrong]:
            raise InvalidRequestError(f"{'; '.join(problems)}.")

    @property
    def network_alpha(self) -> float:
        return float(self.rank if self.alpha is None else self.alpha)

    @property
    def title(self) -> str:
        """Returns the file's name as people read it."""
        return self.out.stem.replace("_", " ").replace("-", " ").strip().capitalize() or "LoRA"

    @property
    def scale(self) -> float:
        """Returns the factor of the product of the two matrices."""
        return self.network_alpha / max(1, self.rank)
