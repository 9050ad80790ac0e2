"""The model that a LoRA is trained on: found by name or path, and loaded by the code that draws."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bot.domain.profile import ImageSize, Licence, ModelProfile, ModelSource
from bot.errors import ModelError
from bot.inference.hub import fetch_model
from bot.inference.loading.pipelines import load_model
from bot.settings import SHIPPED_DATA
from bot.storage.catalog import load_catalog
from bot.training.lora.options import LoraOptions

SDXL_TEXT_WIDTH = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingModel:
    """The loaded model. `family` is what a style must name to be offered with it; `dtype` is the UNet's type in training."""

    profile: ModelProfile
    pipeline: Any
    family: str
    dtype: torch.dtype

    @property
    def is_sdxl(self) -> bool:
        return self.pipeline.unet.config.cross_attention_dim == SDXL_TEXT_WIDTH

    @property
    def resolution(self) -> int:
        """Returns the pixels a side that the model was made for."""
        return self.pipeline.unet.config.sample_size * self.pipeline.vae_scale_factor


def find_model(model: str, data_dir: Path) -> ModelProfile:
    """Returns a profile by its name or weights' path; any other SDXL folder or file gets a bare one. Raises ModelError."""
    catalog = load_catalog(SHIPPED_DATA, data_dir)
    if model in catalog.profiles:
        return catalog.profiles[model]
    places = (Path(model), data_dir / "models" / model, SHIPPED_DATA / "models" / model)
    path = next((place.resolve() for place in places if place.exists()), None)
    if path is None:
        names = ", ".join(sorted(catalog.profiles))
        raise ModelError(
            f"There is no model {model!r}. Give --model a folder in diffusers layout, a .safetensors file or one of: {names}."
        )
    for profile in catalog.profiles.values():
        if path in (profile.source.folder, profile.source.file):
            return profile
    source = ModelSource(folder=path) if path.is_dir() else ModelSource(file=path)
    return ModelProfile(
        name=path.stem,
        title=path.stem,
        family="sdxl",
        source=source,
        licence=Licence(name="the model's own"),
        variant="fp16",
        num_inference_steps=28,
        guidance_scale=5.0,
        sizes=(ImageSize(name="square", width=1024, height=1024),),
        default_size="square",
    )


def load_for_training(options: LoraOptions) -> TrainingModel:
    """Load the model and return it, ready to be trained around. Raises ModelError."""
    profile = find_model(options.model, options.data_dir)
    fetch_model(profile)
    pipeline = load_model(profile, device=options.device).text2img
    dtype = _choose_dtype(options.dtype, pipeline.unet.device)
    unet = pipeline.unet.to(dtype=dtype, memory_format=torch.channels_last)
    if options.text_encoders:
        for encoder in (pipeline.text_encoder, pipeline.text_encoder_2):
            encoder.to(dtype=dtype)
    wanted = options.gradient_checkpointing
    if unet.device.type == "cuda" if wanted is None else wanted:
        unet.enable_gradient_checkpointing()
        unet.train()  # else diffusers leaves the checkpoints out
    family = profile.family if unet.config.cross_attention_dim == SDXL_TEXT_WIDTH or profile.family != "sdxl" else profile.name
    return TrainingModel(profile=profile, pipeline=pipeline, family=family, dtype=dtype)


def _choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """Returns bfloat16 if the hardware has it: it needs half of float32's memory and none of float16's care."""
    if name != "auto":
        chosen: torch.dtype = getattr(torch, name)
        return chosen
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if device.type == "cpu" else torch.float32
