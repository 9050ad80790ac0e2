"""The samplers that a profile or a request may name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.errors import InvalidRequestError
from bot.messages import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler:
    """`title` is what A1111 calls it, `scheduler` the diffusers class, `options` what of it is switched on.

    More than `max_steps` it cannot do (None: no limit of its own). `subtle` and `strong` are how far such a variation moves the
    noise, as shares of the way to another seed's: with the model that ships, the picture then moves a fifth and a half as far
    as another seed's is away (`python -m tests.inference.vary_strengths` measures it).
    """

    title: str
    scheduler: str
    options: tuple[str, ...] = ()
    max_steps: int | None = None
    subtle: float = 0.18
    strong: float = 0.5


SAMPLERS: Mapping[str, Sampler] = {
    "EulerAncestralDiscreteScheduler": Sampler(
        title="Euler a", scheduler="EulerAncestralDiscreteScheduler", subtle=0.15, strong=0.42
    ),
    "EulerDiscreteScheduler": Sampler(title="Euler", scheduler="EulerDiscreteScheduler"),
    "DPMSolverMultistepScheduler": Sampler(title="DPM++ 2M", scheduler="DPMSolverMultistepScheduler"),
    "DPMSolverMultistepScheduler+use_karras_sigmas": Sampler(
        title="DPM++ 2M Karras", scheduler="DPMSolverMultistepScheduler", options=("use_karras_sigmas",)
    ),
    "DDIMScheduler": Sampler(title="DDIM", scheduler="DDIMScheduler"),
    "UniPCMultistepScheduler": Sampler(title="UniPC", scheduler="UniPCMultistepScheduler"),
    "LCMScheduler": Sampler(title="LCM", scheduler="LCMScheduler", max_steps=50, subtle=0.11, strong=0.32),
}
"""By the diffusers class, with `+option` for what is switched on. A step of each is one call of the UNet."""

SAMPLER_NAMES: Mapping[str, str] = {name: sampler.title for name, sampler in SAMPLERS.items()}
"""What A1111 calls each."""


def sampler_called(name: str) -> Sampler:
    """Raises InvalidRequestError for one that is no longer offered."""
    if (sampler := SAMPLERS.get(name)) is None:
        raise InvalidRequestError("This picture's sampler is no longer offered. Use **Remix** to draw it with another one.")
    return sampler


def check_steps(name: str, steps: int) -> None:
    """Raises InvalidRequestError when the sampler `name` cannot do so many steps."""
    sampler = SAMPLERS.get(name)
    if sampler is not None and sampler.max_steps is not None and steps > sampler.max_steps:
        raise InvalidRequestError(
            counted(
                "The sampler {sampler} can do up to {count} step. Use fewer.",
                "The sampler {sampler} can do up to {count} steps. Use fewer.",
                sampler.max_steps,
                sampler=sampler.title,
            )
        )
