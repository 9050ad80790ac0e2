"""Between two calls of the engine: a graph of the shape that came often, when nobody has to wait for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from bot.inference.denoising.graphs import GraphedUNet
from bot.inference.engine.active_request import ActiveRequest
from bot.inference.engine.batch_scheduler import BatchScheduler, Row
from bot.inference.engine.stream_throttle import StreamThrottle
from bot.inference.engine.watchdog import Watchdog

CAPTURE_SECONDS = 1.0  # what a capture is thought to take, until the first one was made


class Capturing:
    """Belongs to the drawing thread. The time of a capture is that of the member whose call asked for it, as with a switch."""

    def __init__(
        self,
        graphs: GraphedUNet,
        turns: BatchScheduler[ActiveRequest],
        run_ahead: StreamThrottle,
        watch: Watchdog,
        clock: Callable[[], float],
    ) -> None:
        self._graphs = graphs
        self._turns = turns
        self._run_ahead = run_ahead
        self._watch = watch
        self._clock = clock
        self._seconds = CAPTURE_SECONDS

    def after(self, call: Sequence[Row[ActiveRequest]], *, is_measured: bool) -> None:
        """Capture the shape of the call that was just made, where it is wanted and may be. Until calls are `is_measured`, turns
        cannot say who would be late, and nothing is captured beside other members. Raises what ends the device.
        """
        if not self._graphs.wanted:
            return
        if not self._turns.may_pause(call, self._seconds if is_measured else math.inf, self._clock()):
            return
        self._run_ahead.drain()
        began = self._clock()
        with self._watch.over(None):
            self._graphs.capture_wanted()
            self._run_ahead.drain()
        now = self._clock()
        self._seconds = now - began
        self._turns.paused(call[0].job, self._seconds, now)
