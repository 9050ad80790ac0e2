"""The operator's options for a bench."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

from bot.errors import InvalidRequestError

RandomSize = Literal["base", "tiny"]
SECONDS = 35.0  # a scenario: the shipped model takes under five minutes in all on two cores
QUICK_SECONDS = 6.0
MEMBERS = (1, 4, 16)
STAGE_MEMBERS = (4, 8, 16, 3, 5, 1)  # 3 and 5 would be filled up with buckets of 2, 4, 8 pictures
LOADS = (0.5, 0.8, 0.95)  # shares of the stock pipeline's capacity
SIZES = (1, 2, 4, 8, 16)  # pictures a call
CPU_STEPS, QUICK_STEPS = 8, 4
STATIC_BATCH = 8  # pictures; MLPerf's server setting on an H200, where 32 bring 4 % more (offline setting)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """A bench's options. `seconds` are for a scenario, all lanes and rounds, unless one round with all members takes longer.

    `model` None is the bot's own choice; `random_weights` draws on an SDXL of that size with random weights instead. `steps` is
    the usual step count (None: the profile's, on a CPU CPU_STEPS at most). `out` is the folder of JSON and plot (None: `bench`
    under DATA_DIR). `curve_only` measures only how long calls take, as the bot does in a pause, and keeps it; `precision_only`
    only whether bfloat16 pays, as the bot does once.
    """

    model: str | None = None
    random_weights: RandomSize | None = None
    steps: int | None = None
    members: tuple[int, ...] = MEMBERS
    seconds: float = SECONDS
    loads: tuple[float, ...] = LOADS
    sizes: tuple[int, ...] = SIZES
    static_batch: int = STATIC_BATCH
    most_rounds: int = 5
    least_arrivals: int = 8
    cancels: int = 5
    trials: int = 3
    is_quick: bool = False
    curve_only: bool = False
    stages: bool = False
    limit: float | None = None
    precision_only: bool = False
    out: Path | None = None

    def quick(self) -> Self:
        """Returns options for a run of well under a minute on the shipped model, too short for figures to be quoted."""
        return replace(
            self,
            steps=self.steps or QUICK_STEPS,
            members=self.members[:2],
            seconds=min(self.seconds, QUICK_SECONDS),
            loads=self.loads[1:2],
            sizes=self.sizes[:3],
            static_batch=4,
            most_rounds=1,
            least_arrivals=4,
            cancels=1,
            trials=1,
            is_quick=True,
        )


def parse_members(text: str) -> tuple[int, ...]:
    """Returns `1,4,16` as numbers from 1 to 64, in order. Raises InvalidRequestError."""
    try:
        members = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        members = ()
    if not members or members[0] < 1 or members[-1] > 64:
        raise InvalidRequestError("`--members` must be numbers from 1 to 64 with commas between, such as 1,4,16.")
    return members
