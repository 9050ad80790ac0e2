"""Draws one portrait as a picture."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import TypeAlias

from PIL import Image

from bot.training.mini.artist.canvas import Camera, Canvas
from bot.training.mini.artist.face import draw_face, draw_glasses
from bot.training.mini.artist.figure import pose
from bot.training.mini.artist.hair import draw_back_hair, draw_front_hair
from bot.training.mini.artist.headwear import draw_cat_ears, draw_headwear
from bot.training.mini.artist.outfit import draw_body
from bot.training.mini.artist.portrait import Portrait
from bot.training.mini.artist.scenery import draw_background

SUPERSAMPLING = 3

Box: TypeAlias = tuple[float, float, float, float]


def draw_portrait(portrait: Portrait, width: int, height: int, *, supersampling: int = SUPERSAMPLING) -> Image.Image:
    """Returns the portrait as RGB in pixels; the same arguments give the same picture."""
    rng = random.Random(portrait.seed)  # noqa: S311  # pictures, not secrets
    large = (width * supersampling, height * supersampling)
    image = draw_background(portrait.background, *large, rng)
    figure = pose(portrait, Canvas(image, _frame(large, rng)), rng)
    draw_back_hair(figure)
    draw_cat_ears(figure)
    draw_body(figure)
    draw_face(figure)
    draw_front_hair(figure)
    draw_glasses(figure)
    draw_headwear(figure)
    return image.resize((width, height), Image.Resampling.BOX)


def _frame(size: tuple[int, int], rng: random.Random) -> Camera:
    """Returns the camera: a bust whose head fills about half of the shorter side."""
    width, height = size
    unit = min(width, height)
    scale = unit * rng.uniform(0.215, 0.25)
    x = width * 0.5 + unit * rng.uniform(-0.04, 0.04) + (width - unit) * rng.uniform(-0.2, 0.2)
    y = scale * rng.uniform(1.95, 2.2) + (height - unit) * rng.uniform(0.1, 0.4)
    return Camera(scale=scale, angle=rng.gauss(0, 0.055), x=x, y=y)


def usual_face(width: int, height: int) -> Box:
    """Returns left, top, right and bottom in pixels of the usual place of brows, eyes and mouth: `_frame`'s mean."""
    unit, scale, x, y = _usual_head(width, height)
    reach = scale * 0.72 + unit * 0.02 + (width - unit) * 0.1
    return x - reach, y - scale * 0.2, x + reach, y + scale * 1.15


def usual_mouth(width: int, height: int) -> Box:
    """Returns, as `usual_face`, the mouth alone: it lies 0.8 under the head's middle, and heads differ in size and place."""
    unit, scale, x, y = _usual_head(width, height)
    reach, slack = scale * 0.3 + unit * 0.04 + (width - unit) * 0.1, scale * 0.36 + (height - unit) * 0.1
    return x - reach, y + scale * 0.83 - slack, x + reach, y + scale * 0.83 + slack


def _usual_head(width: int, height: int) -> tuple[float, float, float, float]:
    unit = min(width, height)
    scale = unit * 0.2325
    return unit, scale, width * 0.5, scale * 2.075 + (height - unit) * 0.25


def contact_sheet(pictures: Iterable[Image.Image], *, columns: int = 8, gap: int = 4) -> Image.Image:
    """Returns pictures of one size in rows."""
    tiles = list(pictures)
    width, height = tiles[0].size
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * (width + gap) + gap, rows * (height + gap) + gap), (255, 255, 255))
    for i, tile in enumerate(tiles):
        row, column = divmod(i, columns)
        sheet.paste(tile, (gap + column * (width + gap), gap + row * (height + gap)))
    return sheet
