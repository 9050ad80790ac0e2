"""Backgrounds, in units of the picture's shorter side with the origin at the top left."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from PIL import Image

from bot.training.mini.artist.canvas import Camera, Canvas, ellipse, smooth
from bot.training.mini.artist.palette import PLAIN, WHITE, Color, jitter, light, mix, shade


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The drawing area of a scene: `width` and `height` are in units, the shorter is 1."""

    canvas: Canvas
    rng: random.Random
    width: float
    height: float


def draw_background(name: str, width: int, height: int, rng: random.Random) -> Image.Image:
    """Returns the background called `name` as an RGB picture of the size given in pixels."""
    unit = min(width, height)
    image = Image.new("RGB", (width, height))
    stage = Stage(canvas=Canvas(image, Camera(scale=unit)), rng=rng, width=width / unit, height=height / unit)
    if name in SCENERY:
        SCENERY[name](stage)
    else:
        _plain(stage, PLAIN[name.removesuffix(" background")])
    return image


def _gradient(stage: Stage, *stops: Color) -> None:
    strip = Image.new("RGB", (1, len(stops)))
    strip.putdata([jitter(color, stage.rng, 5) for color in stops])
    stage.canvas.image.paste(strip.resize(stage.canvas.image.size, Image.Resampling.BICUBIC))


def _cloud(stage: Stage, x: float, y: float, size: float, color: Color) -> None:
    for _ in range(5):
        dx, r = stage.rng.uniform(-1, 1) * size, stage.rng.uniform(0.35, 0.6) * size
        stage.canvas.fill(ellipse(x + dx, y - (size - abs(dx)) * 0.3, r, r * 0.75), color)
    stage.canvas.fill(ellipse(x, y + size * 0.1, size * 1.5, size * 0.28), color)


def _hills(stage: Stage, y: float, color: Color, *, rough: float = 0.06) -> None:
    count = 6
    ridge = [(stage.width * (i - 0.5) / (count - 2), y + stage.rng.uniform(-rough, rough)) for i in range(count)]
    path = [*smooth(ridge, closed=False), (stage.width + 1, stage.height + 0.2), (-1.0, stage.height + 0.2)]
    stage.canvas.fill(path, color)


def _plain(stage: Stage, color: Color) -> None:
    _gradient(stage, color, color)


def _night(stage: Stage) -> None:
    rng = stage.rng
    _gradient(stage, (14, 16, 48), (26, 30, 84), (54, 52, 122))
    for _ in range(rng.randint(24, 40)):
        r = rng.choice((0.004, 0.006, 0.009))
        x, y = rng.uniform(0, stage.width), rng.uniform(0, stage.height * 0.85)
        stage.canvas.fill(ellipse(x, y, r, r), light((255, 244, 190), rng.random()))
    x, y, r = rng.choice((0.14, 0.86)) * stage.width, rng.uniform(0.12, 0.24), rng.uniform(0.075, 0.1)
    stage.canvas.wash([ellipse(x, y, r * 1.7, r * 1.7)], (120, 124, 190), 0.35)
    stage.canvas.fill(ellipse(x, y, r, r), (255, 246, 200))
    if rng.random() < 0.5:
        stage.canvas.fill(ellipse(x + r * 0.45, y - r * 0.2, r * 0.85, r * 0.85), (22, 25, 70))
    _hills(stage, stage.height * 0.86, (18, 18, 46))


def _sunset(stage: Stage) -> None:
    rng = stage.rng
    _gradient(stage, (110, 70, 148), (236, 104, 108), (255, 170, 92), (255, 216, 130))
    x, y = rng.uniform(0.08, 0.92) * stage.width, stage.height * rng.uniform(0.6, 0.72)
    stage.canvas.wash([ellipse(x, y, 0.24, 0.24)], (255, 236, 170), 0.4)
    stage.canvas.fill(ellipse(x, y, 0.15, 0.15), (255, 240, 190))
    for _ in range(3):
        y = rng.uniform(0.1, 0.5) * stage.height
        stage.canvas.fill(ellipse(rng.uniform(0, stage.width), y, rng.uniform(0.15, 0.3), 0.018), (250, 160, 140))
    _hills(stage, stage.height * 0.82, (110, 56, 92))


def _blue_sky(stage: Stage) -> None:
    rng = stage.rng
    _gradient(stage, (70, 148, 238), (128, 194, 250), (206, 234, 255))
    for _ in range(rng.randint(3, 5)):
        _cloud(stage, rng.uniform(0, stage.width), rng.uniform(0.06, 0.6) * stage.height, rng.uniform(0.07, 0.14), WHITE)
    _hills(stage, stage.height * 0.88, (104, 186, 98), rough=0.03)


