"""Latents to pixels, and the refusal of pictures that a numerical fault emptied."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image

from bot.domain.profile import ModelProfile
from bot.errors import GenerationError
from bot.inference.faults import free_memory, is_out_of_memory

MIN_DEVIATION, MIN_BRIGHTEST = 2.0, 8  # of 255; below either a picture is one flat or black area
EMPTY = "The picture came out empty, which is a numerical fault of the model. Try another seed or a lower guidance_scale."

LARGE = 1.6  # times the area of the profile's default size; the shipped sizes keep below 1.2, an upscale has 2.25

logger = logging.getLogger(__name__)


def is_large(profile: ModelProfile, width: int, height: int) -> bool:
    """Whether the VAE takes a picture of so many pixels in tiles: at once, its memory would grow with the picture."""
    usual = profile.size(None)
    return width * height > LARGE * usual.width * usual.height


@contextmanager
def tiling(vae: Any, *, when: bool = True) -> Generator[None]:
    """Let the VAE encode and decode in tiles, whose edges it blends, so that a picture takes the memory of one tile. Where the
    GPU is small, it always does.
    """
    before = vae.use_tiling
    vae.use_tiling = before or when
    try:
        yield
    finally:
        vae.use_tiling = before


def decode(pipeline: Any, latents: torch.Tensor) -> Image.Image:
    """Decode the latents of one picture as diffusers' SDXL pipeline does.

    float16 overflows in the VAE of SDXL; a picture that is not finite or flat is decoded once more in float32.
    Raises GenerationError rather than give back an empty picture.
    """
    if not torch.isfinite(latents).all():
        raise GenerationError(EMPTY, retryable=False)
    vae, dtype = pipeline.vae, pipeline.vae.dtype
    upcast = dtype == torch.float16 and vae.config.force_upcast
    try:
        image = _decode_once(pipeline, latents, torch.float32 if upcast else dtype)
        if image is None:
            logger.warning("A picture came out empty in %s; decoding it again in float32.", vae.dtype)
            image = _decode_once(pipeline, latents, torch.float32)
    finally:
        vae.to(dtype=dtype)  # float16 weights survive the way to float32 and back unchanged
    if image is None:
        raise GenerationError(EMPTY, retryable=False)
    return image


def decode_within_memory(pipeline: Any, profile: ModelProfile, latents: torch.Tensor) -> Image.Image:
    """The same, a large one in tiles. When memory runs out: free what is free, and decode once more, in tiles."""
    height, width = (side * pipeline.vae_scale_factor for side in latents.shape[-2:])
    try:
        with tiling(pipeline.vae, when=is_large(profile, width, height)):
            return decode(pipeline, latents)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    free_memory()
    with tiling(pipeline.vae):
        return decode(pipeline, latents)


def _decode_once(pipeline: Any, latents: torch.Tensor, dtype: torch.dtype) -> Image.Image | None:
    """None when the picture is empty."""
    vae = pipeline.vae
    vae.to(dtype=dtype)
    with torch.no_grad():
        pixels: torch.Tensor = vae.decode(_unscaled(vae.config, latents.to(dtype)), return_dict=False)[0]
    if not torch.isfinite(pixels).all():
        return None
    image: Image.Image = pipeline.image_processor.postprocess(pixels, output_type="pil")[0]
    levels = np.asarray(image, dtype=np.float32)
    return image if levels.std() > MIN_DEVIATION and levels.max() > MIN_BRIGHTEST else None


def _unscaled(config: Any, latents: torch.Tensor) -> torch.Tensor:
    """Undo the scaling that the UNet was trained with; some VAEs have a mean and deviation a channel."""
    mean, std = config.get("latents_mean"), config.get("latents_std")
    if mean is None or std is None:
        return latents / config.scaling_factor
    mean = torch.tensor(mean).view(1, -1, 1, 1).to(latents.device, latents.dtype)
    std = torch.tensor(std).view(1, -1, 1, 1).to(latents.device, latents.dtype)
    return latents * std / config.scaling_factor + mean
