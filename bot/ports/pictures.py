"""Ports that draw, classify, convert and store pictures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

from bot.domain.eta import EngineSpeed
from bot.domain.fairness import Share
from bot.domain.image import GenerationResult, ImageFile, Swept, Upload
from bot.domain.job import JobId
from bot.domain.progress import Progress
from bot.domain.request import GenerationRequest
from bot.domain.safety import Rating

OnProgress = Callable[[Progress], None]

UnknownKeys = Callable[[Sequence[str]], Awaitable[frozenset[str]]]
"""Returns those of some files' keys that no row of the database has."""


class ImageGenerator(Protocol):
    """Draws pictures. Owns its thread; `close` returns when the thread has ended, or cannot be made to end."""

    @property
    def capacity(self) -> int:
        """Return how many requests may be in `generate` at once: many more than share a step, fewer while memory is short."""
        ...

    @property
    def batch(self) -> int:
        """Return how many pictures share a step at most; final once the weights are loaded."""
        ...

    @property
    def speed(self) -> EngineSpeed | None:
        """Return the measured speed of steps; None until it was measured."""
        ...

    @property
    def ready(self) -> bool:
        """Return whether the weights are loaded and the last event was not a fault of the device."""
        ...

    async def load(self) -> None:
        """Read the weights (seconds to minutes). Raises ModelError."""
        ...

    async def generate(
        self, request: GenerationRequest, *, init_image: bytes | None, share: Share, on_progress: OnProgress
    ) -> GenerationResult:
        """Draw all pictures of the request; loads first if that has not happened.

        `init_image` is the PNG that img2img starts from. Members share the engine by `share`, however many requests
        each of them has active. `on_progress` is called on the event loop. Cancelling the awaiting
        task stops the drawing within one step; the coroutine ends only when the thread has stopped work on it.
        Raises GenerationError (a sentence for the member), ModelError, GeneratorDeadError.
        """
        ...

    async def close(self) -> None: ...


class PictureClassifier(Protocol):
    """Rates what pictures show. Owns its thread, as the generator does; `load` (seconds to minutes) raises ModelError."""

    async def load(self) -> None: ...

    async def ratings(self, pictures: Sequence[bytes]) -> tuple[Rating, ...]:
        """Return one rating for each PNG file; loads first if necessary. Raises on any fault, never guesses."""
        ...

    async def close(self) -> None: ...


class ImageCodec(Protocol):
    """Makes files smaller; reads PNG, JPEG and WebP of up to 10 MiB and 16.8 megapixels, else InvalidRequestError."""

    async def read_upload(self, data: bytes, *, width: int, height: int) -> Upload:
        """Check a member's file and fit it into `width` x `height` (cover, centred crop)."""
        ...

    async def read_parameters(self, data: bytes) -> str | None:
        """Return the file's generation parameters, as A1111 writes them. Raises for too long a text as well."""
        ...

    async def fit(self, file: ImageFile, max_bytes: int) -> ImageFile:
        """Return the picture in at most `max_bytes`: unchanged if it fits, else WebP, then smaller; keeps its metadata."""
        ...


class ImageStore(Protocol):
    """Stores files under the data folder. Keys are made by the store; no user text ever becomes a path."""

    async def save(self, job_id: JobId, attempt: int, index: int, data: bytes) -> str:
        """Write durably (temporary file, fsync, rename, fsync of the folder) and return the key. Raises FolderError."""
        ...

    async def read(self, key: str) -> bytes:
        """Raises NotFoundError."""
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove files; missing ones are no error."""
        ...

    async def save_upload(self, data: bytes, *, interaction_id: int) -> str:
        """Store a checked upload and return its key, which is this interaction's alone: after a refusal nobody needs it."""
        ...

    async def read_upload(self, key: str) -> bytes:
        """Raises NotFoundError."""
        ...

    async def sweep(self, unknown: UnknownKeys, *, before: datetime | None) -> Swept:
        """Remove files that no row knows and that were last written `before`; None: those of earlier processes, once.

        Bounded in memory; may take minutes, while files are written and read.
        """
        ...

    async def free_bytes(self) -> int:
        """Return how many bytes may still be written there."""
        ...
