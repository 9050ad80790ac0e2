"""Normalises a picture file to what a person sees: 8 bits a channel, no palette, no background. All on the caller's thread."""

from __future__ import annotations

import io
from typing import cast

from PIL import Image

from bot.inference.images.png_chunks import SIGNATURE, lean

FORMATS = ("PNG", "JPEG", "WEBP")
GREY, COLOUR = 0, 2  # types of a PNG


def opened(data: bytes) -> Image.Image:
    """Returns the file's first picture, with only the header read. Raises Pillow's errors for other files."""
    data = lean(data)
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    if data.startswith(SIGNATURE) and "transparency" in image.info:
        image.info["transparency"] = _eight_bits_of(image.info["transparency"], depth=data[24], kind=data[25])
    return image


def eight_bits(image: Image.Image) -> Image.Image:
    """Returns the picture as L, RGB, RGBA or another mode of 8 bits a channel, in which transparency is kept."""
    if not image.mode.startswith("I"):
        return image
    import numpy as np  # few pictures need it, and a start does not wait for it

    values = np.asarray(image)
    grey = Image.fromarray((values.clip(0, 0xFFFF) // 257).astype(np.uint8))
    if isinstance(hidden := image.info.get("transparency"), int):
        grey.putalpha(Image.fromarray(np.where(values == hidden, 0, 255).astype(np.uint8)))
    if (exif := image.info.get("exif")) is not None:
        grey.info["exif"] = exif
    return grey


def on_white(image: Image.Image) -> Image.Image:
    """Returns the picture as RGB; transparent pixels become white."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    white.alpha_composite(layer)
    return white.convert("RGB")


def _eight_bits_of(hidden: object, *, depth: int, kind: int) -> object:
    """Returns the transparent colour, scaled as Pillow scales pixels to 8 bits; it scales the colour at depth 1 alone."""
    if kind == GREY and depth in {2, 4} and isinstance(hidden, int):
        return hidden * 255 // (2**depth - 1)
    if kind == COLOUR and depth > 8 and isinstance(hidden, tuple):
        return tuple(value >> 8 for value in cast("tuple[int, ...]", hidden))
    return hidden
