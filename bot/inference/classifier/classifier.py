"""The picture classifier: one thread that owns its model, and the coroutines that wait for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bot.domain.profile import ClassifierProfile
from bot.domain.safety import Rating
from bot.inference.torch_import import import_libraries

if TYPE_CHECKING:
    from PIL.Image import Image

    from bot.inference.classifier.model import LoadedClassifier

BATCH = 4  # pictures at once: a job has no more
CLOSE_PATIENCE = 3.0  # seconds; only the reading of weights, or a fault, takes longer

logger = logging.getLogger(__name__)
Value = TypeVar("Value")


class ClassifierClosedError(Exception):
    """Raised because the bot is shutting down and rates nothing any more."""


class TransformersClassifier:
    """Implements ports.PictureClassifier with a model of transformers in this process.

    Everything that touches torch runs on one thread named "pastel-classifier", except `judge`. A cancelled caller returns at
    once: work that had not begun is dropped, and the result of a batch under way is discarded. `device` is "auto", "cpu",
    "cuda", "cuda:N" or "mps"; `cache_dir` None is the hub's own cache.
    """

    def __init__(
        self,
        classifier: ClassifierProfile,
        *,
        device: str = "auto",
        cache_dir: Path | None = None,
    ) -> None:
        self._classifier = classifier
        self._device = device
        self._cache_dir = cache_dir
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pastel-classifier")
        self._loaded: LoadedClassifier | None = None  # written on the thread only
        self._closed = False
        self._farewell: Future[None] | None = None

    async def load(self) -> None:
        await self._on_thread(self._load)

    async def ratings(self, pictures: Sequence[bytes]) -> tuple[Rating, ...]:
        return await self._on_thread(lambda: self._rate(tuple(pictures)))

    def judge(self, image: Image) -> Rating | None:
        """Returns the rating of one RGB picture, judged on the calling thread; None until the model is loaded.

        Raises any error of the model.
        """
        loaded = self._loaded  # the thread may take it away between two looks
        return None if loaded is None or self._closed else loaded.rate_images([image])[0]

    async def close(self) -> None:
        """Wait up to CLOSE_PATIENCE seconds until the thread has ended; after that the process must end without it.

        May be called twice.
        """
        if self._farewell is None:
            self._closed = True
            self._farewell = self._executor.submit(self._unload)
            self._executor.shutdown(wait=False)
        try:
            async with asyncio.timeout(CLOSE_PATIENCE):
                await asyncio.shield(asyncio.wrap_future(self._farewell))
            await asyncio.to_thread(self._executor.shutdown)  # idle now, so its thread ends at once
        except TimeoutError:
            logger.warning("The picture classifier does not let go; the process ends without waiting for it")

    async def _on_thread(self, work: Callable[[], Value]) -> Value:
        if self._closed:
            raise ClassifierClosedError
        return await asyncio.wrap_future(self._executor.submit(work))

    # What follows runs on the thread.

    def _load(self) -> LoadedClassifier:
        if self._loaded is None:
            if self._closed:
                raise ClassifierClosedError
            import_libraries()
            from bot.inference.classifier.model import load_classifier
            from bot.inference.streams import put_first

            loaded = load_classifier(self._classifier, device=self._device, cache_dir=self._cache_dir)
            put_first(loaded.model.device)  # a finished picture waits for its rating, and a step takes long
            self._loaded = loaded
            logger.info("The picture classifier is loaded on %s.", self._loaded.model.device)
        return self._loaded

    def _rate(self, pictures: tuple[bytes, ...]) -> tuple[Rating, ...]:
        loaded = self._load()
        ratings: list[Rating] = []
        for start in range(0, len(pictures), BATCH):
            if self._closed:
                raise ClassifierClosedError
            ratings += loaded.rate(pictures[start : start + BATCH])
        return tuple(ratings)

    def _unload(self) -> None:
        self._loaded = None
