"""The VAE: eight pixels a side become one latent of four channels."""

# diffusers exports lazily and annotates tuples of any length as tuple[int]; torch and transformers are partly unannotated.
# pyright: reportPrivateImportUsage=false, reportArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch.nn import functional

from bot.training.dataset import Latents, Pixels

KL_WEIGHT = 5e-4
EDGE_WEIGHT = 0.5
LATENT_NOISE = 0.05  # deviation; a denoiser never hits the latents exactly


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoencoderShape:
    """Channels at each of the four resolutions, finest first."""

    channels: tuple[int, int, int, int] = (16, 32, 96, 128)
    groups: int = 8
    sample_size: int = 128


def build_autoencoder(shape: AutoencoderShape, seed: int) -> AutoencoderKL:
    torch.manual_seed(seed)
    return AutoencoderKL(
        block_out_channels=shape.channels,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=shape.groups,
        sample_size=shape.sample_size,
        mid_block_add_attention=False,
        force_upcast=False,
    )


def to_tensor(pixels: Pixels, device: torch.device | None = None) -> Tensor:
    """(n, height, width, 3) bytes as (n, 3, height, width) in -1..1."""
    return torch.from_numpy(np.array(pixels)).to(device).permute(0, 3, 1, 2).float().div(127.5).sub(1)


class AutoencoderTask:
    """Rebuild the picture: L1, L1 of its edges (ink lines weigh little in plain L1), and a small KL."""

    def __init__(self, vae: AutoencoderKL, buckets: Sequence[Pixels], *, batch_size: int, seed: int) -> None:
        self.module: nn.Module = vae
        self.batch_size = batch_size
        self._vae: Any = vae
        self._buckets = buckets
        self._seed = seed
        self._device = vae.device

    def loss(self, step: int) -> Tensor:
        rng = np.random.default_rng((self._seed, step))
        sizes = np.array([len(bucket) for bucket in self._buckets], dtype=float)
        bucket = self._buckets[int(rng.choice(len(sizes), p=sizes / sizes.sum()))]
        picture = to_tensor(bucket[np.sort(rng.integers(0, len(bucket), self.batch_size))], self._device)
        with torch.autocast(self._device.type, dtype=torch.bfloat16):
            posterior = self._vae.encode(picture).latent_dist
            rebuilt: Tensor = self._vae.decode(posterior.sample()).sample.float()
        kl = 0.5 * (posterior.mean.float() ** 2 + posterior.var.float() - 1 - posterior.logvar.float()).mean()
        return functional.l1_loss(rebuilt, picture) + EDGE_WEIGHT * edge_loss(rebuilt, picture) + KL_WEIGHT * kl


def edge_loss(rebuilt: Tensor, picture: Tensor) -> Tensor:
    """L1 of differences between neighbouring pixels, both ways."""
    error = rebuilt - picture
    return error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()


class DecoderTask:
    """Train the decoder further while the encoder, and with it every latent, stays as it is."""

    def __init__(self, vae: AutoencoderKL, pairs: Sequence[tuple[Pixels, Latents]], *, batch_size: int, seed: int) -> None:
        for part in (vae.encoder, vae.quant_conv):
            for parameter in part.parameters() if part is not None else ():
                parameter.requires_grad = False
        self.module: nn.Module = vae
        self.batch_size = batch_size
        self._vae: Any = vae
        self._pairs = pairs
        self._seed = seed
        self._device = vae.device

    def loss(self, step: int) -> Tensor:
        rng = np.random.default_rng((self._seed, step))
        sizes = np.array([len(latents) for _, latents in self._pairs], dtype=float)
        pictures, latents = self._pairs[int(rng.choice(len(sizes), p=sizes / sizes.sum()))]
        indices = np.sort(rng.integers(0, len(latents), self.batch_size))
        picture = to_tensor(pictures[indices], self._device)
        latent = torch.from_numpy(latents[indices]).to(self._device).float()
        latent = latent + LATENT_NOISE * torch.randn_like(latent)
        with torch.autocast(self._device.type, dtype=torch.bfloat16):
            rebuilt: Tensor = self._vae.decode(latent).sample.float()
        return functional.l1_loss(rebuilt, picture) + EDGE_WEIGHT * edge_loss(rebuilt, picture)
