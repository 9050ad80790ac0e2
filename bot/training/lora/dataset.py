"""Reads an operator's folder of captioned pictures: NAME.png with NAME.txt beside it, kohya's `10_name` for repeats."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from bot.errors import FolderError
from bot.inference.images.normalization import eight_bits, on_white, opened
from bot.training.lora.options import LoraOptions

CAPTION_ENDING = ".txt"
ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp"})
REPEATS = re.compile(r"(\d+)_.*")
EXIF_ORIENTATION = 0x0112
SIDEWAYS = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height
WIDEST = 2.5  # longer side to shorter; SDXL's widest size is 1536 × 640
BUCKETS_A_SIDE = 8  # steps of the grid in the shorter side of small models; SDXL's grid is 64 pixels
SHOWN = 5  # names in a sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture that was checked to be whole. Sizes in pixels, as displayed (EXIF's rotation done)."""

    path: Path
    caption: str
    repeats: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Fits a picture to a bucket: scaled to `scaled`, then cut to width × height from (left, top)."""

    width: int
    height: int
    scaled: tuple[int, int]
    left: int
    top: int


def read_folder(folder: Path, *, trigger: str = "") -> list[Picture]:
    """Returns all pictures, in order of their names. Each is decoded once, so that a damaged one is told now and not in hours.

    A picture may lack its caption only if there is a trigger word. Raises FolderError.
    """
    if not folder.is_dir():
        raise FolderError(f"The folder {folder} does not exist. Give --pictures a folder of PNG, JPEG or WebP files.")
    pictures: list[Picture] = []
    broken: list[str] = []
    bare: list[str] = []
    for path, beside, repeats in _files(folder):
        try:
            width, height = _examine(path)
            caption = _caption(beside)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            broken.append(f"{path.relative_to(folder)} ({str(error).splitlines()[0] if str(error) else type(error).__name__})")
            continue
        if caption is None and not trigger:
            bare.append(str(path.relative_to(folder)))
        pictures.append(Picture(path=path, caption=caption or "", repeats=repeats, width=width, height=height))
    if broken:
        raise FolderError(f"These files in {folder} cannot be read: {_some(broken)}. Mend or remove them.")
    if bare:
        raise FolderError(
            f"These pictures in {folder} have no caption: {_some(bare)}. Write NAME.txt beside each, or give --trigger WORD."
        )
    if not pictures:
        raise FolderError(f"{folder} holds no PNG, JPEG or WebP file. Give --pictures another folder.")
    return pictures


def _files(folder: Path) -> Iterator[tuple[Path, Path | None, int]]:
    """Yields pictures of the folder (once each) and of its `N_name` folders (N times), the text beside each, and how often an
    epoch shows it.
    """
    places = [(folder, 1)]
    for child in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        match = REPEATS.fullmatch(child.name)
        places.append((child, max(1, int(match.group(1))) if match else 1))
    for place, repeats in places:
        paths = sorted(path for path in place.iterdir() if not path.name.startswith("."))
        texts = [path for path in paths if path.suffix.lower() == CAPTION_ENDING]
        beside: dict[str, list[Path]] = {}
        for text in texts:
            beside.setdefault(text.stem.casefold(), []).append(text)
        for path in paths:
            if path.suffix.lower() in ENDINGS and path.is_file():
                yield path, _nearest(path, beside.get(path.stem.casefold(), [])), repeats


def _nearest(picture: Path, texts: Sequence[Path]) -> Path | None:
    """Returns the text named as the picture; if there is none, one whose name differs in case, as Windows allows."""
    exact = picture.with_suffix(CAPTION_ENDING)
    return min(texts, key=lambda text: (text != exact, text.stem != picture.stem, text.name), default=None)


def _examine(path: Path) -> tuple[int, int]:
    """Returns width and height as displayed. Raises Pillow's errors for a damaged file."""
    with opened(path.read_bytes()) as image:
        image.load()
        turned = image.getexif().get(EXIF_ORIENTATION) in SIDEWAYS
        return (image.height, image.width) if turned else image.size


