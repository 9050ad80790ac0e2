"""The image generator: one thread that owns torch, and the coroutines that wait for it."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.domain.eta import EngineSpeed
from bot.domain.fairness import Share
from bot.domain.image import GenerationResult
from bot.domain.profile import Catalog, ModelProfile
from bot.domain.progress import Phase, Progress
from bot.domain.request import GenerationRequest
from bot.errors import GenerationError, GeneratorDeadError
from bot.inference.engine.cancellation import CancelToken, RequestCancelledError
from bot.inference.engine.thread_future import ThreadFuture
from bot.inference.engine_settings import UNMEASURED, EngineSettings
from bot.inference.torch_import import import_libraries
from bot.messages import translatable
from bot.ports import OnProgress

if TYPE_CHECKING:
    from bot.inference.engine.previews import Judge
    from bot.inference.session import ModelSession

SECONDS_PER_IMAGE = 7200.0  # an SDXL of full size needs close to that on a CPU of two cores
DEAD = "The GPU stopped working ({fault}) and only a restart of the bot helps; the queue is on disk, nothing is lost."
ADMITTED = 64  # requests; each keeps about 5 MB between its steps with SDXL
WATCH_INTERVAL = 1.0  # seconds between looks at whether a step hangs
QUIET_SECONDS = 3.0  # without work, after which the machine may be measured: the end of one job often brings the next
CLOSE_PATIENCE = 3.0  # seconds; a drawing was stopped before and lets go within a step, only weights take longer
OTHER_MODEL = translatable("You asked for the model `{asked}`, but now I draw with `{loaded}`. Ask once more.")
CLOSING = translatable("I'm about to restart. I'll draw this right after.")

logger = logging.getLogger(__name__)


class DiffusersGenerator:
    """Implements ports.ImageGenerator with the step engine in this process.

    Everything that touches torch, its import included, runs on one thread named "pastel-inference", except files and previews,
    which a small pool encodes. `device` is "auto", "cpu", "cuda", "cuda:N" or "mps"; `cache_dir` None is the hub's own cache.
    `make_session` is called there once instead of loading weights.

    `judge`, set before the weights are loaded, rates previews on a thread of its own where the model has a classifier; without
    it such a model shows none.
    """

    def __init__(
        self,
        profile: ModelProfile,
        catalog: Catalog,
        *,
        device: str = "auto",
        cache_dir: Path | None = None,
        seconds_per_image: float = SECONDS_PER_IMAGE,
        engine: EngineSettings = UNMEASURED,
        make_session: Callable[[], ModelSession] | None = None,
    ) -> None:
        self._profile = profile
        self._catalog = catalog
        self._device = device
        self._cache_dir = cache_dir
        self._seconds_per_image = seconds_per_image
        self._engine = engine
        self.judge: Judge | None = None
        self._make_session = make_session or self._load_session
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._session: ModelSession | None = None  # written on the thread only
        self._calls: set[ThreadFuture] = set()
        self._left: Future[None] = Future()  # done when the thread has let go
        self._dead: str | None = None
        self._closed = False

    @property
    def capacity(self) -> int:
        """Returns ADMITTED, or fewer while those under way keep too much in memory; 1 until the weights are loaded."""
        session = self._session  # the thread may take it away between two looks
        if session is None:
            return 1
        return ADMITTED if session.engine.kept_bytes < self._engine.most_kept else min(ADMITTED, len(self._calls))

    @property
    def batch(self) -> int:
        session = self._session
        return session.engine.batch if session is not None else 1

    @property
    def speed(self) -> EngineSpeed | None:
        session = self._session  # the thread may take it away between two looks
        return session.speed if session is not None else None

    @property
    def ready(self) -> bool:
        return self._session is not None and self._dead is None and not self._closed

    async def load(self) -> None:
        call = ThreadFuture(CancelToken(lambda _: None, self._seconds_per_image))
        await self._finished(call, lambda: self._answer_loaded(call))

    async def generate(
        self, request: GenerationRequest, *, init_image: bytes | None, share: Share, on_progress: OnProgress
    ) -> GenerationResult:
        loop = asyncio.get_running_loop()
        if self._session is None:  # said here, since the thread may be busy with loading for minutes
            on_progress(Progress(phase=Phase.LOADING, num_images=request.num_images))
        control = CancelToken(lambda progress: _tell(loop, on_progress, progress), self._seconds_per_image * request.num_images)
        call = ThreadFuture(control)
        return await self._finished(call, lambda: self._admit(request, init_image, share, call))

    async def close(self) -> None:
        """Stop drawing within a step and wait until the thread has ended. May be called twice.

        Nothing can interrupt the reading or fetching of weights, or a step that hangs; the wait ends after CLOSE_PATIENCE
        seconds, and the process must then end without the thread.
        """
        self._closed = True
        for call in self._calls:
            call.control.stop()
        if self._thread is None:
            return
        self._inbox.put(_wake)
        try:
            async with asyncio.timeout(CLOSE_PATIENCE):
                await asyncio.shield(asyncio.wrap_future(self._left))
            await asyncio.to_thread(self._thread.join)  # it is at its last line
        except TimeoutError:
            for call in self._calls:
                call.fail(RequestCancelledError())
            logger.warning("The drawing thread does not let go; the process ends without waiting for it")

    async def _finished(self, call: ThreadFuture, work: Callable[[], None]) -> Any:
        """Hand `work` to the thread and return its answer. Cancelling the caller stops the drawing, and returns only when the
        thread has stopped it.
        """
        if self._closed:
            raise GenerationError(CLOSING)
        if self._dead is not None:
            raise GeneratorDeadError(self._dead)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="pastel-inference", daemon=True)
            self._thread.start()
        self._calls.add(call)
        self._inbox.put(work)
        try:
            return await self._watched(call)
        except asyncio.CancelledError:
            call.control.stop()
            await call.settled()
            raise
        except RequestCancelledError:
            raise GenerationError(CLOSING) from None
        finally:
            self._calls.discard(call)

    async def _watched(self, call: ThreadFuture) -> Any:
        """Returns the answer. A step that hangs cannot be stopped: its device is given up, and the process has to end."""
        while not call.future.done():
            await asyncio.wait([call.future], timeout=WATCH_INTERVAL)
            session = self._session  # the thread may take it away between two looks
            hang = session.engine.hang() if session is not None else None
            if hang is not None and self._dead is None:
                self._die(hang)
            elif self._dead is not None:  # a call that came while the device was lost: nothing else would answer it
                call.fail(GeneratorDeadError(self._dead))
        return call.future.result()

    def _die(self, fault: str, cause: BaseException | None = None) -> None:
        """Make every call raise GeneratorDeadError from now on, also those that wait. On the event loop or on the thread."""
        self._dead = DEAD.format(fault=fault)
        for call in self._calls.copy():  # in one go, whatever the event loop adds meanwhile
            error = GeneratorDeadError(self._dead)
            error.__cause__ = cause
            call.fail(error)

    # What follows runs on the thread.

    def _work(self) -> None:
        try:
            self._serve()
            self._unload()
        except BaseException as error:  # without the thread nothing would answer the waiting calls
            logger.error("The drawing thread broke off", exc_info=error)
            self._die(f"its thread broke off with {type(error).__name__}", error)
        finally:
            self._left.set_result(None)

    def _serve(self) -> None:
        quiet = False
        while not self._closed:
            # pictures on a lost device stay where they are; their callers were told
            busy = self._session is not None and self._dead is None and self._session.engine.busy
            try:
                work = self._inbox.get(block=not busy, timeout=self._patience(quiet=quiet))
            except queue.Empty:
                quiet = not busy
            else:
                quiet = False
                work()
            if self._session is not None and self._dead is None:
                self._guarded(self._session.measure if quiet else self._session.engine.turn)
        while not self._inbox.empty():  # waiting calls are told that it is too late: all controls are stopped
            self._inbox.get()()

    def _patience(self, *, quiet: bool) -> float | None:
        """Returns how long to wait for work in seconds; None (for ever) if nothing is left to measure meanwhile."""
        if self._session is None or self._dead is not None or not self._session.wants_measuring:
            return None
        return 0.0 if quiet else QUIET_SECONDS

    def _guarded(self, work: Callable[[], object]) -> None:
        """Run `work`; whatever it raises, the thread continues, and all who wait are told."""
        try:
            work()
        except Exception as error:  # noqa: BLE001
            if not self._died_of(error) and self._session is not None:
                self._session.engine.abandon(error)

    def _died_of(self, error: Exception) -> bool:
        """Returns whether this error ends the device; if so, everybody has been told."""
        if not isinstance(error, RuntimeError):  # without torch, which may be the missing part, this cannot be checked
            return False
        from bot.inference.faults import is_device_lost

        if not is_device_lost(error):
            return False
        self._die((str(error).strip() or type(error).__name__).splitlines()[0], error)
        return True

    def _answer_loaded(self, call: ThreadFuture) -> None:
        try:
            self._check(call)
            self._opened()
        except Exception as error:  # noqa: BLE001  # it belongs to the caller
            if not self._died_of(error):
                call.fail(error)
        else:
            call.answer(None)

    def _check(self, call: ThreadFuture) -> None:
        """Raise if the call was cancelled or the device is lost."""
        call.control.check()
        if self._dead is not None:
            raise GeneratorDeadError(self._dead)

    def _admit(self, request: GenerationRequest, init_image: bytes | None, share: Share, call: ThreadFuture) -> None:
        try:
            self._check(call)
            if request.profile != self._profile.name:
                raise GenerationError(OTHER_MODEL, asked=request.profile, loaded=self._profile.name, retryable=False)
            session = self._opened()
            drawing = session.drawing(
                request, self._catalog, init_image, call.control, share, answer=call.answer, fail=call.fail
            )
        except Exception as error:  # noqa: BLE001  # it belongs to the caller
            if not self._died_of(error):
                call.fail(error)
            return
        self._guarded(lambda: session.engine.admit(drawing))

    def _opened(self) -> ModelSession:
        """Returns the model with its engine, made at the first call. Raises ModelError."""
        if self._session is None:
            self._session = self._make_session()
        return self._session

    def _load_session(self) -> ModelSession:
        import_libraries()
        from bot.inference.session import open_session

        return open_session(self._profile, self._engine, device=self._device, cache_dir=self._cache_dir, judge=self.judge)

    def _unload(self) -> None:
        """Free the memory; a test or a demo may load another model in the same process."""
        if self._session is not None:
            from bot.inference.faults import free_memory

            self._session.close(RequestCancelledError())
            self._session = None
            if self._dead is None:  # a lost device answers this with its error too
                free_memory()


def _wake() -> None:
    """Does nothing: handed to the thread as work, it wakes the thread."""


def _tell(loop: asyncio.AbstractEventLoop, on_progress: OnProgress, progress: Progress) -> None:
    with suppress(RuntimeError):  # on a closed loop nobody waits
        loop.call_soon_threadsafe(on_progress, progress)
