"""An SDXL with random weights, made on the spot on any device: the shapes and the work of the real one, without its download.

The figures are those of the configuration files of stabilityai/stable-diffusion-xl-base-1.0. Its pictures are coloured noise.
torch is imported when something is built.
"""

# diffusers exports lazily; torch and transformers are partly unannotated.
# pyright: reportPrivateImportUsage=false, reportArgumentType=false
from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.inference.random_models.tiny import spread_colours

if TYPE_CHECKING:
    import torch

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SdxlConfig:
    """The parts' configs as diffusers and transformers call them; values equal to their defaults are left out."""

    unet: Config
    vae: Config
    text_encoder: Config
    text_encoder_2: Config


SDXL_BASE = SdxlConfig(
    unet={
        "sample_size": 128,
        "in_channels": 4,
        "out_channels": 4,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "block_out_channels": (320, 640, 1280),
        "layers_per_block": 2,
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (5, 10, 20),  # diffusers' old name for the number of heads
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
    vae={
        "in_channels": 3,
        "out_channels": 3,
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "block_out_channels": (128, 256, 512, 512),
        "layers_per_block": 2,
        "latent_channels": 4,
        "sample_size": 1024,
        "scaling_factor": 0.13025,
        "force_upcast": True,
    },
    text_encoder={
        "vocab_size": 49408,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "max_position_embeddings": 77,
        "hidden_act": "quick_gelu",
        "projection_dim": 768,
        "bos_token_id": 0,
        "eos_token_id": 2,  # as published: transformers then pools at the highest id, which is the end's
        "pad_token_id": 1,
    },
    text_encoder_2={
        "vocab_size": 49408,
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_attention_heads": 20,
        "max_position_embeddings": 77,
        "hidden_act": "gelu",
        "projection_dim": 1280,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 1,
    },
)

SDXL_TINY = SdxlConfig(
    unet={
        **SDXL_BASE.unet,
        "sample_size": 8,
        "block_out_channels": (32, 32, 64),
        "layers_per_block": 1,
        "transformer_layers_per_block": (1, 1, 1),
        "attention_head_dim": (1, 1, 2),
        "cross_attention_dim": 64,
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 6 * 8 + 32,
    },
    vae={**SDXL_BASE.vae, "block_out_channels": (32, 32, 32, 32), "layers_per_block": 1, "sample_size": 64},
    text_encoder={
        **SDXL_BASE.text_encoder,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "projection_dim": 32,
    },
    text_encoder_2={
        **SDXL_BASE.text_encoder_2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "projection_dim": 32,
    },
)
"""The same parts with almost no work in them, for tests."""

# scheduler/scheduler_config.json
SCHEDULER: Config = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "prediction_type": "epsilon",
}


def random_pipeline(config: SdxlConfig, tokenizers: Path, *, device: torch.device, dtype: torch.dtype, seed: int = 0) -> Any:
    """Returns a StableDiffusionXLPipeline whose weights are made directly on `device`.

    `tokenizers` is a diffusers folder with `tokenizer` and `tokenizer_2`; any vocabulary no larger than SDXL's works.
    """
    import torch
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    tokenizer, tokenizer_2 = (CLIPTokenizer.from_pretrained(str(tokenizers / name)) for name in ("tokenizer", "tokenizer_2"))
    torch.manual_seed(seed)
    with _made_as(device, dtype):
        unet, vae = UNet2DConditionModel(**config.unet), AutoencoderKL(**config.vae)
        text_encoder = CLIPTextModel(CLIPTextConfig(**config.text_encoder))
        text_encoder_2 = CLIPTextModelWithProjection(CLIPTextConfig(**config.text_encoder_2))
    spread_colours(vae)
    pipeline: Any = StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=text_encoder.eval(),
        text_encoder_2=text_encoder_2.eval(),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer_2,
        unet=unet.eval(),
        scheduler=EulerDiscreteScheduler(**SCHEDULER),
        add_watermarker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@contextmanager
def _made_as(device: torch.device, dtype: torch.dtype) -> Generator[None]:
    """Make new tensors on that device and in that type: 2.6 billion float32 on the way would not fit everywhere."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(before)
