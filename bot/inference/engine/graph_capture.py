"""Captures, between two calls of the engine, a graph of a frequent shape when nobody has to wait for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from bot.inference.denoising.graphs import GraphedUNet
from bot.inference.engine.active_request import ActiveRequest
from bot.inference.engine.batch_scheduler import BatchScheduler, Row
from bot.inference.engine.stream_throttle import StreamThrottle
from bot.inference.engine.watchdog import Watchdog

CAPTURE_SECONDS = 1.0  # the assumed time of a capture, until the first one was made


class Capturing:
    """Captures graphs on the drawing thread. A capture is charged to the member whose call asked for it, as a switch is."""

    def __init__(
        self,
        graphs: GraphedUNet,
        turns: BatchScheduler[ActiveRequest],
        throttle: StreamThrottle,
        watch: Watchdog,
        clock: Callable[[], float],
    ) -> None:
        self._graphs = graphs
        self._turns = turns
        self._throttle = throttle
        self._watch = watch
        self._clock = clock
        self._seconds = CAPTURE_SECONDS

    def after(self, call: Sequence[Row[ActiveRequest]], *, is_measured: bool) -> None:
        """Capture the shape of the call that was just made, if that is wanted and allowed. Until calls are `is_measured`, turns
        cannot tell who would be late, so nothing is captured beside other members. Raises what ends the device.
        """
        if not self._graphs.wanted:
            return
        if not self._turns.may_pause(call, self._seconds if is_measured else math.inf, self._clock()):
            return
        self._throttle.drain()
        began = self._clock()
        with self._watch.over(None):
            self._graphs.capture_wanted()
            self._throttle.drain()
        now = self._clock()
        self._seconds = now - began
        self._turns.paused(call[0].job, self._seconds, now)
