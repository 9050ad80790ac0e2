"""Pictures, as values: what the generator gives back and what the store keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from bot.domain.safety import Rating
from bot.messages import Message

MAX_UPLOAD_BYTES: Final = 10 * 1024 * 1024  # of a member's picture to start from
MAX_UPLOAD_PIXELS: Final = 16_800_000  # Pillow itself only warns from 89 million on


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedImage:
    """One finished picture: `data` is a PNG with its metadata, `parameters` the A1111 text inside it.

    `rating` is what the classifier said of it, once it was asked.
    """

    seed: int
    width: int
    height: int
    parameters: str
    data: bytes = field(repr=False)
    rating: Rating | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationResult:
    """All pictures of a request in order, and the seconds that the generator worked on them."""

    images: tuple[GeneratedImage, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """A picture on disk. `key` is its address in the image store, `index` its place in the job (from 0).

    `rating` is what the classifier said of it; None where none looked.
    """

    index: int
    key: str
    seed: int
    width: int
    height: int
    parameters: str
    size_bytes: int
    rating: Rating | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """A file to attach; `name` has an ending that fits the data, `description` is the alt text."""

    name: str
    data: bytes = field(repr=False)
    description: str | Message = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A member's picture after checking: re-encoded as PNG (first frame, RGB, upright, no metadata), sizes in pixels."""

    width: int
    height: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a look at all stored files came to: files removed, files kept, and the bytes of those."""

    removed: int = 0
    kept: int = 0
    kept_bytes: int = 0

    def __add__(self, other: Swept) -> Swept:
        return Swept(
            removed=self.removed + other.removed,
            kept=self.kept + other.kept,
            kept_bytes=self.kept_bytes + other.kept_bytes,
        )
