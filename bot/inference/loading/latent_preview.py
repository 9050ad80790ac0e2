"""Gives a rough look at a picture while it is drawn: a linear map from latents to colours, which costs almost nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from bot.inference.images.metadata import encode_webp
from bot.inference.transfers import Fetched, fetched, sent

LONGEST_SIDE = 384  # pixels; domain.progress allows 512
QUALITY = 75
# diffusers' documentation (using-diffusers/callback) gives these for SDXL: weights a latent channel, and a bias, of 255
SDXL_WEIGHTS = ((60, 60, 60), (-60, -5, 10), (25, 15, -5), (-70, -50, -35))
SDXL_BIAS = (150, 140, 130)

FloatArray = npt.NDArray[np.float32]


class LatentPreview:
    """Maps latents to colours with a (channels + 1) x 3 matrix, the last row being the bias."""

    def __init__(self, matrix: FloatArray) -> None:
        self._matrix = torch.tensor(matrix)

    @classmethod
    def for_sdxl(cls) -> LatentPreview:
        return cls(np.array([*SDXL_WEIGHTS, SDXL_BIAS], dtype=np.float32))

    @classmethod
    def fitted(cls, vae: Any) -> LatentPreview:
        """Returns a map for another VAE: the least-squares fit of a few random latents to the VAE's output for them."""
        generator = torch.Generator("cpu").manual_seed(0)
        channels = int(vae.config.latent_channels)
        coarse = torch.randn(8, channels, 4, 4, generator=generator)
        latents = torch.nn.functional.interpolate(coarse, size=16, mode="bicubic")
        with torch.no_grad():
            pixels = vae.decode((latents / vae.config.scaling_factor).to(vae.device, vae.dtype), return_dict=False)[0]
        pooled = torch.nn.functional.adaptive_avg_pool2d(pixels.float().cpu(), 16)
        colours = _rows((pooled / 2 + 0.5) * 255)
        matrix, *_ = np.linalg.lstsq(_with_bias(_rows(latents)), colours)
        return cls(matrix.astype(np.float32))

    def look(self, latents: torch.Tensor) -> Look:
        """Returns a look at the first picture in `latents`, without waiting for a device that works behind its thread."""
        if self._matrix.device != latents.device:
            self._matrix = sent(self._matrix, latents.device)
        return Look(colours=fetched(latents[0].float().permute(1, 2, 0) @ self._matrix[:-1] + self._matrix[-1]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """Colours of a half-drawn picture, 0 to 255, a row a line; they may be on their way from the device."""

    colours: Fetched

    def image(self) -> Image.Image | None:
        """Returns the picture, LONGEST_SIDE pixels; None if it is not finite and would be black. Any thread."""
        colours = self.colours.wait().numpy()
        if not np.isfinite(colours).all():
            return None
        small = Image.fromarray(colours.clip(0, 255).astype(np.uint8), "RGB")
        scale = LONGEST_SIDE / max(small.size)
        return small.resize((round(small.width * scale), round(small.height * scale)), Image.Resampling.BICUBIC)


def encoded(image: Image.Image) -> bytes:
    """Returns the WebP that is shown."""
    return encode_webp(image, None, QUALITY)


def _rows(tensor: torch.Tensor) -> FloatArray:
    """Returns (batch, channels, height, width) as one row per pixel."""
    return tensor.permute(0, 2, 3, 1).reshape(-1, tensor.shape[1]).numpy().astype(np.float32)


def _with_bias(rows: FloatArray) -> FloatArray:
    return np.concatenate([rows, np.ones((len(rows), 1), dtype=np.float32)], axis=1)
