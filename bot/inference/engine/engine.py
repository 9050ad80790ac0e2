"""The step engine: requests of different members share calls of the UNet, and join and leave between any two steps."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING

from bot.domain.batch_curve import BatchCurve
from bot.domain.progress import Phase
from bot.errors import GenerationError
from bot.inference.denoising.denoising_state import DenoisingState
from bot.inference.denoising.unet_call import denoise, padded_rows
from bot.inference.engine.active_request import ActiveRequest
from bot.inference.engine.batch_scheduler import BatchScheduler, Row
from bot.inference.engine.cancellation import CancelToken, RequestCancelledError
from bot.inference.engine.decode_queue import DecodeQueue, Outcome
from bot.inference.engine.graph_capture import Capturing
from bot.inference.engine.previews import Previews
from bot.inference.engine.step_times import StepTimes
from bot.inference.engine.stream_throttle import StreamThrottle
from bot.inference.engine.watchdog import Watchdog
from bot.inference.faults import for_the_caller, free_memory, is_device_lost, is_out_of_memory
from bot.inference.formats.model_layers import TEXT_ENCODERS, UNET

if TYPE_CHECKING:
    from bot.inference.engine.preparation import Preparer
    from bot.inference.loading.pipelines import LoadedModel
    from bot.inference.loras.loader import LoadedLora, LoraLoader

Loras = tuple[tuple[str, float], ...]  # with their weights

UNKNOWN = BatchCurve(((1, 1.0),))  # until it was measured, a call of several takes as long as each of them alone
SLOW = 10.0  # times the usual duration of a call that are worth a line in the log
SLOW_SECONDS = 1.0  # below, ten times the usual is nothing

logger = logging.getLogger(__name__)


class Engine:
    """Owns all active requests. Every method runs on the drawing thread; `turn` is one call of the UNet or one decoded picture,
    so nothing waits longer than that between two turns.

    `batch` is how many pictures a call may have, `curve` how long calls take once that was measured, `buckets` the row counts
    that calls are filled up to, `kept_bytes` what waiting requests keep. A call that runs out of memory is halved, and so are
    all later ones of its size. Raises only what ends the device.
    """

    def __init__(
        self,
        model: LoadedModel,
        adapters: LoraLoader,
        preparer: Preparer,
        files: Executor,
        previews: Previews,
        *,
        batch: int,
        buckets: Sequence[int] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.batch = batch
        self.times = StepTimes()
        self._model = model
        self._adapters = adapters
        self._preparer = preparer
        self._previews = previews
        self._buckets = buckets
        self.kept_bytes = 0
        self._curve: BatchCurve | None = None
        self._clock = clock
        self._drawings: list[ActiveRequest] = []
        self._active: dict[Sequence[str], tuple[Loras, tuple[LoadedLora, ...]]] = {}  # by the model's components
        self._turns: BatchScheduler[ActiveRequest] = BatchScheduler(
            UNKNOWN, model.default_area, padded=lambda rows: padded_rows(rows, buckets)
        )
        self._decoded_last = False
        self._alone: set[DenoisingState] = set()
        self._room: float | None = None  # pictures x latents' area that did not run out of memory
        self._watch = Watchdog(clock)
        self._throttle = StreamThrottle.on(model.device, clock)
        self._graphs = model.graphs
        self._capturing = (
            None if model.graphs is None else Capturing(model.graphs, self._turns, self._throttle, self._watch, clock)
        )
        self._finishing = DecodeQueue(model, files, self._watch, self._throttle, clock, charge=self._charge_decoding)

    @property
    def curve(self) -> BatchCurve | None:
        return self._curve

    @curve.setter
    def curve(self, curve: BatchCurve | None) -> None:
        self._curve = curve
        self._turns.curve = curve or UNKNOWN

    @property
    def busy(self) -> bool:
        return bool(self._drawings)

    def admit(self, drawing: ActiveRequest) -> None:
        """Begin with a request; its own errors go to its caller."""
        try:
            drawing.control.check()
            self._begin(drawing)
        except Exception as error:  # one request must not end the others
            if is_device_lost(error):
                raise
            self._end(drawing, for_the_caller(error, retryable=True))
        else:
            self._drawings.append(drawing)
            self._count_kept()

    def turn(self) -> None:
        """Do the next piece of work, by the order of turns."""
        self._drop_stopped()
        waiting = any(not picture.done for drawing in self._drawings for picture in drawing.pictures)
        self._pass_on(self._finishing.passed_on(wait=not waiting and not self._finishing.waits))
        if self._finishing.waits and (not waiting or not self._decoded_last):
            self._decoded_last = True
            self._pass_on(self._finishing.decode_next())
        elif waiting:
            self._decoded_last = False
            self._step(self._turns.next_call(self._clock(), self._fitting))

    def abandon(self, error: BaseException) -> None:
        """End all requests with `error`."""
        for drawing in tuple(self._drawings):
            self._end(drawing, error)

    def watched(self) -> AbstractContextManager[None]:
        """Have `hang` watch other work that the drawing thread does with the device."""
        return self._watch.over(None)

    def hang(self) -> str | None:
        """Returns a sentence about a call that does not end, else None. May be asked from any thread."""
        return self._watch.hang()

    # One call of the UNet.

    def _fitting(self, area: int) -> int:
        """Returns how many pictures of that area a call may have."""
        return self.batch if self._room is None else min(self.batch, max(1, int(self._room / area)))

    def _step(self, call: Sequence[Row[ActiveRequest]]) -> None:
        """Make one call. Pictures suspected of a fault are called one by one, so that it affects nobody else."""
        call = [row for row in call if row.picture in self._alone][:1] or call
        pictures = [row.job.pictures[row.index] for row in call]
        try:
            self._switch(call[0].job)
            broken = self._timed_call(call, pictures)
        except Exception as error:
            if is_device_lost(error):
                raise
            shrinks, fault = is_out_of_memory(error), for_the_caller(error)
        else:
            for row in call:
                if (its_error := broken.get(row.job.pictures[row.index])) is not None:
                    self._end(row.job, for_the_caller(its_error, retryable=True))
            self._after_step(call)
            if self._capturing is not None:
                self._capturing.after(call, is_measured=self._curve is not None)
            return
        if shrinks:  # outside the except block, and `fault` is another: a caught error keeps its frames' tensors alive
            had_graphs = self._graphs is not None and self._graphs.release()
            free_memory()
            if had_graphs:
                logger.warning("A call did not fit into memory beside the CUDA graphs; all calls are made without from now on.")
                return
            self._room = len(pictures) * pictures[0].group.area / 2
            logger.warning("%d pictures in one call did not fit into memory", len(pictures))
        else:
            self._alone.update(pictures)
        if len(pictures) == 1:
            self._end(call[0].job, fault)

    def _timed_call(
        self, call: Sequence[Row[ActiveRequest]], pictures: Sequence[DenoisingState]
    ) -> dict[DenoisingState, Exception]:
        rows, area = sum(picture.rows for picture in pictures), pictures[0].group.area
        controls = tuple({row.job.control for row in call})  # not the requests, whose tensors are freed when they end
        began = self._clock()
        with (
            self._watch.over(self.times.usual(rows, area)),
            self._throttle.call(partial(self._took, controls, len(pictures), rows, area)),
        ):
            broken = denoise(self._model.unet, pictures, self._buckets)
        self._turns.drawn(call, began)
        return broken

    def _took(self, controls: Sequence[CancelToken], pictures: int, rows: int, area: int, seconds: float) -> None:
        """Note that a call took `seconds`; on a GPU that is known one call later."""
        usual = self.times.usual(rows, area)
        self.times.add(rows, area, seconds)
        for control in controls:
            control.spend(seconds)
        self._previews.drew(seconds)
        if usual is not None and seconds > max(SLOW_SECONDS, SLOW * usual):
            logger.warning("A step of %d pictures took %.1f s, which usually takes %.1f s", pictures, seconds, usual)

    def _after_step(self, call: Sequence[Row[ActiveRequest]]) -> None:
        """Continue with the requests that have not ended in the call."""
        drawings = [drawing for drawing in dict.fromkeys(row.job for row in call) if drawing in self._drawings]
        for row in call:
            picture = row.job.pictures[row.index]
            self._alone.discard(picture)
            if picture.done and row.job in drawings:
                self._finishing.add(row.job, row.index)
        for drawing in drawings:
            drawing.control.report(drawing.progress(Phase.DENOISING))
            self._previews.offer(drawing, others_wait=len(self._drawings) > 1)

    # One finished picture.

    def _pass_on(self, outcomes: Iterable[Outcome]) -> None:
        for drawing, error in outcomes:
            if error is not None:
                self._end(drawing, error)
            elif not drawing.undecoded:
                self._forget(drawing)

    def _charge_decoding(self, drawing: ActiveRequest, seconds: float) -> None:
        self._turns.charge(drawing, seconds)
        drawing.control.spend(seconds)

    def _begin(self, drawing: ActiveRequest) -> None:
        """Prepare a request. When memory runs out, free what is unused and try once more."""
        try:
            self._prepare(drawing)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        else:
            return
        free_memory()
        self._prepare(drawing)

    def _prepare(self, drawing: ActiveRequest) -> None:
        """Prepare a request. Only the text encoders' weights change: other requests continue unaffected."""
        began = self._clock()
        drawing.adapters = self._activated(drawing, TEXT_ENCODERS)
        with self._watch.over(None):
            drawing.start(*self._preparer.prepare(drawing.order))
        self._turns.join(drawing)
        self._turns.charge(drawing, self._clock() - began)

    def _switch(self, drawing: ActiveRequest) -> None:
        """Give the UNet the request's LoRAs, unless it has them. The time is charged to the request, so a GPU is waited for:
        before it, since earlier steps belong to others, and after it.
        """
        before = self._active.get(UNET)
        if before is not None and before[0] == drawing.order.adapters:
            return
        self._throttle.drain()
        began = self._clock()
        self._activated(drawing, UNET)
        if self._graphs is not None:
            self._graphs.weights_changed()
        self._throttle.drain()
        if before is not None:
            self._turns.switched(drawing, self._clock() - began)

    def _activated(self, drawing: ActiveRequest, components: Sequence[str]) -> tuple[LoadedLora, ...]:
        key = drawing.order.adapters
        active = self._active.get(components)
        if active is None or active[0] != key:
            self._active.pop(components, None)  # a switch that fails leaves either
            active = self._active[components] = key, self._adapters.activate(drawing.order.styles, components)
        return active[1]

    def _drop_stopped(self) -> None:
        """Drop requests whose caller is gone, whose time is up, or whose file could not be made."""
        for drawing in [one for one in self._drawings if one.ended]:
            self._forget(drawing)
        for drawing in tuple(self._drawings):
            try:
                drawing.control.check()
            except (RequestCancelledError, GenerationError) as error:
                self._end(drawing, error)

    def _end(self, drawing: ActiveRequest, error: BaseException) -> None:
        self._forget(drawing)
        drawing.fail(error)

    def _forget(self, drawing: ActiveRequest) -> None:
        if drawing in self._drawings:
            self._drawings.remove(drawing)
            self._count_kept()
        self._turns.leave(drawing)
        self._finishing.forget(drawing)
        self._alone.difference_update(drawing.pictures)

    def _count_kept(self) -> None:
        pictures = (picture for drawing in self._drawings for picture in drawing.pictures)
        kept = {id(tensor): tensor.nbytes for picture in pictures for tensor in picture.kept}
        self.kept_bytes = sum(kept.values())
