"""Drawn pictures on disk: one memory-mapped array a bucket, whose portraits are derived again from the seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bot.training.mini.artist.portrait import Portrait, random_portrait
from bot.training.mini.artist.render import draw_portrait

Pixels = npt.NDArray[np.uint8]
Latents = npt.NDArray[np.float16]
CHUNK = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Pictures of one size, in pixels, and how many there are."""

    width: int
    height: int
    count: int

    @property
    def name(self) -> str:
        return f"{self.width}x{self.height}"


def portrait_at(seed: int, bucket: Bucket, index: int) -> Portrait:
    """Returns the labels of one picture; they do not depend on how many there are."""
    return random_portrait(random.Random(f"{seed}/{bucket.name}/{index}"))  # noqa: S311  # pictures, not secrets


def draw_bucket(folder: Path, bucket: Bucket, seed: int, processes: int) -> None:
    """Draw the missing pictures. A kill costs at most one chunk; the count of finished pictures is stored beside the array."""
    folder.mkdir(parents=True, exist_ok=True)
    path, done_path = folder / f"{bucket.name}.npy", folder / f"{bucket.name}.done"
    shape = (bucket.count, bucket.height, bucket.width, 3)
    if path.exists() and np.load(path, mmap_mode="r").shape != shape:
        raise ValueError(f"{path} holds another number of pictures; give another --state folder or delete it.")
    array = np.lib.format.open_memmap(path, mode="r+" if path.exists() else "w+", dtype=np.uint8, shape=shape)
    start = int(done_path.read_text()) if done_path.exists() else 0
    tasks = [(seed, bucket, at) for at in range(start, bucket.count, CHUNK)]
    with get_context("fork").Pool(processes) as pool:
        for (_, _, at), pixels in zip(tasks, pool.imap(_draw_chunk, tasks), strict=True):
            array[at : at + len(pixels)] = pixels
            if at // CHUNK % 16 == 0:
                array.flush()
                done_path.write_text(str(at + len(pixels)))
    array.flush()
    done_path.write_text(str(bucket.count))


def _draw_chunk(task: tuple[int, Bucket, int]) -> Pixels:
    seed, bucket, start = task
    indices = range(start, min(start + CHUNK, bucket.count))
    pictures = (draw_portrait(portrait_at(seed, bucket, i), bucket.width, bucket.height) for i in indices)
    return np.stack([np.asarray(picture) for picture in pictures])


def open_bucket(folder: Path, bucket: Bucket) -> Pixels:
    """Returns the finished pictures, (count, height, width, 3), read from disk as they are used."""
    done = int((folder / f"{bucket.name}.done").read_text())
    array: Pixels = np.load(folder / f"{bucket.name}.npy", mmap_mode="r")
    return array[:done]


def batches(count: int, size: int, seed: int, step: int = 0) -> Iterator[npt.NDArray[np.int64]]:
    """Yields indices for batch `step`, `step` + 1, ...: epochs of a permutation each, without end; resumes at any step."""
    per_epoch = max(1, count // size)
    while True:
        epoch, start = divmod(step, per_epoch)
        order = np.random.default_rng((seed, epoch)).permutation(count)
        for at in range(start, per_epoch):
            yield order[at * size : (at + 1) * size]
            step += 1
