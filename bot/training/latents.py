"""All pictures through the encoder once: the denoiser and the decoder train on what lies on disk."""

# diffusers exports lazily and annotates tuples of any length as tuple[int]; torch and transformers are partly unannotated.
# pyright: reportPrivateImportUsage=false, reportArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from bot.training.autoencoder import to_tensor
from bot.training.dataset import Bucket, Latents, Pixels

CHUNK = 32
SAMPLE = 512


def standardise(vae: AutoencoderKL, pictures: Pixels) -> None:
    """Fold the latents' mean and deviation, a channel each, into the 1x1 convolutions at the bottleneck.

    Afterwards latents have mean 0 and deviation 1, so that `scaling_factor` is 1 and no channel drowns in the noise.
    """
    means = torch.cat([mean for mean in _means(vae, pictures[:SAMPLE])])
    mean, std = means.mean(dim=(0, 2, 3)), means.std(dim=(0, 2, 3))
    quant: Any = vae.quant_conv
    post: Any = vae.post_quant_conv
    with torch.no_grad():
        quant.weight[:4] /= std.view(4, 1, 1, 1)
        quant.bias[:4] = (quant.bias[:4] - mean) / std
        quant.bias[4:] -= 2 * std.log()
        post.bias += (post.weight[:, :, 0, 0] @ mean.view(4, 1)).view(4)
        post.weight *= std.view(1, 4, 1, 1)
    vae.register_to_config(scaling_factor=1.0)


def _means(vae: Any, pictures: Pixels) -> Iterator[Tensor]:
    with torch.inference_mode(), torch.autocast(vae.device.type, dtype=torch.bfloat16):
        for at in range(0, len(pictures), CHUNK):
            posterior: Any = vae.encode(to_tensor(pictures[at : at + CHUNK], vae.device)).latent_dist
            yield posterior.mean.float()


def encode_bucket(folder: Path, bucket: Bucket, vae: AutoencoderKL, pictures: Pixels) -> None:
    """Write the latents of these pictures, (count, 4, height / 8, width / 8), unless as many lie there."""
    path = folder / f"latents-{bucket.name}.npy"
    if path.exists() and len(np.load(path, mmap_mode="r")) == len(pictures):
        return
    partial = path.with_suffix(".partial.npy")
    shape = (len(pictures), 4, bucket.height // 8, bucket.width // 8)
    array = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
    for i, mean in enumerate(_means(vae, pictures)):
        array[i * CHUNK : i * CHUNK + len(mean)] = mean.half().cpu().numpy()
    array.flush()
    partial.replace(path)


def open_latents(folder: Path, buckets: Sequence[Bucket]) -> list[Latents]:
    """The buckets' latents, held in memory (80 MB)."""
    return [np.load(folder / f"latents-{bucket.name}.npy") for bucket in buckets]
