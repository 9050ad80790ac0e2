"""The person before the first stroke: a portrait's labels, its colours, and the random choices that the seed decides."""

from __future__ import annotations

import random
from dataclasses import dataclass

from bot.training.mini.artist import palette
from bot.training.mini.artist.canvas import Canvas
from bot.training.mini.artist.palette import Color
from bot.training.mini.artist.portrait import Portrait


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A person to draw. Units: half a face is 1 wide, the origin lies between the cheeks, y runs down, the chin is at 1.05.

    `turn` in -1..1 is where the face looks; `side` is the side (-1 or 1) of a parting, a ponytail, a flower.
    """

    canvas: Canvas
    portrait: Portrait
    rng: random.Random
    hair: Color
    eyes: Color
    cloth: Color
    skin: Color
    turn: float
    side: int

    @property
    def boy(self) -> bool:
        return self.portrait.gender == "1boy"

    @property
    def style(self) -> str:
        return self.portrait.hair_style


def pose(portrait: Portrait, canvas: Canvas, rng: random.Random) -> Figure:
    """Returns a figure with everything chosen that the labels leave open."""
    skin = palette.DARK_SKIN if portrait.dark_skin else palette.LIGHT_SKIN
    return Figure(
        canvas=canvas,
        portrait=portrait,
        rng=rng,
        hair=palette.jitter(palette.HAIR[portrait.hair_color], rng, 7),
        eyes=palette.jitter(palette.EYES[portrait.eye_color], rng, 7),
        cloth=palette.jitter(palette.CLOTH[portrait.outfit_color], rng, 7),
        skin=palette.jitter(skin, rng, 5),
        turn=rng.uniform(-1, 1),
        side=rng.choice((-1, 1)),
    )
