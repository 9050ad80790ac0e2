"""The requests of a bench and their times: the same for all that are compared."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from typing import Self

from bot.domain.profile import ModelProfile
from bot.domain.request import MAX_STEPS, GenerationRequest

MIXTURE = (1.0, 0.7, 1.8)  # shares of the usual step count: some members leave it, some hurry, some want more
WHO = ("1girl", "1boy", "1girl, twintails", "1girl, glasses", "1boy, hat", "1girl, hood", "1girl, ponytail", "1boy, scarf")
HAIR = ("black hair", "blonde hair", "green hair", "silver hair", "red hair", "blue hair", "pink hair", "brown hair")
WHERE = ("night", "forest", "beach", "classroom", "snow", "city lights", "cherry blossoms", "sunset, clouds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The common properties of all requests of a scenario. `steps` are the step counts that alternate; `width` and `height` are
    pixels; `scheduler` None is the profile's.
    """

    profile: str
    steps: tuple[int, ...]
    guidance_scale: float
    width: int
    height: int
    scheduler: str | None = None

    @classmethod
    def mixed(cls, profile: ModelProfile, steps: int) -> Self:
        """Returns a workload as members ask, with step counts around `steps`."""
        size = profile.size(None)
        return cls(
            profile=profile.name,
            steps=tuple(min(MAX_STEPS, max(1, round(share * steps))) for share in MIXTURE),
            guidance_scale=profile.guidance_scale,
            width=size.width,
            height=size.height,
        )

    def requests(self, count: int, *, seed: int) -> tuple[GenerationRequest, ...]:
        """Returns `count` requests; each block of them has every step count once, in an order that `seed` shuffles.

        Hardly two prompts are equal, so that caching embeddings helps with the negative prompt only, as with members.
        """
        chance = random.Random(seed)  # noqa: S311 (no secret)
        steps: list[int] = []
        while len(steps) < count:
            steps += chance.sample(self.steps, len(self.steps))
        words = list(itertools.product(WHO, HAIR, WHERE))
        chance.shuffle(words)
        return tuple(
            GenerationRequest(
                profile=self.profile,
                prompt=", ".join(words[index % len(words)]),
                width=self.width,
                height=self.height,
                num_inference_steps=steps[index],
                guidance_scale=self.guidance_scale,
                seed=seed * 10_000 + index,
                scheduler=self.scheduler,
            )
            for index in range(count)
        )


def poisson_arrivals(rate: float, count: int, *, seed: int) -> tuple[float, ...]:
    """Returns the seconds from the start at which `count` members come, `rate` a second on average, independently."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    return tuple(itertools.accumulate(chance.expovariate(rate) for _ in range(count)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How often a scenario is repeated on each lane, and with how many requests."""

    rounds: int
    requests: int


def plan(pictures: float, *, least: int, most_rounds: int) -> Plan:
    """Returns a plan for the pictures that time allows a lane, in rounds of `least` requests or more; at least one round."""
    rounds = max(1, min(most_rounds, int(pictures // least)))
    return Plan(rounds=rounds, requests=max(least, round(pictures / rounds)))
