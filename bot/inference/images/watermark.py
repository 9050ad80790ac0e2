"""Adds the invisible watermark of Stable Diffusion XL, if the operator wants it. Importing this module imports torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from diffusers.pipelines.stable_diffusion_xl.watermark import WATERMARK_BITS
from PIL import Image

from bot.errors import ModelError

METHOD = "dwtDct"  # as diffusers' own pipeline and the programs that look for this mark
LEAST_PIXELS = 256 * 256  # imwatermark takes no smaller pictures (WatermarkEncoder.encode)


class Watermark:
    """Adds diffusers' 48 bits to pictures: the same for all, so they say "a model drew this" and nothing about a member. Used
    by several threads.
    """

    def __init__(self) -> None:
        """Raises ModelError where the package cannot be imported."""
        try:
            from imwatermark import WatermarkEncoder  # pyright: ignore[reportMissingImports] # of the extra `watermark`
        except ImportError as error:
            raise ModelError(
                f"WATERMARK=true, but its package cannot be imported ({error}). "
                "Install it with `pip install '.[watermark]'`, or take WATERMARK out."
            ) from None
        self._encoder: Any = WatermarkEncoder()
        self._encoder.set_watermark("bits", WATERMARK_BITS)

    def over(self, image: Image.Image) -> Image.Image:
        """Returns a marked copy; a picture that is too small for it comes back as it is. Takes 0.2 s at 1024 x 1024."""
        if image.width * image.height < LEAST_PIXELS:
            return image
        blue_first = np.asarray(image.convert("RGB"))[:, :, ::-1].copy()  # OpenCV's order
        marked: np.ndarray[Any, np.dtype[np.uint8]] = self._encoder.encode(blue_first, METHOD)
        return Image.fromarray(np.ascontiguousarray(marked[:, :, ::-1]))
