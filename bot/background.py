"""Owns the tasks that run beside Discord (loading, drawing, delivering, the probe of the loop): starts and stops them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from bot.errors import OperatorError
from bot.health import measure_lag
from bot.metrics import Metrics
from bot.ports import ImageGenerator, PictureClassifier
from bot.services.use_cases import Services

# The stop has 30 s in all: these, 8 s to abort drawing, 5 s for unfinished cards, 3 s for the generator's thread.
GRACE_SECONDS = 8.0  # for a running picture to end by itself
FAREWELL_SECONDS = 4.0  # for showing what is finished
END_SECONDS = 1.0  # for tasks that were cancelled; only reading weights cannot be cancelled

log = logging.getLogger(__name__)


class Background:
    """Owns the tasks. Call `start` once, on the event loop; `stop` may be called repeatedly."""

    def __init__(
        self, *, services: Services, generator: ImageGenerator, classifier: PictureClassifier | None, metrics: Metrics
    ) -> None:
        self._worker = services.worker
        self._fetcher = services.fetcher
        self._delivery = services.delivery
        self._live = services.live
        self._places = services.places
        self._eraser = services.eraser
        self._overwriting = services.overwriting
        self._retention = services.retention
        self._sweeping = services.sweeping
        self._reports = services.reports
        self._first_answers = services.first_answers
        self._intakes = services.intakes
        self._generator = generator
        self._classifier = classifier
        self._metrics = metrics
        self._tasks: list[asyncio.Task[None]] = []
        self._failed = asyncio.Event()
        self._error: BaseException | None = None

    def start(self) -> None:
        """Start the tasks that load weights, draw, deliver, delete what has expired, and show moderators what they missed."""
        if self._tasks:
            return
        works: dict[str, Coroutine[Any, Any, None]] = {
            "load": self._load(),
            "fetcher": self._fetcher.run(),
            "worker": self._draw(),
            "delivery": self._delivery.run(),
            "first-answers": self._first_answers.run(),
            "intakes": self._intakes.run(),
            "eraser": self._eraser.run(),
            "overwriting": self._overwriting.run(),
            "retention": self._retention.run(),
            "sweeping": self._sweeping.run(),
            "places": self._places.run(),
            "reports": self._reports.display.catch_up(),
            "loop-lag": measure_lag(self._metrics.loop_lag_seconds.observe),
        }
        self._tasks = [asyncio.create_task(work, name=name) for name, work in works.items()]
        for task in self._tasks:
            task.add_done_callback(self._note_end)

    async def failure(self) -> None:
        """Wait for a task to fail finally, and raise its error."""
        await self._failed.wait()
        assert self._error is not None
        raise self._error

    async def draws(self) -> bool:
        """Return whether pictures can be drawn right now."""
        return self._generator.ready and not self._failed.is_set()

    async def stop(self) -> None:
        """Stop claiming, give the running picture its grace, show what is finished, end all tasks."""
        if not self._tasks:
            return
        tasks, self._tasks = self._tasks, []
        await asyncio.gather(self._worker.stop(GRACE_SECONDS if await self.draws() else 0), self._intakes.stop())
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._delivery.deliver_due()
        except TimeoutError:
            log.info("Some finished pictures wait for the next start")
        await self._delivery.stop()
        self._places.stop()
        self._first_answers.stop()
        await self._fetcher.stop()
        await self._live.stop()
        self._retention.stop()
        self._sweeping.stop()
        await self._eraser.stop()
        await self._overwriting.stop()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=END_SECONDS)

    async def _draw(self) -> None:
        """Draw; claims nothing before it is known which files are on disk."""
        await self._fetcher.look()
        await self._worker.run()

    async def _load(self) -> None:
        """Load the weights, the classifier's first: it is small, and without it no picture can be shown."""
        await self._fetcher.prepare()
        if self._classifier is not None:
            await self._classifier.load()
        await self._generator.load()
        self._worker.wake()  # only now the generator knows how many jobs it can draw at once

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        if self._error is None:
            self._error = error
        if not isinstance(error, OperatorError):
            log.error("Task %s ended unexpectedly", task.get_name(), exc_info=error)
        self._failed.set()
