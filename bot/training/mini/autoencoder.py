"""The VAE: sixteen pixels a side become one latent, so that the UNet sees 16 × 16 of them."""

# diffusers exports lazily and annotates tuples of any length as tuple[int]; torch and transformers are partly unannotated.
# pyright: reportPrivateImportUsage=false, reportArgumentType=false
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch.nn import functional

from bot.training.arrays import to_tensor
from bot.training.mini.components import Components
from bot.training.mini.dataset import Pixels

EDGE_WEIGHT = 0.5
LATENT_NOISE = 0.2  # deviation at most; a denoiser never hits the latents exactly
ENCODER_EVERY = 4  # steps; its task is linear, and only img2img needs it
WHOLE_EVERY = 3  # steps; group norm takes its statistics from all that it sees, so squares alone would mislead it
LOG_VARIANCE = -14.0  # of the posterior: almost none


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoencoderShape:
    """Channels at each resolution, finest first; every one but the last halves the sides."""

    channels: tuple[int, ...] = (16, 24, 48, 96, 160)
    latent_channels: int = 24
    groups: int = 8
    sample_size: int = 256

    @property
    def pixels(self) -> int:
        """Returns the sides of the square that one latent represents."""
        return 2 ** (len(self.channels) - 1)


def build_autoencoder(shape: AutoencoderShape, seed: int) -> AutoencoderKL:
    torch.manual_seed(seed)
    vae: Any = AutoencoderKL(
        block_out_channels=shape.channels,
        down_block_types=("DownEncoderBlock2D",) * len(shape.channels),
        up_block_types=("UpDecoderBlock2D",) * len(shape.channels),
        layers_per_block=1,
        latent_channels=shape.latent_channels,
        norm_num_groups=shape.groups,
        sample_size=shape.sample_size,
        mid_block_add_attention=False,
        force_upcast=False,
        scaling_factor=1.0,
    )
    with torch.no_grad():
        vae.quant_conv.weight[shape.latent_channels :] = 0
        vae.quant_conv.bias[shape.latent_channels :] = LOG_VARIANCE
    return vae.to(memory_format=torch.channels_last)  # bfloat16 convolutions on a CPU are a third faster so


def crops(pictures: Pixels, indices: npt.NDArray[np.int64], side: int, rng: np.random.Generator) -> Pixels:
    """Returns a square of `side` pixels out of each picture: (len(indices), side, side, 3).

    Its place is random, but rather in the middle than at the rim: faces are there, whose eyes are the finest details.
    """
    _, height, width, _ = pictures.shape
    tops = ((height - side + 1) * rng.triangular(0, 0.5, 1, len(indices))).astype(int)
    lefts = ((width - side + 1) * rng.triangular(0, 0.5, 1, len(indices))).astype(int)
    places = zip(indices, tops, lefts, strict=True)
    return np.stack([pictures[i, top : top + side, left : left + side] for i, top, left in places])


class AutoencoderTask:
    """Trains the encoder to learn the components, and the decoder to rebuild pictures from them.

    The decoder's loss is L1 and L1 of edges (ink lines weigh little in plain L1), on `batch_size` squares of `side` pixels out
    of pictures or, every third step, on a quarter as many whole pictures.
    """

    def __init__(
        self, vae: AutoencoderKL, components: Components, buckets: Sequence[Pixels], *, batch_size: int, side: int, seed: int
    ) -> None:
        self.module: nn.Module = vae
        self.batch_size = batch_size
        self._vae: Any = vae
        self._components = components
        self._buckets = buckets
        self._side = side
        self._seed = seed
        self._device = vae.device

    def loss(self, step: int) -> Tensor:
        picture = to_tensor(self._pixels(step), self._device)
        latents = self._components.project(picture)
        noisy = latents + LATENT_NOISE * torch.rand(len(latents), 1, 1, 1).to(self._device) * torch.randn_like(latents)
        with torch.autocast(self._device.type, dtype=torch.bfloat16):
            rebuilt: Tensor = self._vae.decode(noisy).sample.float()
        loss = functional.l1_loss(rebuilt, picture) + EDGE_WEIGHT * edge_loss(rebuilt, picture)
        if step % ENCODER_EVERY:
            return loss
        with torch.autocast(self._device.type, dtype=torch.bfloat16):
            encoded: Tensor = self._vae.encode(picture).latent_dist.mean.float()
        return loss + functional.mse_loss(encoded, latents)

    def _pixels(self, step: int) -> Pixels:
        rng = np.random.default_rng((self._seed, step))
        sizes = np.array([len(bucket) for bucket in self._buckets], dtype=float)
        bucket = self._buckets[int(rng.choice(len(sizes), p=sizes / sizes.sum()))]
        if step % WHOLE_EVERY == 0:
            return bucket[np.sort(rng.integers(0, len(bucket), max(1, self.batch_size // 4)))]
        return crops(bucket, np.sort(rng.integers(0, len(bucket), self.batch_size)), self._side, rng)


def edge_loss(rebuilt: Tensor, picture: Tensor) -> Tensor:
    """Returns L1 of differences between neighbouring pixels, both ways."""
    error = rebuilt - picture
    return error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
