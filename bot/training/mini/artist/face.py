"""The face: skin, eyes in layers, brows, nose, mouth, blush, glasses."""

from __future__ import annotations

from bot.training.mini.artist.canvas import Point, bezier, ellipse, mirrored, smooth
from bot.training.mini.artist.figure import Figure
from bot.training.mini.artist.palette import INK, WHITE, Color, light, line, mix, shade

EYE_X, EYE_Y = 0.46, 0.3
GIRL_FACE = ((0, -1.05), (0.62, -0.85), (0.96, -0.25), (0.97, 0.25), (0.84, 0.62), (0.5, 0.92), (0.16, 1.05))
BOY_FACE = ((0, -1.05), (0.62, -0.85), (0.94, -0.25), (0.95, 0.25), (0.86, 0.64), (0.54, 0.98), (0.2, 1.12))


def draw_face(figure: Figure) -> None:
    """Draw the whole face but the glasses, which lie over the fringe."""
    canvas, skin = figure.canvas, figure.skin
    outline = line(skin)
    for side in (-1, 1):
        canvas.fill(ellipse(side * 0.98, 0.3, 0.14, 0.2), skin, outline)
        canvas.wash([ellipse(side * 0.99, 0.32, 0.07, 0.12)], shade(skin), 0.7)
    face = smooth(mirrored(BOY_FACE if figure.boy else GIRL_FACE))
    canvas.fill(face, skin, outline)
    inside = canvas.mask(face)
    canvas.wash(
        [[(-1.2, -1.2), (1.2, -1.2), (1.2, 0.02), (0.5, 0.1), (0, 0.02), (-0.5, 0.1), (-1.2, 0.02)]],
        shade(skin, 0.2),
        1,
        inside,
    )
    _cheeks(figure)
    for side in (-1, 1):
        _draw_eye(figure, side)
        _draw_brow(figure, side)
    x = figure.turn * 0.12
    canvas.stroke([(x - 0.015, 0.6), (x + 0.02, 0.63)], shade(skin, 0.45), 0.035)
    _draw_mouth(figure)


def _eye_center(figure: Figure, side: int) -> Point:
    return side * EYE_X + figure.turn * 0.09, EYE_Y


def _cheeks(figure: Figure) -> None:
    if not figure.portrait.blush:
        return
    for side in (-1, 1):
        x = side * 0.6 + figure.turn * 0.09
        figure.canvas.wash([ellipse(x, 0.64, 0.2, 0.11)], (255, 110, 120), 0.6)
        for i in (-1, 0, 1):
            slant = [(x + i * 0.1 + 0.03, 0.6), (x + i * 0.1 - 0.03, 0.69)]
            figure.canvas.stroke(slant, (232, 84, 100), 0.026)


def _draw_eye(figure: Figure, side: int) -> None:
    expression = figure.portrait.expression
    if expression == "closed eyes" or (expression == "one eye closed" and side == figure.side):
        _closed_eye(figure, side)
    else:
        _open_eye(figure, side)


def _lash_color(figure: Figure) -> Color:
    return mix(line(figure.hair), INK, 0.7)


def _closed_eye(figure: Figure, side: int) -> None:
    x, y = _eye_center(figure, side)
    ink = _lash_color(figure)
    figure.canvas.stroke(bezier((x - 0.25, y + 0.14), (x, y - 0.2), (x + 0.25, y + 0.14)), ink, 0.075)
    if not figure.boy:
        figure.canvas.stroke([(x + side * 0.22, y + 0.1), (x + side * 0.33, y + 0.04)], ink, 0.05)


