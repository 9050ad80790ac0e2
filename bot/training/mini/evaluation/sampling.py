"""Draws pictures from a pipeline's folder, in batches, as production does: float32 on a CPU, a generator a picture."""

from __future__ import annotations

import hashlib
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bot.errors import ModelError
from bot.training.arrays import to_tensor
from bot.training.mini.dataset import Pixels
from bot.training.mini.evaluation.classifier import fit
from bot.training.mini.export import load_pipeline

NEWS_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that a picture depends on besides prompt and seed; sizes in pixels; None: no negative prompt at all."""

    num_inference_steps: int
    guidance_scale: float
    negative_prompt: str | None
    width: int
    height: int


def default_settings(profile: Path) -> Settings:
    """Returns the defaults of a profile's TOML file. Raises ModelError."""
    try:
        values = tomllib.loads(profile.read_text(encoding="utf-8"))
        width, height = values["sizes"][values["default_size"]]
        return Settings(
            num_inference_steps=values["num_inference_steps"],
            guidance_scale=values["guidance_scale"],
            negative_prompt=values.get("negative_prompt", ""),
            width=width,
            height=height,
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"{profile} is not the profile of a model ({error}). Give --profile data/profiles/NAME.toml."
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One picture to draw."""

    prompt: str
    seed: int


class Sampler:
    """Draws with a model that is loaded when the first picture is due. Raises ModelError when there is none."""

    def __init__(self, folder: Path, settings: Settings, batch: int) -> None:
        if not (folder / "model_index.json").is_file():
            raise ModelError(f"{folder} holds no pipeline. Give --model a folder that `recipe export` has written.")
        self.settings = settings
        self._folder = folder
        self._batch = batch

    @cached_property
    def _pipeline(self) -> Any:
        return load_pipeline(self._folder)

    def draw(self, orders: Sequence[Order], settings: Settings) -> Pixels:
        """Returns (orders, height, width, 3)."""
        return np.concatenate(
            [self._draw(orders[at : at + self._batch], settings) for at in range(0, len(orders), self._batch)]
        )

    def _draw(self, orders: Sequence[Order], used: Settings) -> Pixels:
        negative = used.negative_prompt
        images = self._pipeline(
            prompt=[order.prompt for order in orders],
            negative_prompt=None if negative is None else [negative] * len(orders),
            num_inference_steps=used.num_inference_steps,
            guidance_scale=used.guidance_scale,
            width=used.width,
            height=used.height,
            generator=[torch.Generator().manual_seed(order.seed) for order in orders],
        ).images
        return np.stack([np.asarray(image) for image in images])

    def draw_kept(self, orders: Sequence[Order], settings: Settings, folder: Path) -> Pixels:
        """Draw as `draw`, and keep the pictures in `folder`: hours of drawing may be killed, continue, and are never repeated.

        Another model, other settings or other orders have another file.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self._fingerprint(orders, settings)}.npy"
        done_path = path.with_suffix(".done")
        start = int(done_path.read_text()) if done_path.exists() else 0
        shape = (len(orders), settings.height, settings.width, 3)
        array = np.lib.format.open_memmap(path, mode="r+" if start else "w+", dtype=np.uint8, shape=shape)
        began, told = time.monotonic(), time.monotonic()
        for at in range(start, len(orders), self._batch):
            array[at : at + self._batch] = self._draw(orders[at : at + self._batch], settings)
            array.flush()
            done = min(at + self._batch, len(orders))
            done_path.write_text(str(done))
            if (now := time.monotonic()) - told > NEWS_SECONDS:
                left = (now - began) / (done - start) * (len(orders) - done)
                print(f"{done} of {len(orders)} pictures, {left / 60:.0f} minutes left", flush=True)
                told = now
        return array

    def rebuild(self, pictures: Pixels) -> Pixels:
        """Returns pictures decoded by the model's VAE, in the model's size: the best that it could draw."""
        return np.concatenate([self._rebuild(pictures[at : at + self._batch]) for at in range(0, len(pictures), self._batch)])

    @torch.inference_mode()
    def _rebuild(self, pictures: Pixels) -> Pixels:
        vae, size = self._pipeline.vae, (self.settings.height, self.settings.width)
        decoded: Tensor = vae.decode(vae.encode(fit(to_tensor(pictures), size)).latent_dist.mode()).sample
        return decoded.clamp(-1, 1).add(1).mul(127.5).round().byte().permute(0, 2, 3, 1).numpy()

    def _fingerprint(self, orders: Sequence[Order], settings: Settings) -> str:
        digest = hashlib.sha256(repr((settings, [*orders])).encode())
        for path in sorted(self._folder.rglob("*")):
            if path.suffix in {".safetensors", ".json"}:
                digest.update(path.read_bytes())
        return digest.hexdigest()[:16]
