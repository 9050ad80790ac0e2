"""Colours by name, their shadows and lights."""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType

Color = tuple[int, int, int]

HAIR: Mapping[str, Color] = MappingProxyType(
    {
        "blonde": (250, 214, 112),
        "brown": (142, 90, 58),
        "black": (52, 48, 66),
        "red": (208, 54, 50),
        "pink": (252, 152, 190),
        "blue": (72, 112, 220),
        "green": (76, 172, 98),
        "purple": (146, 90, 200),
        "white": (242, 240, 248),
        "grey": (158, 162, 176),
        "orange": (242, 138, 52),
        "aqua": (104, 216, 222),
    }
)
EYES: Mapping[str, Color] = MappingProxyType(
    {
        "blue": (58, 110, 226),
        "green": (52, 168, 88),
        "red": (214, 46, 52),
        "brown": (140, 84, 44),
        "purple": (142, 76, 210),
        "yellow": (240, 190, 40),
        "aqua": (48, 196, 210),
        "pink": (244, 104, 164),
    }
)
CLOTH: Mapping[str, Color] = MappingProxyType(
    {
        "red": (206, 58, 60),
        "blue": (66, 104, 196),
        "green": (74, 150, 92),
        "yellow": (244, 206, 84),
        "purple": (134, 88, 186),
        "pink": (248, 164, 192),
        "white": (244, 242, 240),
        "black": (58, 56, 68),
        "brown": (146, 100, 68),
        "orange": (240, 140, 62),
    }
)
PLAIN: Mapping[str, Color] = MappingProxyType(
    {
        "white": (250, 250, 252),
        "pink": (255, 206, 222),
        "blue": (158, 200, 246),
        "yellow": (255, 234, 150),
        "green": (172, 224, 176),
        "grey": (172, 174, 182),
    }
)
LIGHT_SKIN: Color = (255, 228, 208)
DARK_SKIN: Color = (190, 132, 96)
INK: Color = (58, 40, 52)
WHITE: Color = (255, 255, 255)


def mix(color: Color, other: Color, amount: float) -> Color:
    """Returns `color` moved towards `other` by `amount` in 0..1."""
    return (
        round(color[0] + (other[0] - color[0]) * amount),
        round(color[1] + (other[1] - color[1]) * amount),
        round(color[2] + (other[2] - color[2]) * amount),
    )


def shade(color: Color, amount: float = 0.3) -> Color:
    """Returns the colour in shadow: darker and a little towards violet, as cel painters do."""
    return mix(color, (70, 40, 96), amount)


def light(color: Color, amount: float = 0.4) -> Color:
    return mix(color, WHITE, amount)


def line(color: Color) -> Color:
    """Returns the outline of an area of this colour: its own dark, never plain black."""
    return mix(mix(color, (70, 40, 80), 0.5), INK, 0.55)


def jitter(color: Color, rng: random.Random, amount: int = 8) -> Color:
    """Returns a similar colour, each channel moved by at most `amount`."""
    return (
        min(255, max(0, color[0] + rng.randint(-amount, amount))),
        min(255, max(0, color[1] + rng.randint(-amount, amount))),
        min(255, max(0, color[2] + rng.randint(-amount, amount))),
    )
