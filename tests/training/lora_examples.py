"""Small things to train a LoRA on: a tiny SDXL and drawn pictures of 64 pixels with captions."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from bot.inference.random_models.tiny import build_tiny_sdxl
from bot.training.lora.options import LoraOptions
from bot.training.mini.artist.portrait import random_portrait
from bot.training.mini.artist.render import draw_portrait

CAPTIONS = ("1girl, smile, night", "1boy, glasses", "1girl, red hair, crown", "1girl, hoodie", "1boy, angry", "1girl, snow")


def write_pictures(folder: Path) -> Path:
    """Six pictures in two shapes."""
    folder.mkdir(parents=True)
    rng = random.Random(1)
    for index, caption in enumerate(CAPTIONS):
        width, height = ((64, 64), (48, 80))[index % 2]
        draw_portrait(random_portrait(rng), width, height, supersampling=1).save(folder / f"{index}.png")
        (folder / f"{index}.txt").write_text(caption)
    return folder


def build_model(folder: Path, **scheduler: object) -> Path:
    """A tiny SDXL; its scheduler may be set otherwise."""
    build_tiny_sdxl(folder, seed=1)
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | scheduler))
    return folder


def options(model: Path | str, pictures: Path, out: Path, **changes: Any) -> LoraOptions:
    values: dict[str, Any] = {
        "rank": 4,
        "alpha": 2.0,
        "steps": 4,
        "batch_size": 2,
        "learning_rate": 1e-2,
        "resolution": 64,
        "target": "attention",
        "device": "cpu",
        "threads": 1,
        "log_every": 1,
        "data_dir": out.parent / "data",
    }
    return LoraOptions(model=str(model), pictures=pictures, out=out, **(values | changes))


def tensors_of(path: Path) -> dict[str, torch.Tensor]:
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no iterator)


def notes_of(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return file.metadata()
