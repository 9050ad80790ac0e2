"""Training of UNet and text encoders: predict the noise, with SDXL's conditioning."""

# diffusers exports lazily and annotates tuples of any length as tuple[int]; torch and transformers are partly unannotated.
# pyright: reportPrivateImportUsage=false, reportArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTokenizer

from bot.training.artist.portrait import Portrait
from bot.training.captions import caption, empty_caption
from bot.training.dataset import Bucket, Latents
from bot.training.networks import TRAIN_TIMESTEPS, Denoiser, build_scheduler
from bot.training.tokens import MAX_LENGTH

SNR_LIMIT = 5.0  # Hang et al. 2023, "Efficient Diffusion Training via Min-SNR Weighting Strategy"
ZEROED, SAYS_NOTHING, EMPTY = 0.05, 0.04, 0.02  # of the captions; the first is force_zeros_for_empty_prompt's form
ODD_ORIGINAL_SIZE = 0.2  # of the pictures claim another original size, so that any profile's setting is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Latents by bucket, and the portrait behind each."""

    buckets: Sequence[Bucket]
    latents: Sequence[Latents]
    portrait: Callable[[Bucket, int], Portrait]


def encode_text(module: Denoiser, tokenizer: CLIPTokenizer, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Embeddings as SDXL takes them: both penultimate layers side by side, and the second encoder's pooled vector."""
    ids: Tensor = tokenizer(
        list(texts), padding="max_length", max_length=MAX_LENGTH, truncation=True, return_tensors="pt"
    ).input_ids.to(module.unet.device)
    first: Any = module.text_encoder(ids, output_hidden_states=True)
    second: Any = module.text_encoder_2(ids, output_hidden_states=True)
    return torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1), second.text_embeds


class DenoiserTask:
    """Epsilon loss under min-SNR weights; timesteps are spread evenly over each batch."""

    def __init__(self, denoiser: Denoiser, tokenizer: CLIPTokenizer, examples: Examples, *, batch_size: int, seed: int) -> None:
        self.module: nn.Module = denoiser
        self.batch_size = batch_size
        self._denoiser = denoiser
        self._tokenizer = tokenizer
        self._examples = examples
        self._seed = seed
        counts = np.array([len(latents) for latents in examples.latents], dtype=float)
        self._shares = counts / counts.sum()
        self._device = denoiser.unet.device
        self._alphas: Tensor = build_scheduler().alphas_cumprod.to(self._device)

    def loss(self, step: int) -> Tensor:
        rng = np.random.default_rng((self._seed, step))
        which = int(rng.choice(len(self._shares), p=self._shares))
        bucket, latents = self._examples.buckets[which], self._examples.latents[which]
        indices = rng.integers(0, len(latents), self.batch_size)
        clean = torch.from_numpy(latents[indices]).to(self._device).float()
        noise = torch.randn_like(clean)
        position = (torch.arange(self.batch_size) + torch.rand(self.batch_size)) / self.batch_size
        timesteps = (position * TRAIN_TIMESTEPS).long().clamp(max=TRAIN_TIMESTEPS - 1).to(self._device)
        alpha = self._alphas[timesteps].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        text = random.Random(f"{self._seed}/{step}")  # noqa: S311  # captions, not secrets
        portraits = [self._examples.portrait(bucket, int(i)) for i in indices]
        with torch.autocast(self._device.type, dtype=torch.bfloat16):
            embeddings, pooled = self._conditions(portraits, text)
            sizes = self._time_ids(bucket, text)
            conditions = {"text_embeds": pooled, "time_ids": sizes}
            predicted = self._denoiser.unet(noisy, timesteps, embeddings, added_cond_kwargs=conditions).sample
        error = functional.mse_loss(predicted.float(), noise, reduction="none").mean(dim=(1, 2, 3))
        snr = alpha.flatten() / (1 - alpha.flatten())
        return (error * snr.clamp(max=SNR_LIMIT) / snr).mean()

    def _conditions(self, portraits: Sequence[Portrait], rng: random.Random) -> tuple[Tensor, Tensor]:
        texts: list[str] = []
        keep = torch.ones(len(portraits))
        for i, portrait in enumerate(portraits):
            draw = rng.random()
            if draw < ZEROED:
                keep[i] = 0
            if draw < ZEROED + SAYS_NOTHING:
                texts.append(empty_caption(rng))
            else:
                texts.append("" if draw < ZEROED + SAYS_NOTHING + EMPTY else caption(portrait, rng))
        embeddings, pooled = encode_text(self._denoiser, self._tokenizer, texts)
        keep = keep.to(self._device)
        return embeddings * keep.view(-1, 1, 1), pooled * keep.view(-1, 1)

    def _time_ids(self, bucket: Bucket, rng: random.Random) -> Tensor:
        """SDXL's six numbers: original size, crop's corner, target size, each height before width."""
        rows: list[list[float]] = []
        for _ in range(self.batch_size):
            grow = rng.choice((2, 4, 8, 16, 32)) if rng.random() < ODD_ORIGINAL_SIZE else 1
            rows.append([bucket.height * grow, bucket.width * grow, 0, 0, bucket.height, bucket.width])
        return torch.tensor(rows, dtype=torch.float32, device=self._device)
