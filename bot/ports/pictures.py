"""Who draws pictures, judges them, converts them and keeps them."""

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
"""Tells which of some files' keys no row of the database holds."""


class ImageGenerator(Protocol):
    """Draws pictures. Owns its thread; `close` returns when the thread has let go, or cannot be made to."""

    @property
    def capacity(self) -> int:
        """How many requests may be in `generate` at once: many more than share a step, and fewer while memory is short."""
        ...

    @property
    def batch(self) -> int:
        """How many pictures a step is shared by at most; known for good when the weights are loaded."""
        ...

    @property
    def speed(self) -> EngineSpeed | None:
        """How quickly steps are taken; None until that was measured."""
        ...

    @property
    def ready(self) -> bool:
        """Whether the weights are loaded and the last thing that happened was not a fault of the device."""
        ...

    async def load(self) -> None:
        """Read the weights (seconds to minutes). Raises ModelError."""
        ...

    async def generate(
        self, request: GenerationRequest, *, init_image: bytes | None, share: Share, on_progress: OnProgress
    ) -> GenerationResult:
        """Draw all pictures of the request; loads first if that has not happened.

        `init_image` is the PNG that img2img starts from. Members share the engine by `share`, whatever each of them has
        under way. `on_progress` is called on the event loop. Cancelling the awaiting
        task stops the drawing within one step; the coroutine ends only when the thread has let go.
        Raises GenerationError (a sentence for the member), ModelError, GeneratorDeadError.
        """
        ...

    async def close(self) -> None: ...


class PictureClassifier(Protocol):
    """Says what pictures show. Owns its thread, as the generator does; `load` (seconds to minutes) raises ModelError."""

    async def load(self) -> None: ...

    async def ratings(self, pictures: Sequence[bytes]) -> tuple[Rating, ...]:
        """One rating for each PNG file; loads first if that has not happened. Raises on any fault, never guesses."""
        ...

    async def close(self) -> None: ...


class ImageCodec(Protocol):
    """Makes files smaller; reads PNG, JPEG and WebP of up to 10 MiB and 16.8 megapixels, else InvalidRequestError."""

    async def read_upload(self, data: bytes, *, width: int, height: int) -> Upload:
        """Check a member's file and fit it into `width` x `height` (cover, centred crop)."""
        ...

    async def read_parameters(self, data: bytes) -> str | None:
        """What the file says of how it was made, as A1111 writes it. Raises for too long a text as well."""
        ...

    async def fit(self, file: ImageFile, max_bytes: int) -> ImageFile:
        """The same picture in at most `max_bytes`: unchanged if it fits, else WebP, then smaller; keeps its metadata."""
        ...


class ImageStore(Protocol):
    """Files under the data folder. Keys are made by the store; no user text ever becomes a path."""

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
        """Keep a checked upload and return its key, which no other interaction gets: once refused, nobody needs it."""
        ...

    async def read_upload(self, key: str) -> bytes:
        """Raises NotFoundError."""
        ...

    async def sweep(self, unknown: UnknownKeys, *, before: datetime | None) -> Swept:
        """Remove what no row knows, of files last written `before`; None: of those that an earlier process left, once.

        Bounded in memory; may take minutes, while files are written and read.
        """
        ...

    async def free_bytes(self) -> int:
        """What may still be written there."""
        ...
