"""A model's UNet and VAE as shapes without data: counting on them takes no memory, however large they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel  # pyright: ignore[reportPrivateImportUsage] # diffusers exports lazily

from bot.inference.loading.pipelines import LoadedModel

TOKENS = 77  # of one chunk of a prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaUnet:
    """A UNet of shapes. `call` takes that many rows of a picture in that size; latents are (channels, height, width)."""

    module: Any
    latents: tuple[int, int, int]
    pooled: int

    def call(self, rows: int) -> None:
        dtype = self.module.dtype
        with torch.device("meta"), torch.no_grad():
            self.module(
                torch.empty(rows, *self.latents, dtype=dtype),
                torch.empty(rows),
                encoder_hidden_states=torch.empty(rows, TOKENS, int(self.module.config.cross_attention_dim), dtype=dtype),
                added_cond_kwargs={
                    "text_embeds": torch.empty(rows, self.pooled, dtype=dtype),
                    "time_ids": torch.empty(rows, 6, dtype=dtype),
                },
                return_dict=False,
            )


def meta_unet(model: LoadedModel, *, width: int, height: int, dtype: torch.dtype = torch.float32) -> MetaUnet:
    """Returns the UNet; takes seconds for SDXL. `width` and `height` are pixels."""
    pipeline = model.text2img
    with torch.device("meta"):
        module: Any = UNet2DConditionModel.from_config(pipeline.unet.config)
    scale = pipeline.vae_scale_factor
    return MetaUnet(
        module=module.to(dtype),
        latents=(int(pipeline.unet.config.in_channels), height // scale, width // scale),
        pooled=int(pipeline.text_encoder_2.config.projection_dim),
    )


def meta_vae(model: LoadedModel, dtype: torch.dtype = torch.float32) -> Any:
    """Returns the VAE alone; its inputs have to be made on the meta device too."""
    with torch.device("meta"):
        module: Any = AutoencoderKL.from_config(model.text2img.vae.config)
    return module.to(dtype)
