"""Headwear: ears go behind the fringe, everything else over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from bot.training.mini.artist.canvas import Path, bezier, ellipse, smooth
from bot.training.mini.artist.figure import Figure
from bot.training.mini.artist.palette import WHITE, Color, light, line, shade

HAT_COLORS: tuple[Color, ...] = ((206, 66, 72), (72, 96, 170), (232, 160, 70), (84, 140, 100), (230, 130, 170), (110, 110, 124))
BOW_COLORS: tuple[Color, ...] = ((222, 52, 62), (246, 130, 170), (70, 100, 210), (250, 250, 252))


def draw_cat_ears(figure: Figure) -> None:
    if figure.portrait.headwear != "cat ears":
        return
    canvas, hair = figure.canvas, figure.hair
    for side in (-1, 1):
        ear: Path = [
            *bezier((side * 0.28, -1.18), (side * 0.5, -1.75), (side * 0.92, -1.98), 5),
            *bezier((side * 0.92, -1.98), (side * 1.16, -1.4), (side * 1.08, -0.7), 5),
        ]
        canvas.fill(ear, hair, line(hair))
        inner: Path = [(side * 0.5, -1.22), (side * 0.85, -1.74), (side * 0.98, -1.0)]
        canvas.fill(inner, (255, 186, 196), shade((255, 186, 196)), 0.02)


def draw_headwear(figure: Figure) -> None:
    draw = HEADWEAR.get(figure.portrait.headwear)
    if draw is not None:
        draw(figure)


def _beanie(figure: Figure) -> None:
    canvas = figure.canvas
    color = figure.rng.choice(HAT_COLORS)
    dome = [
        *smooth(
            [(-1.2, -0.62), (-1.12, -1.25), (-0.6, -1.72), (0, -1.82), (0.6, -1.72), (1.12, -1.25), (1.2, -0.62)], closed=False
        )
    ]
    canvas.fill(dome, color, line(color))
    inside = canvas.mask(dome)
    canvas.strokes_within(
        [bezier((x * 0.3, -1.8), (x, -1.4), (x, -0.6)) for x in (-0.9, -0.6, -0.3, 0, 0.3, 0.6, 0.9)],
        shade(color, 0.3),
        0.03,
        inside,
    )
    canvas.wash([ellipse(-0.5, -1.35, 0.25, 0.2)], light(color), 0.5, inside)
    cuff = [*bezier((-1.27, -0.52), (0, -1.0), (1.27, -0.52)), *bezier((1.25, -0.92), (0, -1.36), (-1.25, -0.92))]
    canvas.fill(cuff, light(color, 0.25), line(color))
    for i in range(-5, 6):
        x = i * 0.22
        y = -0.76 + 0.13 * (x * x) - 0.22 + 0.04
        canvas.stroke([(x, y + 0.14), (x, y - 0.14)], shade(color, 0.25), 0.03)
    canvas.fill(ellipse(0, -1.92, 0.26, 0.24), WHITE, line(color))


def _witch_hat(figure: Figure) -> None:
    canvas, side = figure.canvas, figure.side
    color: Color = figure.rng.choice(((62, 46, 92), (48, 44, 62), (84, 48, 104)))
    tip = (side * 0.75, -2.75)
    cone = [
        *bezier((-0.95, -0.95), (-0.4, -1.9), tip),
        *bezier(tip, (0.55, -1.9), (0.95, -0.95)),
        *bezier((0.95, -0.95), (0, -1.2), (-0.95, -0.95)),
    ]
    canvas.fill(cone, color, line(color))
    canvas.wash(
        [[*bezier((-0.6, -1.0), (-0.2, -1.9), tip, 6), *bezier(tip, (-0.1, -1.7), (-0.3, -1.05), 6)]], light(color, 0.35), 0.7
    )
    brim = [*bezier((-1.95, -0.62), (0, -1.42), (1.95, -0.62)), *bezier((1.95, -0.62), (0, -0.72), (-1.95, -0.62))]
    canvas.fill(brim, light(color, 0.1), line(color))
    band = [*bezier((-0.94, -0.98), (0, -1.24), (0.94, -0.98)), *bezier((0.84, -1.22), (0, -1.48), (-0.84, -1.22))]
    canvas.fill(band, (232, 160, 60), line((232, 160, 60)), 0.03)
    canvas.fill([(-0.13, -1.42), (0.13, -1.42), (0.13, -1.12), (-0.13, -1.12)], (255, 224, 120), line(color), 0.03)


def _hair_bow(figure: Figure) -> None:
    canvas = figure.canvas
    colors = [c for c in BOW_COLORS if sum(abs(a - b) for a, b in zip(c, figure.hair, strict=True)) > 120]
    color = figure.rng.choice(colors)
    x, y = figure.side * 0.2, -1.3
    for s in (-1, 1):
        wing = smooth(
            [(x, y), (x + s * 0.35, y - 0.34), (x + s * 0.78, y - 0.4), (x + s * 0.82, y + 0.24), (x + s * 0.35, y + 0.22)]
        )
        canvas.fill(wing, color, line(color))
        canvas.fill([(x + s * 0.1, y), (x + s * 0.5, y - 0.14), (x + s * 0.48, y + 0.1)], shade(color, 0.3))
    canvas.fill(ellipse(x, y - 0.02, 0.16, 0.19), light(color, 0.2), line(color))


def _crown(figure: Figure) -> None:
    canvas = figure.canvas
    gold: Color = (250, 204, 70)
    points: Path = [
        (-0.62, -1.16),
        (-0.74, -1.86),
        (-0.38, -1.52),
        (0, -2.04),
        (0.38, -1.52),
        (0.74, -1.86),
        (0.62, -1.16),
        (0, -1.3),
    ]
    canvas.fill(points, gold, line(gold))
    canvas.wash([[(-0.62, -1.2), (-0.7, -1.7), (-0.4, -1.5), (-0.35, -1.26)]], light(gold, 0.6), 0.9)
    for x, y, color in ((0.0, -1.5, (226, 50, 70)), (-0.42, -1.38, (60, 110, 226)), (0.42, -1.38, (60, 110, 226))):
        canvas.fill(ellipse(x, y, 0.1, 0.12), color, line(gold), 0.025)
    for x, y in ((-0.74, -1.88), (0.0, -2.06), (0.74, -1.88)):
        canvas.fill(ellipse(x, y, 0.08, 0.08), light(gold, 0.3), line(gold), 0.025)


def _hair_flower(figure: Figure) -> None:
    canvas, side = figure.canvas, figure.side
    options: tuple[Color, ...] = ((255, 140, 180), (255, 250, 250), (250, 90, 90), (255, 200, 90))
    color = figure.rng.choice([c for c in options if sum(abs(a - b) for a, b in zip(c, figure.hair, strict=True)) > 110])
    x, y = side * 0.88, -0.72
    for dx, dy in ((0, -0.26), (0.25, -0.08), (0.16, 0.22), (-0.16, 0.22), (-0.25, -0.08)):
        canvas.fill(ellipse(x + dx, y + dy, 0.21, 0.21), color, line(color), 0.03)
    canvas.fill(ellipse(x, y, 0.13, 0.13), (255, 224, 90), line(color), 0.025)


def _headphones(figure: Figure) -> None:
    canvas = figure.canvas
    color: Color = figure.rng.choice(((58, 60, 74), (240, 240, 246), (226, 70, 80)))
    canvas.stroke(
        bezier((-1.24, 0.1), (-1.3, -1.2), (-0.5, -1.44), 8)
        + bezier((-0.5, -1.44), (0, -1.58), (0.5, -1.44), 6)
        + bezier((0.5, -1.44), (1.3, -1.2), (1.24, 0.1), 8),
        line(color),
        0.22,
    )
    canvas.stroke(
        bezier((-1.24, 0.1), (-1.3, -1.2), (-0.5, -1.44), 8)
        + bezier((-0.5, -1.44), (0, -1.58), (0.5, -1.44), 6)
        + bezier((0.5, -1.44), (1.3, -1.2), (1.24, 0.1), 8),
        color,
        0.14,
    )
    for s in (-1, 1):
        canvas.fill(ellipse(s * 1.2, 0.26, 0.25, 0.4), color, line(color))
        canvas.fill(ellipse(s * 1.24, 0.26, 0.13, 0.25), (90, 220, 230), line(color), 0.025)


HEADWEAR: Mapping[str, Callable[[Figure], None]] = MappingProxyType(
    {
        "beanie": _beanie,
        "witch hat": _witch_hat,
        "hair bow": _hair_bow,
        "crown": _crown,
        "hair flower": _hair_flower,
        "headphones": _headphones,
    }
)
