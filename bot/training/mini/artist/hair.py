"""Hair: the part behind the body, the part in front of it, and the fringe with its lights."""

from __future__ import annotations

from PIL import Image

from bot.training.mini.artist.canvas import Path, Point, bezier, ellipse, mirrored, smooth
from bot.training.mini.artist.figure import Figure
from bot.training.mini.artist.palette import light, line, shade

LENGTH = {"short hair": 0.75, "bob cut": 1.12, "long hair": 3.4, "twintails": 0.8, "ponytail": 0.8, "braid": 0.95}
SIDE_LOCK = {"short hair": 0.42, "bob cut": 0.92, "long hair": 1.95, "twintails": 0.85, "ponytail": 0.75, "braid": 0.8}


def draw_back_hair(figure: Figure) -> None:
    """Draw all hair behind the shoulders."""
    if figure.style == "twintails":
        for side in (-1, 1):
            _tail(figure, (side * 1.05, -0.62), (side * 2.15, -0.35), (side * 1.75, figure.rng.uniform(1.7, 2.4)), 0.46)
    if figure.style == "ponytail":
        tip = (figure.side * 1.75, figure.rng.uniform(1.2, 1.9))
        _tail(figure, (figure.side * 0.55, -1.15), (figure.side * 2.45, -1.35), tip, 0.44)
    _back(figure)


def _back(figure: Figure) -> None:
    end, rng = LENGTH[figure.style], figure.rng
    half: Path
    if figure.style == "long hair":
        half = [(0, -1.3), (0.85, -1.05), (1.22, -0.2), (1.3, 0.8), (1.5, 2.0), (1.62, end), (0.6, end)]
    elif figure.style == "bob cut":
        half = [(0, -1.3), (0.85, -1.05), (1.24, -0.2), (1.36, 0.55), (1.22, 1.02), (0.85, end), (0.4, 0.95)]
    else:
        spread = rng.uniform(1.05, 1.18)
        half = [(0, -1.3), (0.85, -1.05), (1.18, -0.3), (spread, 0.3), (spread - 0.1, end), (0.75, end - 0.12), (0.4, 0.9)]
    path = smooth(mirrored(half))
    dark = shade(figure.hair, 0.32)
    figure.canvas.fill(path, dark, line(figure.hair))
    if figure.style == "long hair":
        inside = figure.canvas.mask(path)
        strands = [bezier((x * 0.8, 0.4), (x * 1.1, 1.6), (x, 3.4)) for x in (-1.45, -1.2, 1.2, 1.45)]
        figure.canvas.strokes_within(strands, line(figure.hair), 0.03, inside)
        figure.canvas.wash([ellipse(x, 1.5, 0.16, 0.7) for x in (-1.3, 1.3)], figure.hair, 0.8, inside)


def _tail(figure: Figure, root: Point, out: Point, tip: Point, width: float) -> None:
    """Draw a bunch of hair that starts at `root`, swings out and ends in `tip`."""
    side = 1 if out[0] > 0 else -1
    inner = (out[0] - side * width * 1.9, out[1] + width * 1.9)
    path = [*bezier((root[0], root[1] - 0.14), out, tip, 10), *bezier(tip, inner, (root[0], root[1] + 0.16), 10)]
    canvas = figure.canvas
    canvas.fill(path, figure.hair, line(figure.hair))
    inside = canvas.mask(path)
    middle = (out[0] - side * width * 0.75, out[1] + width * 0.6)
    canvas.wash([[*bezier(root, inner, tip, 10), *bezier(tip, middle, root, 10)]], shade(figure.hair), 0.75, inside)
    high = (out[0] - side * width * 0.25, out[1] + width * 0.3)
    canvas.strokes_within([bezier(root, high, tip, 10)[2:7]], light(figure.hair, 0.5), 0.06, inside)
    canvas.strokes_within([bezier(root, middle, tip, 10)], line(figure.hair), 0.028, inside)
    band = shade(figure.cloth, 0.1) if figure.portrait.outfit_color != figure.portrait.hair_color else (250, 250, 250)
    canvas.fill(ellipse(root[0] + side * 0.1, root[1], 0.13, 0.19), band, line(band), 0.03)


def draw_front_hair(figure: Figure) -> None:
    """Draw side locks, the braid, the cap with its fringe, strands and the ring of light."""
    locks = [_side_lock(figure, side) for side in (-1, 1)]
    for lock in locks:
        figure.canvas.fill(lock, figure.hair, line(figure.hair))
    if figure.style == "braid":
        _braid(figure)
    cap = _cap(figure)
    figure.canvas.fill(cap, figure.hair, line(figure.hair))
    inside = figure.canvas.mask(cap, *locks)
    _strands(figure, inside)
    _lights(figure, inside)


def _side_lock(figure: Figure, side: int) -> list[Point]:
    end = SIDE_LOCK[figure.style] * (0.8 if figure.boy and figure.style == "short hair" else 1.0) + figure.rng.uniform(
        -0.08, 0.08
    )
    thick = 0.34 if figure.style in {"long hair", "bob cut"} else 0.27
    bow = side * (1.26 + (0.06 if figure.style == "bob cut" else 0.0))
    tip = (side * (0.95 if figure.style != "bob cut" else 0.86), end)
    inner = (side * (1.06 - thick), end * 0.45)
    return [*bezier((side * 1.08, -0.55), (bow, end * 0.45), tip), *bezier(tip, inner, (side * 0.82, -0.5))]


