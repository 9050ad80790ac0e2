"""Latents to pixels, and the refusal of pictures that a numerical fault emptied."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from bot.domain.profile import ModelProfile
from bot.errors import GenerationError
from bot.inference.faults import free_memory, is_out_of_memory
from bot.inference.loading.vae_range import in_float32
from bot.inference.transfers import Fetched, Mark, fetched, marked, runs_behind, sent
from bot.messages import translatable

MIN_DEVIATION, MIN_BRIGHTEST = 2.0, 8  # of 255; below either a picture is one flat or black area
EMPTY = translatable(
    "The picture came out empty, because the model miscalculated. Try another seed or a lower `guidance_scale`."
)

LARGE = 1.6  # times the area of the profile's default size; the shipped sizes keep below 1.2, an upscale has 2.25


def is_large(profile: ModelProfile, width: int, height: int) -> bool:
    """Returns whether a picture of that size is decoded in tiles: at once, its memory would grow with the picture."""
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoded:
    """A picture that the VAE was told to make; a GPU may still be working on it.

    `levels` (height, width, 3) are bytes. `verdict` says whether the latents and the pixels were finite (0 or 1), and gives the
    deviation and the highest of the levels. `again`: it is the second try.
    """

    levels: Fetched
    verdict: Fetched
    again: bool
    began: Mark | None

    @property
    def is_here(self) -> bool:
        """Returns whether `image` returns without waiting; the levels come last."""
        return self.levels.is_here

    def image(self) -> Image.Image | None:
        """Returns the picture; None where it is empty, which a second try in float32 may mend.

        Raises GenerationError if the second try is empty too.
        """
        levels = self.levels.wait()
        sound, finite, deviation, brightest = self.verdict.wait().tolist()
        if sound and finite and deviation > MIN_DEVIATION and brightest > MIN_BRIGHTEST:
            return Image.fromarray(levels.numpy(), "RGB")
        if self.again or not sound:
            raise GenerationError(EMPTY, retryable=False)
        return None

    def gpu_seconds(self) -> float | None:
        """Returns how long a GPU took, once the picture is here; None on a CPU."""
        if self.began is None or self.levels.arrived is None:
            return None
        return self.began.elapsed_time(self.levels.arrived) / 1000


def decode(pipeline: Any, latents: torch.Tensor, again: bool = False) -> Decoded:  # noqa: FBT001, FBT002
    """Start decoding the latents of one picture as diffusers' SDXL pipeline does; on a GPU it waits for nothing.

    A picture that is not finite, or is flat, must be decoded `again`, in float32, by a copy of the decoder that is freed after
    it. The VAE itself is never moved or cast.
    """
    sound = torch.isfinite(latents).all()
    if not runs_behind(latents.device) and not sound:
        raise GenerationError(EMPTY, retryable=False)
    began = marked(latents.device)
    vae = in_float32(pipeline.vae) if again else pipeline.vae
    dtype = torch.float32 if again else vae.dtype
    with torch.no_grad():
        pixels: torch.Tensor = vae.decode(_unscaled(vae.config, latents.to(dtype)), return_dict=False)[0]
    levels = ((pixels[0] * 0.5 + 0.5).clamp(0, 1).float() * 255).round().permute(1, 2, 0)
    finite = torch.isfinite(pixels).all()
    verdict = torch.stack([sound.float(), finite.float(), levels.std(correction=0), levels.max()])
    return Decoded(verdict=fetched(verdict), levels=fetched(levels.to(torch.uint8).contiguous()), again=again, began=began)


def decode_within_memory(pipeline: Any, profile: ModelProfile, latents: torch.Tensor, *, again: bool = False) -> Decoded:
    """Decode, a large picture in tiles. When memory runs out, free what is unused and decode once more, in tiles."""
    height, width = (side * pipeline.vae_scale_factor for side in latents.shape[-2:])
    try:
        with tiling(pipeline.vae, when=is_large(profile, width, height)):
            return decode(pipeline, latents, again)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    free_memory()
    with tiling(pipeline.vae):
        return decode(pipeline, latents, again)


def _unscaled(config: Any, latents: torch.Tensor) -> torch.Tensor:
    """Undo the scaling that the UNet was trained with; some VAEs have a mean and deviation per channel."""
    mean, std = config.get("latents_mean"), config.get("latents_std")
    if mean is None or std is None:
        return latents / config.scaling_factor
    mean, std = (sent(torch.tensor(one, dtype=latents.dtype).view(1, -1, 1, 1), latents.device) for one in (mean, std))
    return latents * std / config.scaling_factor + mean