def _open_eye(figure: Figure, side: int) -> None:
    x, y = _eye_center(figure, side)
    canvas, color, ink = figure.canvas, figure.eyes, _lash_color(figure)
    rx, ry = (0.21, 0.25) if figure.boy else (0.235, 0.32)
    narrow = 0.82 if figure.portrait.expression in {"angry", "expressionless"} else 1.0
    top = y - ry * narrow
    white = ellipse(x, y, rx * 1.1, ry)
    canvas.fill(white, (252, 250, 252))
    inside = canvas.mask(white)
    ix = x + figure.turn * 0.035
    canvas.wash([ellipse(ix, y + 0.02, rx * 0.92, ry * 0.98)], shade(color, 0.45), 1, inside)
    canvas.wash([ellipse(ix, y + ry * 0.28, rx * 0.8, ry * 0.68)], color, 1, inside)
    canvas.wash([ellipse(ix, y + ry * 0.62, rx * 0.5, ry * 0.3)], light(color, 0.55), 1, inside)
    canvas.fill(ellipse(ix, y + 0.02, rx * 0.34, ry * 0.4), mix(shade(color, 0.7), INK, 0.6))
    if narrow < 1:
        lid = [(x - rx * 1.3, y - ry * 1.1), (x + rx * 1.3, y - ry * 1.1), (x + rx * 1.3, top), (x - rx * 1.3, top)]
        canvas.fill(lid, shade(figure.skin, 0.2))
    canvas.fill(ellipse(ix - rx * 0.38, y - ry * 0.36, rx * 0.34, ry * 0.27), WHITE)
    canvas.fill(ellipse(ix + rx * 0.36, y + ry * 0.42, rx * 0.17, ry * 0.14), WHITE)
    lash = [
        *bezier((x - rx * 1.25, y - ry * 0.25), (x, top - ry * 0.62), (x + rx * 1.25, y - ry * 0.25)),
        *bezier((x + rx * 1.1, y - ry * 0.35), (x, top - ry * 0.12), (x - rx * 1.1, y - ry * 0.35)),
    ]
    canvas.fill(lash, ink, ink, 0.03)
    if not figure.boy:
        corner = x + side * rx * 1.15
        canvas.stroke([(corner, y - ry * 0.35), (corner + side * 0.11, y - ry * 0.62)], ink, 0.05)
    canvas.stroke(bezier((x - rx * 0.6, y + ry), (x, y + ry * 1.12), (x + rx * 0.6, y + ry)), shade(figure.skin, 0.6), 0.03)


def _draw_brow(figure: Figure, side: int) -> None:
    x, y = _eye_center(figure, side)
    y -= 0.34 if figure.boy else 0.43
    slant = {"angry": 0.2, "frown": -0.17}.get(figure.portrait.expression, 0.0)
    inner, outer = (x - side * 0.2, y + slant), (x + side * 0.24, y + 0.04 - slant * 0.5)
    brow = bezier(inner, (x, y - 0.07 + slant * 0.2), outer, 5)
    figure.canvas.stroke(brow, mix(line(figure.hair), INK, 0.3), 0.075 if figure.boy else 0.05)


def _draw_mouth(figure: Figure) -> None:
    canvas, x, y = figure.canvas, figure.turn * 0.11, 0.8
    ink = mix(shade(figure.skin, 0.75), (120, 30, 40), 0.4)
    match figure.portrait.expression:
        case "open mouth":
            mouth = [
                *bezier((x - 0.21, y - 0.05), (x, y - 0.01), (x + 0.21, y - 0.05)),
                *bezier((x + 0.2, y), (x, y + 0.36), (x - 0.2, y)),
            ]
            canvas.fill(mouth, (150, 40, 52), ink, 0.035)
            canvas.wash([ellipse(x, y + 0.15, 0.12, 0.07)], (244, 120, 124), 1, canvas.mask(mouth))
        case "frown":
            canvas.stroke(bezier((x - 0.2, y + 0.11), (x, y - 0.19), (x + 0.2, y + 0.11)), ink, 0.075)
        case "angry":
            snarl = [(x - 0.24, y + 0.12), (x - 0.15, y - 0.07), (x + 0.15, y - 0.07), (x + 0.24, y + 0.12)]
            canvas.fill(snarl, WHITE, ink, 0.055)
            canvas.stroke([(x - 0.17, y + 0.03), (x + 0.17, y + 0.03)], ink, 0.03)
        case "expressionless":
            canvas.stroke([(x - 0.13, y + 0.01), (x + 0.13, y + 0.01)], ink, 0.07)
        case _:
            canvas.stroke(bezier((x - 0.26, y - 0.07), (x, y + 0.25), (x + 0.26, y - 0.07)), ink, 0.075)


def draw_glasses(figure: Figure) -> None:
    """Draw round or square frames over eyes and fringe."""
    if not figure.portrait.glasses:
        return
    canvas, square = figure.canvas, figure.rng.random() < 0.4
    frame = figure.rng.choice(((60, 40, 48), (150, 40, 50), (50, 60, 110)))
    for side in (-1, 1):
        x, y = _eye_center(figure, side)
        if square:
            rim = [(x - 0.35, y - 0.26), (x + 0.35, y - 0.26), (x + 0.31, y + 0.36), (x - 0.31, y + 0.36)]
        else:
            rim = ellipse(x, y + 0.03, 0.37, 0.39)
        canvas.wash([rim], (222, 240, 255), 0.22)
        canvas.stroke([*rim, rim[0]], frame, 0.055)
        canvas.stroke([(x + side * 0.36, y), (side * 1.0, y - 0.06)], frame, 0.05)
    x = figure.turn * 0.09
    canvas.stroke(bezier((x - 0.1, EYE_Y + 0.02), (x, EYE_Y - 0.05), (x + 0.1, EYE_Y + 0.02), 4), frame, 0.05)
