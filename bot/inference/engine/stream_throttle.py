"""Limits how many calls are queued on a GPU behind the thread that feeds it, and reports how long each took."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from bot.inference.transfers import Mark, new_mark

CALLS_AHEAD = 1  # enough to launch a call while the one before runs; more, and a cancel would come that many too late


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _UnderWay:
    began: Mark
    ended: Mark
    took: Callable[[float], None]

    def tell(self) -> None:
        """Report the duration, once the GPU is done."""
        self.took(self.began.elapsed_time(self.ended) / 1000)


class StreamThrottle:
    """Throttles the device's queue: what is launched in a `call` runs behind the thread. On a CPU it only reads the clock."""

    def __init__(self, mark: Callable[[], Mark] | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._mark = mark
        self._clock = clock
        self._under_way: deque[_UnderWay] = deque()

    @classmethod
    def on(cls, device: torch.device, clock: Callable[[], float] = time.monotonic) -> StreamThrottle:
        return cls((lambda: new_mark(timed=True)) if device.type == "cuda" else None, clock)

    @contextmanager
    def call(self, took: Callable[[float], None]) -> Generator[None]:
        """Launch one call in the block; then wait until at most CALLS_AHEAD are under way. `took` hears how many seconds the
        device worked on it, once that is known: on a GPU after a later call or `drain`. It is not told of a call that raised.
        """
        if self._mark is None:
            began = self._clock()
            yield
            took(self._clock() - began)
            return
        begin = self._marked(self._mark)
        yield
        self._under_way.append(_UnderWay(began=begin, ended=self._marked(self._mark), took=took))
        while len(self._under_way) > CALLS_AHEAD:
            self._under_way[0].ended.synchronize()
            self._under_way.popleft().tell()

    def drain(self) -> None:
        """Wait until everything launched is done."""
        if self._mark is None:
            return
        self._marked(self._mark).synchronize()
        while self._under_way:
            self._under_way.popleft().tell()

    def _marked(self, make: Callable[[], Mark]) -> Mark:
        mark = make()
        mark.record()
        return mark
