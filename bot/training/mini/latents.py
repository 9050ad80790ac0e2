"""Encodes all pictures as latents on disk, once: the denoiser trains on them alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bot.training.arrays import to_tensor
from bot.training.mini.components import Components
from bot.training.mini.dataset import Bucket, Latents, Pixels

CHUNK = 64


def encode_bucket(folder: Path, bucket: Bucket, components: Components, pictures: Pixels) -> None:
    """Write the latents of these pictures, (count, channels, height / 16, width / 16), unless they exist already."""
    path = folder / f"latents-{bucket.name}.npy"
    if path.exists() and len(np.load(path, mmap_mode="r")) == len(pictures):
        return
    partial = path.with_suffix(".partial.npy")
    starts = range(0, len(pictures), CHUNK)
    chunks = [components.project(to_tensor(pictures[at : at + CHUNK])).half().numpy() for at in starts]
    np.save(partial, np.concatenate(chunks))
    partial.replace(path)


def open_latents(folder: Path, buckets: Sequence[Bucket]) -> list[Latents]:
    """Returns the buckets' latents in memory (12 KB a picture)."""
    return [np.load(folder / f"latents-{bucket.name}.npy") for bucket in buckets]