def _indoors(stage: Stage) -> None:
    rng, canvas = stage.rng, stage.canvas
    wall = jitter(rng.choice(((226, 202, 170), (214, 190, 164), (232, 214, 190))), rng)
    _gradient(stage, wall, shade(wall, 0.12))
    left = rng.random() < 0.5
    x = 0.03 if left else stage.width - 0.37
    frame = [(x, 0.08), (x + 0.34, 0.08), (x + 0.34, 0.56), (x, 0.56)]
    canvas.fill(frame, (186, 222, 248), (126, 84, 56), 0.03)
    canvas.stroke([(x + 0.17, 0.08), (x + 0.17, 0.56)], (126, 84, 56), 0.02)
    canvas.stroke([(x, 0.32), (x + 0.34, 0.32)], (126, 84, 56), 0.02)
    x = stage.width - 0.3 if left else 0.04
    for row in range(2):
        y = 0.24 + 0.26 * row
        for i in range(4):
            book = rng.choice(((190, 70, 70), (70, 110, 170), (90, 140, 90), (220, 180, 90)))
            tall = rng.uniform(0.1, 0.15)
            canvas.fill(
                [(x + i * 0.055, y - tall), (x + i * 0.055 + 0.045, y - tall), (x + i * 0.055 + 0.045, y), (x + i * 0.055, y)],
                book,
            )
        canvas.fill([(x - 0.03, y), (x + 0.28, y), (x + 0.28, y + 0.025), (x - 0.03, y + 0.025)], (126, 84, 56))


def _cherry_blossoms(stage: Stage) -> None:
    rng, canvas = stage.rng, stage.canvas
    _gradient(stage, (190, 226, 255), (232, 236, 255), (255, 232, 240))
    side = rng.choice((0, 1)) * stage.width
    inward = 1 if side == 0 else -1
    for y in (0.05, 0.22):
        branch = [(side, y + 0.06), (side + inward * 0.3, y), (side + inward * 0.62, y + 0.1)]
        canvas.stroke(smooth(branch, closed=False), (112, 76, 72), 0.026)
    for _ in range(34):
        x, y = side + inward * abs(rng.gauss(0, 0.34)), abs(rng.gauss(0.1, 0.13))
        r = rng.uniform(0.03, 0.055)
        canvas.fill(ellipse(x, y, r, r * 0.85), mix((255, 176, 204), (255, 220, 234), rng.random()))
    for _ in range(16):
        x, y = rng.uniform(0, stage.width), rng.uniform(0.2, stage.height)
        canvas.fill(ellipse(x, y, 0.018, 0.01, angle=rng.uniform(0, 3)), (255, 160, 194))


def _forest(stage: Stage) -> None:
    rng, canvas = stage.rng, stage.canvas
    _gradient(stage, (150, 206, 150), (196, 232, 168), (120, 176, 104))
    for depth in range(3):
        for _ in range(4):
            x, w = rng.uniform(0, stage.width), 0.02 + 0.016 * depth
            bark = mix((140, 150, 110), (84, 62, 48), depth / 2)
            canvas.fill([(x - w, 0), (x + w, 0), (x + w * 1.2, stage.height), (x - w * 1.2, stage.height)], bark)
    for _ in range(16):
        r = rng.uniform(0.07, 0.14)
        leaf = mix((44, 112, 58), (96, 168, 82), rng.random())
        canvas.fill(ellipse(rng.uniform(0, stage.width), rng.uniform(-0.05, 0.2), r, r * 0.8), leaf)
    _hills(stage, stage.height * 0.9, (70, 130, 64), rough=0.02)


def _snow(stage: Stage) -> None:
    rng, canvas = stage.rng, stage.canvas
    _gradient(stage, (146, 164, 196), (184, 200, 224), (222, 232, 244))
    _hills(stage, stage.height * 0.7, (200, 212, 230), rough=0.05)
    for _ in range(5):
        x, y, s = rng.uniform(0, stage.width), stage.height * rng.uniform(0.68, 0.78), rng.uniform(0.08, 0.13)
        canvas.fill([(x, y - s * 2.2), (x + s * 0.7, y), (x - s * 0.7, y)], (88, 124, 128))
        canvas.fill([(x, y - s * 2.2), (x + s * 0.3, y - s * 1.2), (x - s * 0.3, y - s * 1.2)], WHITE)
    _hills(stage, stage.height * 0.84, (246, 249, 255), rough=0.03)
    for _ in range(40):
        r = rng.uniform(0.006, 0.013)
        canvas.fill(ellipse(rng.uniform(0, stage.width), rng.uniform(0, stage.height), r, r), WHITE)


SCENERY: Mapping[str, Callable[[Stage], None]] = MappingProxyType(
    {
        "night": _night,
        "sunset": _sunset,
        "blue sky": _blue_sky,
        "indoors": _indoors,
        "cherry blossoms": _cherry_blossoms,
        "forest": _forest,
        "snow": _snow,
    }
)
