"""A canvas in the figure's own units: shapes are given once and the camera moves, turns and scales them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw

from bot.training.mini.artist.palette import Color

Point = tuple[float, float]
Path = Sequence[Point]
Box = tuple[int, int, int, int]

CIRCLE: Path = tuple((math.cos(i * math.tau / 32), math.sin(i * math.tau / 32)) for i in range(32))
STEPS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """The camera: pixels a unit, the tilt in radians, and where the unit origin lies in pixels."""

    scale: float
    angle: float = 0.0
    x: float = 0.0
    y: float = 0.0


def smooth(points: Path, *, closed: bool = True) -> list[Point]:
    """Returns a Catmull-Rom curve through the points; a point given twice in a row makes a corner."""
    n = len(points)
    curve: list[Point] = []
    for i in range(n if closed else n - 1):
        p0 = points[i - 1] if closed or i > 0 else points[0]
        p1, p2 = points[i], points[(i + 1) % n]
        p3 = points[(i + 2) % n] if closed or i + 2 < n else points[-1]
        if p1 == p2:
            continue
        for k in range(STEPS):
            t = k / STEPS
            a, b = 2 * t * t - t**3 - t, 3 * t**3 - 5 * t * t + 2
            c, d = 4 * t * t - 3 * t**3 + t, t**3 - t * t
            curve.append(
                ((a * p0[0] + b * p1[0] + c * p2[0] + d * p3[0]) / 2, (a * p0[1] + b * p1[1] + c * p2[1] + d * p3[1]) / 2)
            )
    if not closed:
        curve.append(points[-1])
    return curve


def bezier(start: Point, control: Point, end: Point, steps: int = 8) -> list[Point]:
    """Returns a quadratic curve, both ends included."""
    curve: list[Point] = []
    for k in range(steps + 1):
        t = k / steps
        a, b, c = (1 - t) ** 2, 2 * t * (1 - t), t * t
        curve.append((a * start[0] + b * control[0] + c * end[0], a * start[1] + b * control[1] + c * end[1]))
    return curve


def ellipse(x: float, y: float, rx: float, ry: float, *, angle: float = 0.0) -> list[Point]:
    cos, sin = math.cos(angle), math.sin(angle)
    return [(x + u * rx * cos - v * ry * sin, y + u * rx * sin + v * ry * cos) for u, v in CIRCLE]


def mirrored(half: Path) -> list[Point]:
    """Returns a closed outline from its right half, listed from top to bottom."""
    return [*half, *((-x, y) for x, y in reversed(half))]


class Canvas:
    """A Pillow picture drawn through a camera."""

    def __init__(self, image: Image.Image, camera: Camera) -> None:
        self.image = image
        self.camera = camera
        self._draw = ImageDraw.Draw(image)
        self._cos = math.cos(camera.angle) * camera.scale
        self._sin = math.sin(camera.angle) * camera.scale

    def pixels(self, path: Iterable[Point]) -> list[Point]:
        cos, sin, x0, y0 = self._cos, self._sin, self.camera.x, self.camera.y
        return [(x0 + x * cos - y * sin, y0 + x * sin + y * cos) for x, y in path]

    def fill(self, path: Path, color: Color, outline: Color | None = None, width: float = 0.035) -> None:
        """Fill a closed path; `outline` is drawn over its edge, `width` units wide."""
        points = self.pixels(path)
        self._draw.polygon(points, fill=color)
        if outline is not None:
            self._draw.line([*points, points[0], points[1]], fill=outline, width=self._pixel_width(width), joint="curve")

    def stroke(self, path: Path, color: Color, width: float = 0.035) -> None:
        """Draw an open line with round ends."""
        points = self.pixels(path)
        thick = self._pixel_width(width)
        self._draw.line(points, fill=color, width=thick, joint="curve")
        if thick > 2:
            r = thick / 2
            for x, y in (points[0], points[-1]):
                self._draw.ellipse((x - r, y - r, x + r, y + r), fill=color)

    def mask(self, *paths: Path) -> Image.Image:
        """Returns the union of closed paths, 255 inside."""
        mask = Image.new("L", self.image.size)
        draw = ImageDraw.Draw(mask)
        for path in paths:
            draw.polygon(self.pixels(path), fill=255)
        return mask

    def wash(self, paths: Iterable[Path], color: Color, opacity: float, within: Image.Image | None = None) -> None:
        """Lay `color` over the paths with `opacity` in 0..1, inside the mask `within` only."""
        shapes = [self.pixels(path) for path in paths]
        box = self._bounds(shapes, 1)
        if box is None:
            return
        mask = Image.new("L", (box[2] - box[0], box[3] - box[1]))
        draw = ImageDraw.Draw(mask)
        for shape in shapes:
            draw.polygon([(x - box[0], y - box[1]) for x, y in shape], fill=round(255 * opacity))
        self._lay(mask, box, color, within)

    def strokes_within(self, lines: Iterable[Path], color: Color, width: float, within: Image.Image) -> None:
        """Draw open lines that show inside the mask only."""
        shapes = [self.pixels(path) for path in lines]
        thick = self._pixel_width(width)
        box = self._bounds(shapes, thick)
        if box is None:
            return
        mask = Image.new("L", (box[2] - box[0], box[3] - box[1]))
        draw = ImageDraw.Draw(mask)
        for shape in shapes:
            draw.line([(x - box[0], y - box[1]) for x, y in shape], fill=255, width=thick, joint="curve")
        self._lay(mask, box, color, within)

    def _lay(self, mask: Image.Image, box: Box, color: Color, within: Image.Image | None) -> None:
        if within is not None:
            mask = ImageChops.multiply(mask, within.crop(box))
        self.image.paste(color, box, mask)

    def _bounds(self, shapes: Sequence[Path], margin: int) -> Box | None:
        """Returns the pixels that the shapes can touch, inside the picture; None when they lie outside or there are none."""
        xs = [x for shape in shapes for x, _ in shape]
        ys = [y for shape in shapes for _, y in shape]
        if not xs:
            return None
        width, height = self.image.size
        left, top = max(0, int(min(xs)) - margin), max(0, int(min(ys)) - margin)
        right, bottom = min(width, int(max(xs)) + margin + 2), min(height, int(max(ys)) + margin + 2)
        return (left, top, right, bottom) if left < right and top < bottom else None

    def _pixel_width(self, width: float) -> int:
        return max(1, round(width * self.camera.scale))