def _caption(beside: Path | None) -> str | None:
    """Returns the text beside a picture on one line. Raises OSError, UnicodeDecodeError."""
    return None if beside is None else " ".join(beside.read_text(encoding="utf-8-sig").split())


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def make_buckets(resolution: int, factor: int) -> list[tuple[int, int]]:
    """Returns sizes of at most resolution² pixels: SDXL's multiples of 64 (small models: finer) and of the VAE's `factor`."""
    step = max(factor, min(64, resolution // BUCKETS_A_SIDE) // factor * factor)
    found: set[tuple[int, int]] = set()
    for width in range(step, math.ceil(resolution * WIDEST), step):
        height = resolution**2 // width // step * step
        if height and max(width, height) <= WIDEST * min(width, height):
            found |= {(width, height), (height, width)}
    return sorted(found)


def frame(width: int, height: int, buckets: Sequence[tuple[int, int]]) -> Frame:
    """Returns the fit to the bucket nearest in shape, filled, with the excess cut off evenly on both sides."""
    fitting = min(buckets, key=lambda size: (abs(math.log(width / height * size[1] / size[0])), -size[0] * size[1]))
    scale = max(fitting[0] / width, fitting[1] / height)
    scaled = (max(fitting[0], round(width * scale)), max(fitting[1], round(height * scale)))
    left, top = (scaled[0] - fitting[0]) // 2, (scaled[1] - fitting[1]) // 2
    return Frame(width=fitting[0], height=fitting[1], scaled=scaled, left=left, top=top)


def open_picture(path: Path, framed: Frame) -> npt.NDArray[np.uint8]:
    """Returns (height, width, 3): turned as EXIF says, flattened on white, scaled and cut."""
    with opened(path.read_bytes()) as image:
        scaled = on_white(eight_bits(ImageOps.exif_transpose(image))).resize(framed.scaled, Image.Resampling.LANCZOS)
    box = (framed.left, framed.top, framed.left + framed.width, framed.top + framed.height)
    return np.asarray(scaled.crop(box))


class Batches:
    """Chooses each step's pictures: of one size a batch, each picture `repeats` times an epoch, every epoch in a new order."""

    def __init__(self, pictures: Sequence[Picture], frames: Sequence[Frame], size: int, seed: int) -> None:
        self._buckets: dict[tuple[int, int], list[int]] = {}
        for index, (picture, framed) in enumerate(zip(pictures, frames, strict=True)):
            self._buckets.setdefault((framed.width, framed.height), []).extend([index] * picture.repeats)
        self._size = size
        self._seed = seed
        self._epoch = -1
        self._plan: list[list[int]] = []
        self.per_epoch = sum(-(-len(members) // size) for members in self._buckets.values())

    @property
    def counts(self) -> dict[tuple[int, int], int]:
        """Returns pictures an epoch, repeats counted, by (width, height)."""
        return {size: len(members) for size, members in sorted(self._buckets.items())}

    def at(self, step: int) -> list[int]:
        """Returns the indices of the step's pictures; the last batch of a bucket may be smaller."""
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            self._epoch, self._plan = epoch, self._shuffled(random.Random(f"{self._seed}/epoch/{epoch}"))  # noqa: S311
        return self._plan[place]

    def _shuffled(self, rng: random.Random) -> list[list[int]]:
        plan: list[list[int]] = []
        for _, members in sorted(self._buckets.items()):
            order = rng.sample(members, len(members))
            plan += [order[at : at + self._size] for at in range(0, len(order), self._size)]
        rng.shuffle(plan)
        return plan


def caption_for(caption: str, options: LoraOptions, rng: random.Random) -> str | None:
    """Returns the caption as one step sees it; None is a caption left out."""
    if rng.random() < options.caption_dropout:
        return None
    tags = split_tags(caption)
    if options.shuffle_tags:
        moved = tags[options.keep_tags :]
        rng.shuffle(moved)
        tags = [*tags[: options.keep_tags], *moved]
    if options.trigger and options.trigger not in tags:
        tags = [options.trigger, *tags]
    return ", ".join(tags)


def split_tags(caption: str) -> list[str]:
    return [tag for tag in (part.strip() for part in caption.split(",")) if tag]
