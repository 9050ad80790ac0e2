"""Runs stages one after another, each under a limit of its own, with a line on disk for each measurement at once."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from bot.bench.results import without_nan
from bot.errors import FolderError

LEAST_ROOM = 5.0  # seconds; with less left a stage would be cut off before it has measured anything
NEEDS_CUDA = "needs an NVIDIA GPU"
NO_TIME = "no time was left"
DEVICE_LOST = "the device was lost before"

Line = Mapping[str, Any]
"""The plain values of one measurement, for JSON."""


class LateError(Exception):
    """Raised when a stage has used up its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage. `work` is given its seconds and yields a line a measurement. One that `keeps_time` raises LateError itself when
    they are over, since it waits in an event loop; any other is interrupted between two instructions of Python.
    """

    name: str
    limit: float
    work: Callable[[float], Iterator[Line]]
    needs_cuda: bool = False
    keeps_time: bool = False


class Record:
    """The lines of one run: each is on the disk before the next is measured. An older file is overwritten."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises FolderError."""
        self.path = path
        self.lines: list[dict[str, Any]] = []
        self._clock = clock
        self._began = clock()
        try:
            path.write_text("", encoding="utf-8")
        except OSError as error:
            raise FolderError(f"{path} cannot be written ({error.strerror}). Give --out another folder.") from None

    @property
    def seconds(self) -> float:
        """Returns the seconds since the beginning."""
        return self._clock() - self._began

    def put(self, stage: str, values: Line) -> None:
        """Write a line. Raises FolderError."""
        line = without_nan({"stage": stage, "at": round(self.seconds, 2), **values})
        self.lines.append(line)
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise FolderError(f"{self.path} cannot be written ({error.strerror}). Give --out another folder.") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Runs the stages in their order. `limit` are seconds for all of them together (None: each stage's own is enough): the last
    ones are skipped. `after` is called after each stage, `is_fatal` says which error no later stage can survive, and `say` is
    told what is measured.
    """

    record: Record
    has_cuda: bool
    limit: float | None
    say: Callable[[str], None]
    after: Callable[[], None]
    is_fatal: Callable[[Exception], bool]

    def run(self, stages: Sequence[Stage]) -> None:
        """Run the stages; their faults become lines. Raises only FolderError."""
        lost = False
        for stage in stages:
            if reason := DEVICE_LOST if lost else self._reason_to_skip(stage):
                self.record.put(stage.name, {"skipped": reason})
            else:
                lost = self._run(stage)

    def _reason_to_skip(self, stage: Stage) -> str | None:
        if stage.needs_cuda and not self.has_cuda:
            return NEEDS_CUDA
        return NO_TIME if self._room(stage) < min(LEAST_ROOM, stage.limit) else None

    def _room(self, stage: Stage) -> float:
        return stage.limit if self.limit is None else min(stage.limit, self.limit - self.record.seconds)

    def _run(self, stage: Stage) -> bool:
        """Returns whether the device was lost."""
        self.say(stage.name)
        began, room = self.record.seconds, self._room(stage)
        fault: dict[str, Any] = {}
        lost = False
        try:
            with _alarm(None if stage.keeps_time else room):
                for line in stage.work(room):
                    self.record.put(stage.name, line)
        except FolderError:
            raise
        except LateError:
            fault = {"late": f"stopped after {room:.0f} s"}
        except Exception as error:  # noqa: BLE001  # the next stage may well work
            lost, fault = self.is_fatal(error), {"error": _told(error)}
        if not lost:
            self.after()  # outside the except block: a caught error keeps its frames' tensors alive
        self.record.put(stage.name, {"seconds": round(self.record.seconds - began, 2), "done": not fault, **fault})
        return lost


@contextmanager
def _alarm(seconds: float | None) -> Generator[None]:
    """Raise LateError in the block after that many seconds; a call into a library is interrupted when it returns. On the main
    thread; an earlier owner of the alarm (pytest's time limit) gets it back afterwards.
    """
    if seconds is None:
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise LateError

    began = time.monotonic()
    before = signal.signal(signal.SIGALRM, ring)
    left, _ = signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(1e-3, left - (time.monotonic() - began)))


def _told(error: Exception) -> str:
    """Returns the error's kind and first line; for a group of members, the first one's."""
    if isinstance(error, ExceptionGroup):
        return _told(error.exceptions[0])  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] # a group of anything
    return f"{type(error).__name__}: {(str(error).strip() or 'no reason given').splitlines()[0]}"[:300]
