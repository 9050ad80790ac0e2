"""Connects the drawing thread with the task that waits for it: progress comes out, a stop goes in."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bot.domain.progress import Progress
from bot.errors import GenerationError
from bot.messages import counted


class RequestCancelledError(Exception):
    """The waiting task was cancelled, or the generator closes; the pictures are no longer wanted."""


class CancelToken:
    """Controls one request. `check`, `spend` and `report` belong to the drawing thread, `stop` to any.

    `seconds` is the request's total drawing time; time in which only other requests are drawn does not count.
    """

    def __init__(self, report: Callable[[Progress], None], seconds: float) -> None:
        self._report = report
        self._seconds = seconds
        self._spent = 0.0
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def spend(self, seconds: float) -> None:
        """Count `seconds` of drawing for the request, alone or shared. On the drawing thread."""
        self._spent += seconds

    def check(self) -> None:
        """Raises DrawingStoppedError, or GenerationError when the time is used up. Called at every step."""
        if self._stopped.is_set():
            raise RequestCancelledError
        if self._spent > self._seconds:
            raise GenerationError(
                counted(
                    "This took longer than {count} minute, so I stopped. Try fewer steps, fewer pictures or a smaller size.",
                    "This took longer than {count} minutes, so I stopped. Try fewer steps, fewer pictures or a smaller size.",
                    round(self._seconds / 60),
                ),
                retryable=False,
            )

    def report(self, progress: Progress) -> None:
        if not self._stopped.is_set():
            self._report(progress)
