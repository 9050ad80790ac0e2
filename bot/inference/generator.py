"""The image generator: one thread that owns torch, and the coroutines that wait for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bot.domain.image import GenerationResult
from bot.domain.profile import Catalog, ModelProfile
from bot.domain.progress import Phase, Progress
from bot.domain.request import GenerationRequest
from bot.errors import GenerationError, GeneratorDeadError, InvalidRequestError
from bot.inference.control import DrawingControl, DrawingStoppedError
from bot.inference.libraries import import_libraries
from bot.ports import OnProgress

if TYPE_CHECKING:
    from bot.inference.adapters import Adapters
    from bot.inference.pipelines import LoadedModel

SECONDS_PER_IMAGE = 7200.0  # an SDXL of full size needs close to that on a CPU of two cores
DEAD = "The GPU stopped working ({fault}) and only a restart of the bot helps; the queue is on disk, nothing is lost."
CLOSE_PATIENCE = 3.0  # seconds; a drawing was stopped before and lets go within a step, only weights take longer
NO_MEMORY = "This does not fit into the memory of the bot's GPU. Choose a smaller size."
CLOSING = "The bot is shutting down; the job will be drawn after its restart."

logger = logging.getLogger(__name__)
Value = TypeVar("Value")


class DiffusersGenerator:
    """Implements ports.ImageGenerator with a diffusers SDXL pipeline in this process.

    Everything that touches torch, its import included, runs on one thread named "pastel-inference". A second call of
    `generate` waits until the first is done. `device` is "auto", "cpu", "cuda", "cuda:N" or "mps"; `cache_dir` None is
    the hub's own cache.
    """

    def __init__(
        self,
        profile: ModelProfile,
        catalog: Catalog,
        *,
        device: str = "auto",
        cache_dir: Path | None = None,
        offline: bool = False,
        seconds_per_image: float = SECONDS_PER_IMAGE,
    ) -> None:
        self._profile = profile
        self._catalog = catalog
        self._device = device
        self._cache_dir = cache_dir
        self._offline = offline
        self._seconds_per_image = seconds_per_image
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pastel-inference")
        self._running: set[DrawingControl] = set()
        self._loaded: tuple[LoadedModel, Adapters] | None = None  # written on the thread only
        self._dead: str | None = None
        self._closed = False
        self._farewell: Future[None] | None = None
        self._settling: set[asyncio.Event] = set()  # one a cancelled caller; set when `close` gives the thread up

    @property
    def capacity(self) -> int:
        return 1

    @property
    def ready(self) -> bool:
        return self._loaded is not None and self._dead is None and not self._closed

    async def load(self) -> None:
        await self._on_thread(self._load, DrawingControl(lambda _: None, self._seconds_per_image))

    async def generate(
        self, request: GenerationRequest, *, init_image: bytes | None, on_progress: OnProgress
    ) -> GenerationResult:
        loop = asyncio.get_running_loop()
        if self._loaded is None:  # said here, since the thread may be busy with loading for minutes
            on_progress(Progress(phase=Phase.LOADING, num_images=request.num_images))
        control = DrawingControl(
            lambda progress: _tell(loop, on_progress, progress), self._seconds_per_image * request.num_images
        )
        return await self._on_thread(lambda: self._generate(request, init_image, control), control)

    async def close(self) -> None:
        """Stop what is drawn within a step and wait until the thread has let go. May be called twice.

        Nothing can interrupt the reading or fetching of weights; it is waited for CLOSE_PATIENCE seconds, and the process
        must then end without the thread.
        """
        if self._farewell is None:
            self._closed = True
            for control in self._running:
                control.stop()
            self._farewell = self._executor.submit(self._unload)
            self._executor.shutdown(wait=False)
        try:
            async with asyncio.timeout(CLOSE_PATIENCE):
                await asyncio.shield(asyncio.wrap_future(self._farewell))
            await asyncio.to_thread(self._executor.shutdown)  # idle now, so its thread ends at once
        except TimeoutError:
            for given_up in self._settling:
                given_up.set()
            logger.warning("The weights are still being read; the process ends without waiting for them")

    async def _on_thread(self, work: Callable[[], Value], control: DrawingControl) -> Value:
        """Run `work` on the thread. Cancelling the caller stops it, and ends only when the thread has let go."""
        if self._closed:
            raise GenerationError(CLOSING)
        self._running.add(control)
        future = asyncio.wrap_future(self._executor.submit(self._guarded, work))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            control.stop()
            await self._settled(future)
            raise
        except DrawingStoppedError:
            raise GenerationError(CLOSING) from None
        finally:
            self._running.discard(control)

    async def _settled(self, future: asyncio.Future[Value]) -> None:
        """Wait for the thread although the waiting task is being cancelled, however often, until `close` gives it up."""
        given_up = asyncio.Event()
        self._settling.add(given_up)
        waiter = asyncio.ensure_future(given_up.wait())
        while not future.done() and not given_up.is_set():
            try:
                await asyncio.wait([future, waiter], return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                continue
        waiter.cancel()
        self._settling.discard(given_up)
        if future.done() and not future.cancelled():
            future.exception()  # seen: it ended because we stopped it

    # What follows runs on the thread.

    def _guarded(self, work: Callable[[], Value]) -> Value:
        if self._dead is not None:
            raise GeneratorDeadError(self._dead)
        try:
            return work()
        except Exception as error:
            from bot.inference.faults import is_device_lost, is_out_of_memory

            if is_out_of_memory(error):
                raise GenerationError(NO_MEMORY, retryable=False) from error
            if not is_device_lost(error):
                raise
            fault = str(error).strip().splitlines()[0]
            self._dead = DEAD.format(fault=fault)
            raise GeneratorDeadError(self._dead) from error

    def _load(self) -> tuple[LoadedModel, Adapters]:
        if self._loaded is None:
            import_libraries()
            from bot.inference.adapters import Adapters
            from bot.inference.pipelines import load_model

            model = load_model(self._profile, device=self._device, cache_dir=self._cache_dir, offline=self._offline)
            self._loaded = model, Adapters(model.text2img, cache_dir=self._cache_dir, offline=self._offline)
            logger.info("The model %s is loaded on %s.", self._profile.name, model.device)
        return self._loaded

    def _generate(self, request: GenerationRequest, init_image: bytes | None, control: DrawingControl) -> GenerationResult:
        control.check()
        if request.profile != self._profile.name:
            raise GenerationError(
                f"This was asked of the model `{request.profile}`; the bot draws with `{self._profile.name}` now. Ask anew.",
                retryable=False,
            )
        model, adapters = self._load()
        from bot.inference.drawing import Order, draw, read_init_image

        try:
            style = self._catalog.style(request.style, self._profile) if request.style else None
        except InvalidRequestError as error:
            raise GenerationError(str(error), retryable=False) from error
        order = Order(request=request, style=style, init_image=read_init_image(init_image, request))
        return draw(model, adapters, order, control)

    def _unload(self) -> None:
        """Free the memory; a test or a demo may load another model in the same process."""
        if self._loaded is not None:
            from bot.inference.faults import free_memory

            self._loaded = None
            free_memory()


def _tell(loop: asyncio.AbstractEventLoop, on_progress: OnProgress, progress: Progress) -> None:
    loop.call_soon_threadsafe(on_progress, progress)
