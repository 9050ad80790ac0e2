"""A tiny SDXL under the names of the real one, so that production's loading code runs offline.

`TinyModels.create(folder)` writes a hub cache with Linaqruf/animagine-xl in float16 and the kohya-format LoRA
Linaqruf/pastel-anime-xl-lora, the same model as a plain diffusers folder, and as one file.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from bot.domain.profile import Catalog, ImageSize, Licence, ModelProfile, ModelSource, Style
from bot.inference.random_models.tiny import build_tiny_sdxl
from tests.inference.ldm import unet_name, write_single_file

MODEL_REPO = "Linaqruf/animagine-xl"
LORA_REPO = "Linaqruf/pastel-anime-xl-lora"
LORA_FILE = "pastel-anime-xl.safetensors"
COMMIT = "0" * 40
RANK, ALPHA = 4, 2.0
SEED_NEGATIVE_PROMPT = "lowres, bad anatomy"


@dataclass(frozen=True, kw_only=True)
class TinyModels:
    """Where everything lies. `cache_dir` is a hub cache; `folder` and `file` hold the same weights in float32."""

    cache_dir: Path
    folder: Path
    file: Path

    @classmethod
    def create(cls, root: Path) -> TinyModels:
        models = cls(cache_dir=root / "hub", folder=root / "models" / "tiny", file=root / "models" / "tiny.safetensors")
        build_tiny_sdxl(models.folder, seed=1)
        build_tiny_sdxl(hub_folder(models.cache_dir, MODEL_REPO), seed=1, variant="fp16")
        pipeline = plain_pipeline(models.folder)
        write_single_file(pipeline, models.file)
        save_file(kohya_lora(pipeline), hub_folder(models.cache_dir, LORA_REPO) / LORA_FILE)
        return models


def hub_folder(cache_dir: Path, repo: str) -> Path:
    """The snapshot folder of a repo, as huggingface_hub lays it out."""
    root = cache_dir / f"models--{repo.replace('/', '--')}"
    (root / "refs").mkdir(parents=True, exist_ok=True)
    (root / "refs" / "main").write_text(COMMIT)
    snapshot = root / "snapshots" / COMMIT
    snapshot.mkdir(parents=True, exist_ok=True)
    return snapshot


def plain_pipeline(folder: Path) -> Any:
    from diffusers import StableDiffusionXLPipeline

    pipeline: Any = StableDiffusionXLPipeline.from_pretrained(folder, use_safetensors=True, add_watermarker=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def kohya_lora(pipeline: Any, *, seed: int = 5) -> dict[str, torch.Tensor]:
    """A LoRA as kohya's trainer writes it for SDXL: `lora_unet_` in the original layout, `lora_te1_`, `lora_te2_`."""
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, torch.Tensor] = {}
    for prefix, module in (("unet", pipeline.unet), ("te1", pipeline.text_encoder), ("te2", pipeline.text_encoder_2)):
        for name, layer in module.named_modules():
            if not isinstance(layer, torch.nn.Linear) or not re.search(r"attn\d?\.|mlp\.|ff\.", name):
                continue
            key = unet_name(name + ".weight").removesuffix(".weight") if prefix == "unet" else _text_name(name)
            stem = f"lora_{prefix}_{key.replace('.', '_')}"
            tensors[f"{stem}.lora_down.weight"] = torch.randn(RANK, layer.in_features, generator=generator) * 0.2
            tensors[f"{stem}.lora_up.weight"] = torch.randn(layer.out_features, RANK, generator=generator) * 0.2
            tensors[f"{stem}.alpha"] = torch.tensor(ALPHA)
    return tensors


def tiny_profile(source: ModelSource, **changes: Any) -> ModelProfile:
    """Named as the real one; pictures of 64 x 64 in four steps."""
    values: dict[str, Any] = {
        "name": "animagine-xl",
        "title": "Animagine XL",
        "family": "sdxl",
        "source": source,
        "licence": Licence(name="openrail++"),
        "variant": "fp16",
        "num_inference_steps": 4,
        "guidance_scale": 7.0,
        "sizes": (ImageSize(name="square", width=64, height=64), ImageSize(name="tall", width=48, height=80)),
        "default_size": "square",
        "negative_prompt": SEED_NEGATIVE_PROMPT,
        "original_size": (256, 256),
        "target_size": (64, 64),
    }
    return ModelProfile(**(values | changes))


def pastel_style(**changes: Any) -> Style:
    values: dict[str, Any] = {
        "name": "pastel",
        "title": "Pastel",
        "families": ("sdxl",),
        "licence": Licence(name="openrail++"),
        "repo": LORA_REPO,
        "weight_name": LORA_FILE,
    }
    return Style(**(values | changes))


def tiny_catalog(profile: ModelProfile, *styles: Style) -> Catalog:
    return Catalog(profiles={profile.name: profile}, styles={style.name: style for style in styles})


def copy_of(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target)
    return target


def write_lora(path: Path, tensors: Mapping[str, torch.Tensor]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(dict(tensors), path)
    return path


def _text_name(name: str) -> str:
    return f"text_model.{name.removeprefix('text_model.')}"
