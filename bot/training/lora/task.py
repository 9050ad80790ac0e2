"""A LoRA's training task: pictures encoded as latents once, and the loss of the model's own prediction on them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bot.errors import FolderError, ModelError
from bot.training.arrays import to_tensor
from bot.training.lora.dataset import Batches, Frame, Picture, caption_for, open_picture
from bot.training.lora.options import LoraOptions
from bot.training.lora.weights import LoraWeights

SNR_LIMIT = 5.0

Encode = Callable[[Tensor], Tensor]
"""Maps pixels (1, 3, height, width) in -1..1 to latents as the UNet sees them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """The pictures, how each is cut, and its latents in float16, (channels, height, width) by the VAE's factor."""

    pictures: Sequence[Picture]
    frames: Sequence[Frame]
    latents: Sequence[Tensor]
    batches: Batches


def encoder_of(pipeline: Any) -> Encode:
    """Returns the mode of the VAE's posterior. A VAE in float16 is cast to float32 for good: training data is encoded once."""
    vae = pipeline.vae
    if vae.dtype == torch.float16:
        vae.to(dtype=torch.float32)

    def encode(pixels: Tensor) -> Tensor:
        encoded: Tensor = vae.encode(pixels.to(vae.device, vae.dtype)).latent_dist.mode()
        return _normalised(vae.config, encoded.float().cpu())

    return encode


@torch.no_grad()
def encode_pictures(pictures: Sequence[Picture], frames: Sequence[Frame], encode: Encode) -> list[Tensor]:
    """Returns each picture's latents in float16, on the CPU. Raises FolderError, ModelError."""
    latents: list[Tensor] = []
    for picture, framed in zip(pictures, frames, strict=True):
        try:
            pixels = open_picture(picture.path, framed)
        except (OSError, ValueError) as error:
            raise FolderError(f"{picture.path} can no longer be read ({error}).") from None
        found = encode(to_tensor(pixels[None]))[0].half()
        if not bool(found.isfinite().all()):
            raise ModelError("The model's VAE makes numbers too large of a picture. Set a float16-safe VAE in its profile.")
        latents.append(found)
    return latents


def _normalised(config: Any, latents: Tensor) -> Tensor:
    """Returns the latents normalised as diffusers' img2img does."""
    if config.latents_mean is not None and config.latents_std is not None:
        mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (config.latents_mean, config.latents_std))
        return (latents - mean) * config.scaling_factor / std
    return latents * config.scaling_factor


def min_snr_weight(alpha: Tensor, prediction_type: str) -> Tensor:
    """Returns the weight of a squared error of noise ("epsilon") or velocity ("v_prediction"); `alpha` is the signal's share of
    the variance (Hang et al. 2023, "Efficient Diffusion Training via Min-SNR Weighting Strategy").

    An error of the noise weighs SNR as one of the picture, capped here at SNR_LIMIT; one of the velocity weighs SNR + 1, capped
    at SNR_LIMIT + 1. The paper's own cap for the velocity would give the first drawing step of a model with zero terminal SNR a
    weight of 0, and that step chooses the colours.
    """
    snr = alpha / (1 - alpha)
    capped = snr.clamp(min=SNR_LIMIT)
    return SNR_LIMIT / capped if prediction_type == "epsilon" else (SNR_LIMIT + 1) / (capped + 1)


class LoraTask:
    """SDXL's loss under SDXL's conditions: both encoders' penultimate layers, pooled text, and each picture's true sizes.

    Timesteps are uniform, spread evenly over a batch. `dtype` float32 is exact; others are autocast.
    """

    def __init__(
        self, pipeline: Any, weights: LoraWeights, examples: Examples, options: LoraOptions, dtype: torch.dtype
    ) -> None:
        self.module: nn.Module = weights
        self.batch_size = options.batch_size
        self._pipeline = pipeline
        self._examples = examples
        self._options = options
        self._dtype = dtype
        self._device: torch.device = pipeline.unet.device
        self._alphas: Tensor = pipeline.scheduler.alphas_cumprod.float()
        self._prediction_type: str = pipeline.scheduler.config.prediction_type
        if self._prediction_type not in {"epsilon", "v_prediction"}:
            raise ModelError(f"The model predicts {self._prediction_type!r}; LoRAs are trained on epsilon or v_prediction.")

    def loss(self, step: int) -> Tensor:
        """Returns the loss. Raises ModelError when training has diverged."""
        indices = self._examples.batches.at(step)
        latents = self._examples.latents
        # all chance is the CPU's, so that a GPU sees the same
        clean = torch.stack([latents[index] for index in indices]).float()
        noise = torch.randn(clean.shape)
        position = (torch.arange(len(indices)) + torch.rand(len(indices))) / len(indices)
        timesteps = (position * len(self._alphas)).long().clamp(max=len(self._alphas) - 1)
        alpha = self._alphas[timesteps]
        signal, rest = alpha.sqrt().view(-1, 1, 1, 1), (1 - alpha).sqrt().view(-1, 1, 1, 1)
        noisy = signal * clean + rest * noise
        target = noise if self._prediction_type == "epsilon" else signal * noise - rest * clean
        embeddings, conditions = self._conditions(indices, random.Random(f"{self._options.seed}/{step}"))  # noqa: S311
        with self._autocast(on=True):
            noisy = noisy.to(self._device).contiguous(memory_format=torch.channels_last)
            predicted: Tensor = self._pipeline.unet(
                noisy, timesteps.to(self._device), embeddings, added_cond_kwargs=conditions
            ).sample
        error = functional.mse_loss(predicted.float(), target.to(self._device), reduction="none").mean(dim=(1, 2, 3))
        loss = (error * min_snr_weight(alpha, self._prediction_type).to(self._device)).mean()
        if not bool(loss.isfinite()):
            raise ModelError(
                f"The training diverged at step {step + 1}. Start anew with a lower --learning-rate or with --dtype float32."
            )
        return loss

    def _autocast(self, *, on: bool) -> Any:
        return torch.autocast(self._device.type, dtype=self._dtype) if on and self._dtype != torch.float32 else nullcontext()

    def _conditions(self, indices: Sequence[int], rng: random.Random) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns a prompt's encoding as the pipeline makes it; a caption left out is encoded as a missing prompt."""
        pictures = [self._examples.pictures[index] for index in indices]
        captions = [caption_for(picture.caption, self._options, rng) for picture in pictures]
        with torch.set_grad_enabled(self._options.text_encoders), self._autocast(on=self._options.text_encoders):
            embeddings, _, pooled, _ = self._pipeline.encode_prompt(
                [caption or "" for caption in captions], device=self._device, do_classifier_free_guidance=False
            )
        if self._pipeline.config.force_zeros_for_empty_prompt:
            kept = torch.tensor([caption is not None for caption in captions], device=self._device)
            embeddings, pooled = embeddings * kept.view(-1, 1, 1), pooled * kept.view(-1, 1)
        embeddings, pooled = embeddings.to(self._dtype), pooled.to(self._dtype)
        return embeddings, {"text_embeds": pooled, "time_ids": self._time_ids(indices).to(self._device)}

    def _time_ids(self, indices: Sequence[int]) -> Tensor:
        """Returns SDXL's six numbers: original size, crop's corner, target size, each height before width."""
        rows: list[tuple[float, ...]] = []
        for index in indices:
            picture, framed = self._examples.pictures[index], self._examples.frames[index]
            rows.append((picture.height, picture.width, framed.top, framed.left, framed.height, framed.width))
        return torch.tensor(rows, dtype=torch.float32)
