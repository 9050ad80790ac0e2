"""The pastel look: a function of a picture that the small model's LoRA learns, and a folder of such pictures to train on.

Colours move in Oklab (Björn Ottosson 2020, "A perceptual color space for image processing"), where raising the lightness and
lowering the chroma leaves a colour's name alone: green hair stays green.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from bot.training.mini.artist.portrait import random_portrait
from bot.training.mini.artist.render import draw_portrait
from bot.training.mini.captions import caption

Floats = npt.NDArray[np.float64]

DARKEST = 0.4  # Oklab lightness that black becomes
CURVE = 0.95  # below 1: middle tones come nearer to white
SATURATION, MOST_CHROMA = 0.55, 1.35  # chroma per lightness that is kept, and by how much a dark colour's chroma may grow
PINK = (0.022, 0.003)  # Oklab a and b that the darkest colours move by, lighter ones less, white not at all
LINE_SHARE = 0.2  # of an ink line's darkness gives way to the colours beside it
LINE_PIXELS = 256 / 5  # a line is as thin as the shorter side through this
GLOW, GLOW_PIXELS = 0.2, 256 / 5  # share of a blurred, brightening copy, and its radius as a part of the shorter side

LMS_OF_RGB = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
LAB_OF_LMS = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def pastel(picture: Image.Image) -> Image.Image:
    """Returns the RGB picture in light, gentle colours, with softer lines and a slight glow; the same size."""
    lab = to_oklab(picture_values(_soften_lines(picture)))
    lightness = lab[..., :1]
    lifted = DARKEST + (1 - DARKEST) * lightness**CURVE
    chroma = (SATURATION * lifted / lightness.clip(min=1e-3)).clip(max=MOST_CHROMA)
    # white stays white: a tinted one looks like old paper
    colours = np.concatenate([lifted, lab[..., 1:] * chroma + np.array(PINK) * (1 - lightness**2)], axis=-1)
    return _glow(to_picture(from_oklab(colours)))


def _soften_lines(picture: Image.Image) -> Image.Image:
    """Returns the picture with thin dark lines in the colours around them: a closing (largest, then smallest neighbour)."""
    size = round(min(picture.size) / LINE_PIXELS) // 2 * 2 + 1
    closed = picture.filter(ImageFilter.MaxFilter(size)).filter(ImageFilter.MinFilter(size))
    return Image.blend(picture, closed, LINE_SHARE)


def _glow(picture: Image.Image) -> Image.Image:
    """Returns the picture with light that spills over: a share of it screened with its blur."""
    values = picture_values(picture)
    blurred = picture_values(picture.filter(ImageFilter.GaussianBlur(min(picture.size) / GLOW_PIXELS)))
    screened = 1 - (1 - values) * (1 - 0.5 * blurred)
    return to_picture(values + GLOW * (screened - values))


def picture_values(picture: Image.Image) -> Floats:
    """Returns (height, width, 3), sRGB in 0..1."""
    return np.asarray(picture.convert("RGB"), dtype=np.float64) / 255


def to_picture(values: Floats) -> Image.Image:
    return Image.fromarray(np.rint(values.clip(0, 1) * 255).astype(np.uint8), "RGB")


def to_oklab(values: Floats) -> Floats:
    """Returns sRGB in 0..1 as lightness 0..1 and the two colour axes."""
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ LMS_OF_RGB.T) @ LAB_OF_LMS.T


def from_oklab(lab: Floats) -> Floats:
    """Returns the inverse; colours that a screen cannot show are cut off at 0 and 1."""
    linear = (lab @ np.linalg.inv(LAB_OF_LMS).T) ** 3 @ np.linalg.inv(LMS_OF_RGB).T
    linear = linear.clip(0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def write_pastel_folder(folder: Path, count: int, seed: int, sizes: Sequence[tuple[int, int]] = ((256, 256),)) -> None:
    """Write `count` pastel portraits with captions, of each (width, height) in turn. The same seed gives the same files."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        rng = random.Random(f"{seed}/pastel/{index}")  # noqa: S311  # pictures, not secrets
        portrait = random_portrait(rng)
        width, height = sizes[index % len(sizes)]
        pastel(draw_portrait(portrait, width, height)).save(folder / f"{index:05}.png")
        (folder / f"{index:05}.txt").write_text(caption(portrait, rng), encoding="utf-8")
