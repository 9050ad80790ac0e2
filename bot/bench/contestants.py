"""The contestants that serve the requests: three lanes that are measured beside each other."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Protocol

from PIL import Image

from bot.domain.fairness import Share
from bot.domain.request import GenerationRequest
from bot.inference.images.metadata import encode_png
from bot.ports import ImageGenerator, OnProgress

Draw = Callable[[Sequence[GenerationRequest]], Sequence[Image.Image]]
"""Draws the requests in one call of the pipeline and blocks until all are done; they have the same step count."""


class Contestant(Protocol):
    """One way to serve requests."""

    @property
    def name(self) -> str: ...

    async def serve(self, request: GenerationRequest, on_progress: OnProgress) -> None:
        """Return when the picture is finished, as a PNG."""
        ...


class StockContestant:
    """diffusers' own pipeline, one request after another in their order. PNGs are encoded while the next one is drawn."""

    name = "stock"

    def __init__(self, draw: Draw, drawing_thread: Executor) -> None:
        self._draw = draw
        self._thread = drawing_thread
        self._turn = asyncio.Lock()  # admits them in order of arrival

    async def serve(self, request: GenerationRequest, on_progress: OnProgress) -> None:
        del on_progress
        async with self._turn:
            images = await asyncio.get_running_loop().run_in_executor(self._thread, self._draw, [request])
        await asyncio.to_thread(encode_png, images[0], "")


class BatchedContestant:
    """diffusers' own pipeline with static batches: whenever it is free, it takes the request that has waited longest and all
    that wait with the same step count and sampler, up to `most`. Later requests wait for the batch to end.
    """

    name = "batched"

    def __init__(self, draw: Draw, drawing_thread: Executor, *, most: int) -> None:
        self.most = most
        self._draw = draw
        self._thread = drawing_thread
        self._waiting: list[tuple[GenerationRequest, asyncio.Future[Image.Image]]] = []
        self._turn = asyncio.Lock()

    async def serve(self, request: GenerationRequest, on_progress: OnProgress) -> None:
        del on_progress
        image: asyncio.Future[Image.Image] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, image))
        async with self._turn:
            await asyncio.sleep(0)  # requests of the same moment join
            if not image.done():
                await self._draw_next()
        await asyncio.to_thread(encode_png, await image, "")

    async def _draw_next(self) -> None:
        """Draw the first one's batch: the holder of the turn is the first, since turns are given in the order of arrival."""
        kind = _kind(self._waiting[0][0])
        batch = [entry for entry in self._waiting if _kind(entry[0]) == kind][: self.most]
        self._waiting = [entry for entry in self._waiting if entry not in batch]
        requests = [request for request, _ in batch]
        images = await asyncio.get_running_loop().run_in_executor(self._thread, self._draw, requests)
        for (_, future), image in zip(batch, images, strict=True):
            future.set_result(image)


def _kind(request: GenerationRequest) -> tuple[int, str | None]:
    return request.num_inference_steps, request.scheduler


class EngineContestant:
    """The bot's own generator; as the bot's worker does, it never takes more requests at once than its capacity. Each request
    is a separate member's.
    """

    name = "engine"

    def __init__(self, generator: ImageGenerator) -> None:
        self._generator = generator
        self._room = asyncio.Semaphore(generator.capacity)
        self._members = itertools.count(1)

    async def serve(self, request: GenerationRequest, on_progress: OnProgress) -> None:
        async with self._room:
            share = Share(next(self._members))
            await self._generator.generate(request, init_image=None, share=share, on_progress=on_progress)
