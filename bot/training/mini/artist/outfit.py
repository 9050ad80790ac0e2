"""Neck, shoulders and the clothes on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from PIL import Image

from bot.training.mini.artist.canvas import Canvas, Path, Point, bezier, ellipse, mirrored, smooth
from bot.training.mini.artist.figure import Figure
from bot.training.mini.artist.palette import WHITE, Color, light, line, mix, shade

HEM = 4.9
SHORT_NECK = 0.27


def draw_body(figure: Figure) -> None:
    """Draw everything below the chin."""
    camera = figure.canvas.camera
    figure = replace(figure, canvas=Canvas(figure.canvas.image, replace(camera, y=camera.y - SHORT_NECK * camera.scale)))
    canvas, skin = figure.canvas, figure.skin
    if figure.portrait.outfit == "hoodie":
        hood = smooth(mirrored([(0, 0.75), (0.7, 0.8), (1.12, 1.15), (0.9, 1.75), (0.3, 1.85)]))
        canvas.fill(hood, shade(figure.cloth, 0.25), line(figure.cloth))
    neck = [(-0.3, 0.8), (0.3, 0.8), (0.34, 1.5), (0.62, 1.62), (0, 2.15), (-0.62, 1.62), (-0.34, 1.5)]
    canvas.fill(neck, skin, line(skin))
    canvas.wash([[(-0.3, 0.85), (0.3, 0.85), (0.33, 1.28), (0, 1.4), (-0.33, 1.28)]], shade(skin, 0.3), 1)
    torso = _torso(figure)
    color = _base_color(figure)
    if figure.portrait.outfit == "dress":
        canvas.fill(torso, skin, line(skin))
    else:
        canvas.fill(torso, color, line(color))
    inside = canvas.mask(torso)
    sides = [[(s * 0.86, 2.0), (s * 1.0, 3.2), (s * 0.9, HEM), (s * 3, HEM), (s * 3, 1.2), (s * 1.35, 1.7)] for s in (-1, 1)]
    canvas.wash(sides, shade(skin if figure.portrait.outfit == "dress" else color, 0.22), 1, inside)
    canvas.strokes_within(
        [bezier((s * 0.98, 2.25), (s * 0.86, 3.0), (s * 0.9, HEM)) for s in (-1, 1)], line(color), 0.035, inside
    )
    OUTFITS[figure.portrait.outfit](figure, inside)


def _base_color(figure: Figure) -> Color:
    match figure.portrait.outfit:
        case "serafuku":
            return (248, 248, 252)
        case "armor":
            return (176, 184, 200)
        case _:
            return figure.cloth


def _torso(figure: Figure) -> list[Point]:
    wide = 1.5 if figure.boy else 1.28
    half = [(0.3, 1.48), (0.62, 1.58), (wide - 0.14, 1.82), (wide + 0.1, 2.4), (wide + 0.22, 3.4), (wide + 0.25, HEM)]
    return [*smooth(half, closed=False), *((-x, y) for x, y in reversed(smooth(half, closed=False)))]


def _sweater(figure: Figure, inside: Image.Image) -> None:
    canvas, cloth = figure.canvas, figure.cloth
    knit = [bezier((x * 0.8, 1.7), (x, 2.8), (x, HEM)) for x in (-0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75)]
    canvas.strokes_within(knit, shade(cloth, 0.25), 0.03, inside)
    for y in (2.3, 2.62):
        zigzag = [(x / 5, y + (0.1 if x % 2 else 0.0)) for x in range(-8, 9)]
        canvas.strokes_within([zigzag], light(cloth, 0.5), 0.05, inside)
    collar = [*bezier((-0.5, 1.45), (0, 2.0), (0.5, 1.45)), *bezier((0.6, 1.6), (0, 2.28), (-0.6, 1.6))]
    canvas.fill(collar, light(cloth, 0.15), line(cloth))


def _turtleneck(figure: Figure, inside: Image.Image) -> None:
    canvas, cloth = figure.canvas, figure.cloth
    ribs = [bezier((x * 0.75, 1.7), (x, 2.8), (x, HEM)) for x in (-0.9, -0.6, -0.3, 0.0, 0.3, 0.6, 0.9)]
    canvas.strokes_within(ribs, shade(cloth, 0.2), 0.028, inside)
    collar = [
        *bezier((-0.4, 1.1), (0, 1.26), (0.4, 1.1)),
        (0.46, 1.55),
        *bezier((0.5, 1.6), (0, 1.86), (-0.5, 1.6)),
        (-0.46, 1.55),
    ]
    canvas.fill(collar, light(cloth, 0.12), line(cloth))
    for x in (-0.28, -0.1, 0.1, 0.28):
        canvas.stroke([(x, 1.2), (x * 1.15, 1.66)], shade(cloth, 0.3), 0.03)


def _serafuku(figure: Figure, inside: Image.Image) -> None:
    canvas, cloth = figure.canvas, figure.cloth
    canvas.fill([(-0.42, 1.5), (0.42, 1.5), (0, 2.3)], figure.skin)
    for s in (-1, 1):
        flap: Path = [(s * 0.3, 1.38), (s * 1.22, 1.78), (s * 1.12, 2.3), (s * 0.72, 2.42), (s * 0.02, 2.52), (s * 0.02, 2.2)]
        canvas.fill(flap, cloth, line(cloth))
        canvas.stroke([(s * 1.06, 2.2), (s * 0.7, 2.3), (s * 0.08, 2.4)], WHITE, 0.045)
    ribbon = (226, 60, 66) if figure.portrait.outfit_color not in {"red", "pink", "orange"} else (70, 90, 180)
    for s in (-1, 1):
        canvas.fill([(0, 2.42), (s * 0.42, 2.24), (s * 0.46, 2.68)], ribbon, line(ribbon))
        canvas.fill([(0, 2.5), (s * 0.12, 2.5), (s * 0.32, 3.3), (s * 0.08, 3.25)], shade(ribbon, 0.15), line(ribbon), 0.03)
    canvas.fill(ellipse(0, 2.46, 0.12, 0.13), ribbon, line(ribbon), 0.03)


def _hoodie(figure: Figure, inside: Image.Image) -> None:
    canvas, cloth = figure.canvas, figure.cloth
    for s in (-1, 1):
        hood: Path = [
            *bezier((s * 0.36, 1.32), (s * 0.98, 1.36), (s * 1.0, 1.86)),
            *bezier((s * 0.7, 2.0), (s * 0.4, 2.1), (0, 2.12)),
        ]
        canvas.fill(hood, light(cloth, 0.12), line(cloth))
        canvas.stroke([(s * 0.24, 2.08), (s * 0.28, 2.85)], (250, 250, 250), 0.05)
        canvas.fill(ellipse(s * 0.28, 2.88, 0.05, 0.08), (250, 250, 250), line(cloth), 0.02)
    canvas.strokes_within([[(0, 2.12), (0, HEM)]], line(cloth), 0.035, inside)
    canvas.strokes_within([[(-0.8, 3.9), (-0.62, 3.3), (0.62, 3.3), (0.8, 3.9)]], line(cloth), 0.035, inside)


def _kimono(figure: Figure, inside: Image.Image) -> None:
    canvas, cloth, rng = figure.canvas, figure.cloth, figure.rng
    petal = (255, 255, 255) if figure.portrait.outfit_color != "white" else (244, 150, 180)
    for _ in range(7):
        x, y = rng.choice((-1, 1)) * rng.uniform(0.45, 1.4), rng.uniform(1.95, 4.0)
        flower = [
            ellipse(x + dx, y + dy, 0.075, 0.075)
            for dx, dy in ((0, -0.08), (0.08, -0.02), (0.05, 0.07), (-0.05, 0.07), (-0.08, -0.02))
        ]
        canvas.wash(flower, petal, 0.9, inside)
    for s, edge in ((-1, 0.0), (1, 0.14)):
        for width, color in ((0.34, WHITE), (0.2, light(cloth, 0.2))):
            band = [
                (s * 0.32, 1.35),
                (s * (0.34 + width), 1.42),
                (-s * edge + s * width * 0.6, 2.75),
                (-s * edge - s * 0.14, 2.75),
            ]
            canvas.fill(band, color, line(cloth), 0.03)
    obi = (
        mix(light(cloth, 0.2), (250, 196, 80), 0.7)
        if figure.portrait.outfit_color not in {"yellow", "orange"}
        else (190, 60, 80)
    )
    canvas.wash([[(-2, 2.75), (2, 2.75), (2, 3.6), (-2, 3.6)]], obi, 1, inside)
    canvas.strokes_within([[(-2, 2.75), (2, 2.75)], [(-2, 3.15), (2, 3.15)], [(-2, 3.6), (2, 3.6)]], line(obi), 0.04, inside)


def _dress(figure: Figure, inside: Image.Image) -> None:
    canvas, cloth = figure.canvas, figure.cloth
    bodice = [
        *bezier((-0.86, 2.12), (-0.4, 1.86), (0, 2.18)),
        *bezier((0, 2.18), (0.4, 1.86), (0.86, 2.12)),
        (0.9, 3.2),
        (1.3, HEM),
        (-1.3, HEM),
        (-0.9, 3.2),
    ]
    canvas.fill(bodice, cloth, line(cloth))
    for s in (-1, 1):
        canvas.stroke([(s * 0.62, 1.62), (s * 0.6, 2.08)], shade(cloth, 0.1), 0.13)
    for x in (-0.66, -0.33, 0.0, 0.33, 0.66):
        canvas.fill(ellipse(x, 2.14 - 0.12 * (1 if abs(x) in {0.33} else 0), 0.2, 0.11), light(cloth, 0.55), line(cloth), 0.025)
    bow = light(cloth, 0.3)
    for s in (-1, 1):
        canvas.fill([(0, 2.44), (s * 0.26, 2.3), (s * 0.26, 2.6)], bow, line(cloth), 0.03)
    canvas.stroke([(-0.88, 3.2), (0.88, 3.2)], light(cloth, 0.5), 0.1)


def _armor(figure: Figure, inside: Image.Image) -> None:
    canvas, steel, trim = figure.canvas, (176, 184, 200), figure.cloth
    gorget = [(-0.5, 1.28), (0.5, 1.28), (0.66, 1.72), (0, 1.95), (-0.66, 1.72)]
    canvas.fill(gorget, light(steel, 0.3), line(steel))
    chest = smooth([(-0.86, 1.98), (0, 2.1), (0.86, 1.98), (0.92, 2.8), (0, 3.5), (-0.92, 2.8)])
    canvas.fill(chest, light(steel, 0.25), line(steel))
    canvas.wash([[(0, 2.05), (1, 1.9), (1, 3.2), (0, 3.5)]], shade(steel, 0.12), 1, canvas.mask(chest))
    canvas.stroke([(0, 2.08), (0, 3.5)], line(steel), 0.03)
    canvas.fill([(0, 2.3), (0.16, 2.52), (0, 2.78), (-0.16, 2.52)], trim, line(trim), 0.03)
    for s in (-1, 1):
        for y, r in ((2.42, 0.52), (2.05, 0.56)):
            plate = ellipse(s * (1.3 if figure.boy else 1.14), y, r, r * 0.72, angle=s * 0.5)
            canvas.fill(plate, steel, line(steel))
            canvas.wash([ellipse(s * 1.1 - 0.1, y - 0.16, r * 0.5, r * 0.2, angle=s * 0.5)], WHITE, 0.8, canvas.mask(plate))
    canvas.stroke([(-0.5, 1.3), (0.5, 1.3)], trim, 0.08)


def _collared_shirt(figure: Figure, inside: Image.Image) -> None:
    canvas, cloth = figure.canvas, figure.cloth
    tie = (60, 70, 120) if figure.portrait.outfit_color not in {"blue", "purple", "black"} else (200, 60, 70)
    canvas.fill([(0, 1.82), (0.17, 2.02), (0.22, 3.2), (0, 3.5), (-0.22, 3.2), (-0.17, 2.02)], tie, line(tie), 0.03)
    canvas.fill([(-0.16, 1.78), (0.16, 1.78), (0.12, 2.08), (-0.12, 2.08)], light(tie, 0.15), line(tie), 0.03)
    for s in (-1, 1):
        flap: Path = [(s * 0.32, 1.32), (s * 0.68, 1.6), (s * 0.46, 2.14), (0, 1.84)]
        canvas.fill(flap, light(cloth, 0.35), line(cloth))
    for y in (2.6, 3.2, 3.8):
        canvas.wash([ellipse(0.5, y, 0.05, 0.05)], WHITE, 1, inside)


OUTFITS: Mapping[str, Callable[[Figure, Image.Image], None]] = MappingProxyType(
    {
        "sweater": _sweater,
        "turtleneck": _turtleneck,
        "serafuku": _serafuku,
        "hoodie": _hoodie,
        "kimono": _kimono,
        "dress": _dress,
        "armor": _armor,
        "collared shirt": _collared_shirt,
    }
)