def _cap(figure: Figure) -> list[Point]:
    """Returns the hair over the skull: an arc above, a row of pointed locks below, parted at one side."""
    rng = figure.rng
    lift = rng.uniform(-0.03, 0.05)
    crown = smooth(
        [(-1.12, 0.1), (-1.16, -0.45), (-0.92, -1.0), (-0.42, -1.3 - lift), (0.0, -1.37 - lift), (0.42, -1.3 - lift),
         (0.92, -1.0), (1.16, -0.45), (1.12, 0.1)],
        closed=False,
    )  # fmt: skip
    if figure.boy:
        crown = _spiky(figure, crown)
    count = rng.choice((5, 6, 7))
    step = 2.04 / count
    fringe: list[Point] = []
    lean = figure.side * rng.uniform(0.1, 0.3) * step
    for i in range(count):
        right, left = 1.02 - i * step, 1.02 - (i + 1) * step
        middle = (right + left) / 2
        drop = 0.02 + 0.16 * abs(middle) + rng.uniform(-0.08, 0.1) - (0.05 if figure.boy else 0.0)
        tip = (middle + lean + figure.turn * 0.05, drop)
        top_r, top_l = _notch(right), _notch(left)
        fringe += bezier((right, top_r), (right - 0.05 * step, drop - 0.12), tip, 5)
        fringe += bezier(tip, (left + 0.3 * step, drop - 0.16), (left, top_l), 5)
    return [*crown, *fringe]


def _spiky(figure: Figure, crown: Path) -> list[Point]:
    """Returns short tufts along the crown, swept to the parting's side."""
    spikes: list[Point] = []
    for i in range(0, len(crown) - 4, 4):
        (x0, y0), (x1, y1) = crown[i], crown[i + 4]
        reach = figure.rng.uniform(1.07, 1.17)
        t = 0.5 + 0.4 * figure.side
        spikes += [(x0, y0), ((x0 + (x1 - x0) * t) * reach, (y0 + (y1 - y0) * t) * reach)]
    return [*spikes, crown[-1]]


def _notch(x: float) -> float:
    return -0.34 + 0.22 * x * x


def _strands(figure: Figure, inside: Image.Image) -> None:

    rng = figure.rng
    part = figure.side * 0.22
    lines: list[Path] = []
    for x in (-0.85, -0.5, -0.15, 0.2, 0.55, 0.9):
        x += rng.uniform(-0.08, 0.08)
        lines.append(bezier((part + x * 0.12, -1.3), (x * 1.08, -1.0), (x, -0.22 + rng.uniform(-0.1, 0.06))))
    figure.canvas.strokes_within(lines, shade(figure.hair, 0.42), 0.024, inside)
    sides = [[*bezier((s * 1.2, -0.9), (s * 0.92, -0.2), (s * 1.08, 0.9)), (s * 1.5, 0.9), (s * 1.5, -0.9)] for s in (-1, 1)]
    figure.canvas.wash(sides, shade(figure.hair), 0.55, inside)


def _lights(figure: Figure, inside: Image.Image) -> None:

    rng = figure.rng
    y = -0.86 + rng.uniform(-0.06, 0.06)
    gleams: list[Path] = []
    x = -0.74
    while x < 0.72:
        w = rng.uniform(0.1, 0.24)
        if rng.random() < 0.85:
            top, low = y + 0.42 * x * x - 0.1, y + 0.42 * x * x + rng.uniform(0.06, 0.16)
            gleams.append([(x, top), (x + w, top - 0.01), (x + w * 0.75, low), (x + w * 0.4, low - 0.07), (x + w * 0.2, low)])
        x += w + 0.03
    amount = 0.75 if figure.portrait.hair_color in {"white", "blonde"} else 0.45
    figure.canvas.wash(gleams, light(figure.hair, amount), 0.9, inside)


def _braid(figure: Figure) -> None:
    """Draw one plait before the shoulder."""
    canvas, side = figure.canvas, figure.side
    for i in range(7):
        y = 0.75 + i * 0.27
        x = side * (0.98 + 0.05 * (i % 2) - 0.03 * i)
        r = 0.24 - 0.012 * i
        for flank in (-1, 1):
            canvas.fill(
                ellipse(x + flank * 0.09, y, r * 0.62, r * 0.95, angle=-flank * 0.5), figure.hair, line(figure.hair), 0.03
            )
        canvas.wash([ellipse(x - 0.1, y - 0.04, r * 0.2, r * 0.4, angle=0.5)], light(figure.hair), 0.8)
    x, y = side * 0.78, 2.62
    canvas.fill(
        [(x - 0.15, y), (x + 0.15, y), (x + 0.19, y + 0.42), (x, y + 0.52), (x - 0.19, y + 0.42)],
        figure.hair,
        line(figure.hair),
    )
    canvas.fill(ellipse(x, y, 0.17, 0.09), (250, 250, 250), line(figure.hair), 0.025)
