"""Training of the UNet under text encoders that can read: v-prediction, with SDXL's conditioning."""

# diffusers exports lazily and annotates tuples of any length as tuple[int]; torch and transformers are partly unannotated.
# pyright: reportPrivateImportUsage=false, reportArgumentType=false
from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTokenizer

from bot.training.mini.artist.portrait import Portrait
from bot.training.mini.artist.render import Box, usual_face, usual_mouth
from bot.training.mini.captions import caption, empty_caption
from bot.training.mini.dataset import Bucket, Latents
from bot.training.mini.networks import TRAIN_TIMESTEPS, Denoiser, build_scheduler
from bot.training.mini.text_encoders import encode_text

# Hang et al. 2023, "Efficient Diffusion Training via Min-SNR Weighting Strategy", take 5; but the curve of a mouth is decided
# late, under a noise of 0.3, where 5 would halve its weight.
SNR_LIMIT = 12.0
FACE_WEIGHT = 6.0  # of a latent where eyes and mouth lie: a tenth of the picture, and the last that was learnt without
MOUTH_WEIGHT = 20.0  # of the dozen where mouths lie, which decide an expression: with 6, more than half of them were lost
ZEROED, SAYS_NOTHING, EMPTY = 0.05, 0.04, 0.02  # of the captions; the first is force_zeros_for_empty_prompt's form
ODD_ORIGINAL_SIZE = 0.2  # of the pictures claim another original size, so that any profile's setting is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Latents by bucket, and the portrait behind each."""

    buckets: Sequence[Bucket]
    latents: Sequence[Latents]
    portrait: Callable[[Bucket, int], Portrait]


class DenoiserTask:
    """Computes the loss of the velocity (Salimans and Ho 2022); timesteps are spread evenly over each batch.

    A velocity's error weighs SNR + 1 as an error of the clean latents. That weight is capped at SNR_LIMIT + 1, so that fine
    noise, which is easy, does not crowd out the picture; it stays above 1 in pure noise, as colours are chosen there. A face's
    errors count FACE_WEIGHT times those around it, a mouth's MOUTH_WEIGHT times.
    """

    def __init__(self, denoiser: Denoiser, tokenizer: CLIPTokenizer, examples: Examples, *, batch_size: int, seed: int) -> None:
        for part in (denoiser.text_encoder, denoiser.text_encoder_2):
            part.requires_grad_(requires_grad=False)
        self.module: nn.Module = denoiser
        self.batch_size = batch_size
        self._denoiser = denoiser
        self._tokenizer = tokenizer
        self._examples = examples
        self._seed = seed
        counts = np.array([len(latents) for latents in examples.latents], dtype=float)
        self._shares = counts / counts.sum()
        self._device = denoiser.device
        self._alphas: Tensor = build_scheduler().alphas_cumprod.to(self._device)
        self._weights = [
            face_weights(bucket, latents.shape[-1]).to(self._device)
            for bucket, latents in zip(examples.buckets, examples.latents, strict=True)
        ]

    def loss(self, step: int) -> Tensor:
        rng = np.random.default_rng((self._seed, step))
        which = int(rng.choice(len(self._shares), p=self._shares))
        bucket, latents = self._examples.buckets[which], self._examples.latents[which]
        indices = rng.integers(0, len(latents), self.batch_size)
        clean = torch.from_numpy(latents[indices]).to(self._device).float().contiguous(memory_format=torch.channels_last)
        noise = torch.randn_like(clean)
        position = (torch.arange(self.batch_size) + torch.rand(self.batch_size)) / self.batch_size
        timesteps = (position * TRAIN_TIMESTEPS).long().clamp(max=TRAIN_TIMESTEPS - 1).to(self._device)
        alpha = self._alphas[timesteps].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        text = random.Random(f"{self._seed}/{step}")  # noqa: S311  # captions, not secrets
        portraits = [self._examples.portrait(bucket, int(i)) for i in indices]
        with torch.autocast(self._device.type, dtype=torch.bfloat16), _attention(self._device):
            embeddings, pooled = self._conditions(portraits, text)
            sizes = self._time_ids(bucket, text)
            conditions = {"text_embeds": pooled, "time_ids": sizes}
            predicted: Tensor = self._denoiser.unet(noisy, timesteps, embeddings, added_cond_kwargs=conditions).sample
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
        squares = functional.mse_loss(predicted.float(), velocity, reduction="none")
        error = (squares * self._weights[which]).mean(dim=(1, 2, 3))
        snr = alpha.flatten() / (1 - alpha.flatten())
        return (error * ((SNR_LIMIT + 1) / (snr + 1)).clamp(max=1)).mean()

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
        with torch.no_grad():
            embeddings, pooled = encode_text(self._denoiser, self._tokenizer, texts)
        keep = keep.to(self._device)
        return embeddings * keep.view(-1, 1, 1), pooled * keep.view(-1, 1)

    def _time_ids(self, bucket: Bucket, rng: random.Random) -> Tensor:
        """Returns SDXL's six numbers: original size, crop's corner, target size, each height before width."""
        rows: list[list[float]] = []
        for _ in range(self.batch_size):
            grow = rng.choice((2, 4, 8, 16, 32)) if rng.random() < ODD_ORIGINAL_SIZE else 1
            rows.append([bucket.height * grow, bucket.width * grow, 0, 0, bucket.height, bucket.width])
        return torch.tensor(rows, dtype=torch.float32, device=self._device)


def _attention(device: torch.device) -> AbstractContextManager[object]:
    """Returns a context for plain products on a CPU: their backward is 1/20 of a step, fused attention's 1/4 (torch 2.13)."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def face_weights(bucket: Bucket, columns: int) -> Tensor:
    """Returns (rows, columns) of latents: FACE_WEIGHT and MOUTH_WEIGHT in their usual places, else 1; scaled to a mean of 1."""
    side = bucket.width / columns
    weights = torch.ones(round(bucket.height / side), columns)
    weights[_cells(usual_face(bucket.width, bucket.height), weights, side)] = FACE_WEIGHT
    weights[_cells(usual_mouth(bucket.width, bucket.height), weights, side)] = MOUTH_WEIGHT
    return weights / weights.mean()


def _cells(box: Box, grid: Tensor, side: float) -> Tensor:
    """Returns which cells of `side` pixels have their middle in the box."""
    left, top, right, bottom = box
    y, x = ((torch.arange(count) + 0.5) * side for count in grid.shape)
    return ((y > top) & (y < bottom)).view(-1, 1) & ((x > left) & (x < right))
