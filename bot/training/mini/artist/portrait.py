"""The labels of a portrait: the artist draws them and captions name them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

HAIR_COLORS = ("blonde", "brown", "black", "red", "pink", "blue", "green", "purple", "white", "grey", "orange", "aqua")
HAIR_STYLES = ("short hair", "long hair", "twintails", "ponytail", "bob cut", "braid")
EYE_COLORS = ("blue", "green", "red", "brown", "purple", "yellow", "aqua", "pink")
EXPRESSIONS = ("smile", "open mouth", "closed eyes", "one eye closed", "frown", "angry", "expressionless")
OUTFITS = ("sweater", "turtleneck", "serafuku", "hoodie", "kimono", "dress", "armor", "collared shirt")
OUTFIT_COLORS = ("red", "blue", "green", "yellow", "purple", "pink", "white", "black", "brown", "orange")
HEADWEAR = ("none", "beanie", "witch hat", "hair bow", "cat ears", "crown", "hair flower", "headphones")
SCENES = ("night", "sunset", "blue sky", "indoors", "cherry blossoms", "forest", "snow")
PLAIN_BACKGROUNDS = ("white", "pink", "blue", "yellow", "green", "grey")
BACKGROUNDS = SCENES + tuple(f"{color} background" for color in PLAIN_BACKGROUNDS)

# A boy in a dress, with twintails or a hair bow is possible and drawn, but rare, as among the tags that people type.
RARE_FOR_BOYS = frozenset({"long hair", "twintails", "ponytail", "bob cut", "braid", "dress", "hair bow", "hair flower"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """One picture's labels; `seed` sets everything without a tag (pose, framing, strands, shades)."""

    gender: str
    hair_color: str
    hair_style: str
    eye_color: str
    expression: str
    outfit: str
    outfit_color: str
    headwear: str
    background: str
    glasses: bool
    blush: bool
    dark_skin: bool
    seed: int


CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "gender": ("1girl", "1boy"),
        "hair_color": HAIR_COLORS,
        "hair_style": HAIR_STYLES,
        "eye_color": EYE_COLORS,
        "expression": EXPRESSIONS,
        "outfit": OUTFITS,
        "outfit_color": OUTFIT_COLORS,
        "headwear": HEADWEAR,
        "background": BACKGROUNDS,
    }
)


def random_portrait(rng: random.Random) -> Portrait:
    """Returns labels drawn independently of one another, so that a model learns each word by itself."""
    portrait = Portrait(
        gender="1girl" if rng.random() < 0.68 else "1boy",
        hair_color=rng.choice(HAIR_COLORS),
        hair_style=rng.choice(HAIR_STYLES),
        eye_color=rng.choice(EYE_COLORS),
        expression=rng.choices(EXPRESSIONS, (5, 4, 3, 2, 2, 2, 2))[0],
        outfit=rng.choice(OUTFITS),
        outfit_color=rng.choice(OUTFIT_COLORS),
        headwear=rng.choices(HEADWEAR, (7, 2, 2, 2, 2, 2, 2, 2))[0],
        background=rng.choices(BACKGROUNDS, (3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1))[0],
        glasses=rng.random() < 0.22,
        blush=rng.random() < 0.3,
        dark_skin=rng.random() < 0.12,
        seed=rng.getrandbits(32),
    )
    return portrait if portrait.gender == "1girl" else _usual_boy(portrait, rng)


def _usual_boy(portrait: Portrait, rng: random.Random) -> Portrait:
    if portrait.hair_style in RARE_FOR_BOYS and rng.random() < 0.8:
        portrait = replace(portrait, hair_style="short hair")
    if portrait.outfit in RARE_FOR_BOYS and rng.random() < 0.9:
        portrait = replace(portrait, outfit=rng.choice([o for o in OUTFITS if o not in RARE_FOR_BOYS]))
    if portrait.headwear in RARE_FOR_BOYS and rng.random() < 0.9:
        portrait = replace(portrait, headwear="none")
    return portrait
