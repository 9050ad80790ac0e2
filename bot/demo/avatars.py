"""Draws avatars for the people of the demo, so that nothing has to be downloaded."""

from __future__ import annotations

import io

from PIL import Image, ImageChops, ImageDraw

SIDE = 128  # pixels, Discord's size for a profile picture in a chat at high resolution
SMOOTH = 4  # drawn larger and scaled down, Pillow's shapes have no anti-aliasing

Colour = tuple[int, int, int]


def gradient_avatar(top: Colour, bottom: Colour, *, moon: bool = False) -> bytes:
    """Returns a PNG with a vertical gradient, and a crescent moon on it or a plain figure."""
    side = SIDE * SMOOTH
    blend = Image.linear_gradient("L").resize((side, side))
    picture = Image.composite(Image.new("RGB", (side, side), bottom), Image.new("RGB", (side, side), top), blend)
    picture.paste("white", mask=_crescent(side) if moon else _figure(side))
    out = io.BytesIO()
    picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(out, "PNG")
    return out.getvalue()


def _crescent(side: int) -> Image.Image:
    disc, cut = Image.new("L", (side, side)), Image.new("L", (side, side))
    ImageDraw.Draw(disc).ellipse([0.22 * side, 0.2 * side, 0.82 * side, 0.8 * side], fill=255)
    ImageDraw.Draw(cut).ellipse([0.4 * side, 0.12 * side, 0.92 * side, 0.64 * side], fill=255)
    return ImageChops.subtract(disc, cut)


def _figure(side: int) -> Image.Image:
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    draw.ellipse([0.34 * side, 0.2 * side, 0.66 * side, 0.52 * side], fill=255)
    draw.ellipse([0.18 * side, 0.58 * side, 0.82 * side, 1.2 * side], fill=255)
    return mask
