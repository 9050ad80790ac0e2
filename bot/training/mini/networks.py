"""The mini SDXL's other networks: two CLIP text encoders and the UNet with text_time conditioning."""

# diffusers exports lazily and annotates tuples of any length as tuple[int]; torch and transformers are partly unannotated.
# pyright: reportPrivateImportUsage=false, reportArgumentType=false
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import EulerAncestralDiscreteScheduler, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from bot.training.mini.captions import vocabulary
from bot.training.mini.tokens import MAX_LENGTH, write_tokenizer

TRAIN_TIMESTEPS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoiserShape:
    """Sizes of UNet and text encoders; `attention` says where there is attention, finest resolution first."""

    latent_channels: int = 24
    channels: tuple[int, int, int] = (128, 192, 224)
    attention: tuple[bool, bool, bool] = (False, True, True)
    layers: int = 1
    head_channels: int = 32
    groups: int = 16
    text_width: int = 128
    text_layers: int = 3
    time_id_width: int = 16
    sample_size: int = 16


class Denoiser(nn.Module):
    """UNet and text encoders as one module."""

    def __init__(self, shape: DenoiserShape, tokenizer: CLIPTokenizer, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.text_encoder = CLIPTextModel(_text_config(shape, tokenizer))
        self.text_encoder_2 = CLIPTextModelWithProjection(_text_config(shape, tokenizer))
        unet: Any = build_unet(shape)
        self.unet: UNet2DConditionModel = unet.to(memory_format=torch.channels_last)  # faster on a CPU

    @property
    def device(self) -> torch.device:
        unet: Any = self.unet
        return unet.device


def _text_config(shape: DenoiserShape, tokenizer: CLIPTokenizer) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.text_width,
        intermediate_size=shape.text_width * 4,
        projection_dim=shape.text_width,
        num_hidden_layers=shape.text_layers,
        num_attention_heads=4,
        max_position_embeddings=MAX_LENGTH,
        hidden_act="gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def build_unet(shape: DenoiserShape) -> UNet2DConditionModel:
    """Returns SDXL's kind of UNet: linear projections, text_time embedding from the pooled text and six size numbers."""
    return UNet2DConditionModel(
        sample_size=shape.sample_size,
        in_channels=shape.latent_channels,
        out_channels=shape.latent_channels,
        block_out_channels=shape.channels,
        layers_per_block=shape.layers,
        down_block_types=tuple("CrossAttnDownBlock2D" if on else "DownBlock2D" for on in shape.attention),
        up_block_types=tuple("CrossAttnUpBlock2D" if on else "UpBlock2D" for on in reversed(shape.attention)),
        transformer_layers_per_block=1,
        attention_head_dim=tuple(channels // shape.head_channels for channels in shape.channels),  # SDXL: number of heads
        use_linear_projection=True,
        cross_attention_dim=2 * shape.text_width,
        norm_num_groups=shape.groups,
        addition_embed_type="text_time",
        addition_time_embed_dim=shape.time_id_width,
        projection_class_embeddings_input_dim=6 * shape.time_id_width + shape.text_width,
    )


def build_tokenizer(folder: Path) -> CLIPTokenizer:
    """Write the tokenizer's files into `folder`, load them and return the tokenizer."""
    write_tokenizer(folder, vocabulary())
    return CLIPTokenizer.from_pretrained(folder)


def build_scheduler() -> EulerAncestralDiscreteScheduler:
    """Returns SDXL's noise schedule, rescaled to end in pure noise, where every drawing begins; else nights and white turn grey
    (Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed"). Trailing spacing starts there.
    """
    return EulerAncestralDiscreteScheduler(
        num_train_timesteps=TRAIN_TIMESTEPS,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )
