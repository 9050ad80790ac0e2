"""Puts a model's weights where the plan of the GPU's memory says."""

from __future__ import annotations

from typing import Any

import torch

from bot.domain.memory_plan import MemoryPlan
from bot.inference.card_memory import DECODING, EIGHT_BIT, ON_CPU, TEXT, TILE_PIXELS, TILES, UNET
from bot.inference.formats.model_layers import TEXT_ENCODERS
from bot.inference.loading.vae_range import settle_type


def put_in_place(pipeline: Any, device: torch.device, plan: MemoryPlan | None) -> None:
    """Move the weights to `device`, but those that the plan leaves out to the CPU. Weights stored in 8 bit are converted before
    the move, since they would not fit otherwise; they compute in the type that they had. From here on the VAE keeps its type.
    """
    if plan is not None and plan.form(UNET) == EIGHT_BIT:
        pipeline.unet.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=pipeline.unet.dtype)
    encoders = torch.device("cpu") if plan is not None and plan.form(TEXT) == ON_CPU else device
    pipeline.unet.to(device)
    pipeline.vae.to(device)
    settle_type(pipeline.vae)
    for name in TEXT_ENCODERS:
        getattr(pipeline, name).to(encoders)
    if plan is not None and plan.form(DECODING) == TILES:
        pipeline.vae.tile_sample_min_size = TILE_PIXELS
        pipeline.vae.tile_latent_min_size = TILE_PIXELS // pipeline.vae_scale_factor
        pipeline.vae.enable_tiling()
