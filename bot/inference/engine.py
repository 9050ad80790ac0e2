"""The step engine: requests of different members share calls of the UNet, and join and leave between any two steps."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import torch
from PIL import Image

from bot.domain.batch_curve import BatchCurve
from bot.domain.progress import Phase
from bot.errors import GenerationError
from bot.inference.control import DrawingStoppedError
from bot.inference.decoding import decode, is_large, tiling
from bot.inference.denoising import denoise
from bot.inference.drawing import Drawing
from bot.inference.faults import for_the_caller, free_memory, is_device_lost, is_out_of_memory
from bot.inference.hangs import HangWatch
from bot.inference.previews import Previews
from bot.inference.run_ahead import RunAhead
from bot.inference.step_times import StepTimes
from bot.inference.trajectory import Group, Trajectory
from bot.inference.turns import GroupOrder, next_pictures

if TYPE_CHECKING:
    from bot.inference.adapters import Adapter, Adapters
    from bot.inference.pipelines import LoadedModel
    from bot.inference.preparing import Preparer

SLOW = 10.0  # times the usual duration of a call that are worth a line in the log
SLOW_SECONDS = 1.0  # below, ten times the usual is nothing

logger = logging.getLogger(__name__)


class Engine:
    """Owns all drawings that were admitted. Every method runs on the drawing thread; `turn` is one call of the UNet or one
    decoded picture, so between two turns nothing waits longer than that.

    `batch` is how many pictures a call may hold and `curve` how long calls take, once that was measured; `buckets` are the row
    counts that calls are filled up to. A call that runs out of memory is halved, and so are all later ones of its size. Raises
    only what ends the device.
    """

    def __init__(
        self,
        model: LoadedModel,
        adapters: Adapters,
        preparer: Preparer,
        files: Executor,
        previews: Previews,
        *,
        batch: int,
        buckets: Sequence[int] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.batch = batch
        self.curve: BatchCurve | None = None
        self.times = StepTimes()
        self._decode_times = StepTimes()
        self._model = model
        self._adapters = adapters
        self._preparer = preparer
        self._files = files
        self._previews = previews
        self._buckets = buckets
        self._clock = clock
        self._drawings: list[Drawing] = []
        self._active: dict[tuple[tuple[str, float], ...], tuple[Adapter, ...]] = {}
        self._order: GroupOrder[Group] = GroupOrder()
        self._undecoded: deque[tuple[Drawing, int]] = deque()
        self._decoded_last = False
        self._alone: set[Trajectory] = set()
        self._room: float | None = None  # pictures x latents' area that did not run out of memory
        self._turns = 0
        self._watch = HangWatch(clock)
        self._run_ahead = RunAhead.on(model.device)

    @property
    def busy(self) -> bool:
        return bool(self._drawings)

    def admit(self, drawing: Drawing) -> None:
        """Begin with a request; what is wrong with it goes to its caller."""
        try:
            drawing.control.check()
            self._begin(drawing)
        except Exception as error:  # one request must not end the others
            if is_device_lost(error):
                raise
            self._end(drawing, for_the_caller(error, retryable=True))
        else:
            self._drawings.append(drawing)

    def turn(self) -> None:
        """Do one thing for whoever's turn it is."""
        self._drop_stopped()
        waiting = self._groups()
        if self._undecoded and (not waiting or not self._decoded_last):
            self._decoded_last = True
            self._decode(*self._undecoded.popleft())
        elif waiting:
            self._decoded_last = False
            self._step(waiting[self._order.choose(waiting, self._clock())])

    def abandon(self, error: BaseException) -> None:
        """End everything with `error`."""
        for drawing in tuple(self._drawings):
            self._end(drawing, error)

    def watched(self) -> AbstractContextManager[None]:
        """Have `hang` watch over something else that the drawing thread does with the device."""
        return self._watch.over(None)

    def hang(self) -> str | None:
        """What to say of a call that does not end, else None. May be asked from any thread."""
        return self._watch.hang()

    # One call of the UNet.

    def _groups(self) -> dict[Group, list[tuple[Drawing, Trajectory]]]:
        groups: dict[Group, list[tuple[Drawing, Trajectory]]] = {}
        for drawing in self._drawings:
            for picture in drawing.pictures:
                if not picture.done:
                    groups.setdefault(picture.group, []).append((drawing, picture))
        return groups

    def _step(self, group: Sequence[tuple[Drawing, Trajectory]]) -> None:
        owners = {picture: drawing for drawing, picture in group}
        pictures = self._chosen(tuple(owners))
        drawings = list(dict.fromkeys(owners[picture] for picture in pictures))
        try:
            self._activate(drawings[0])
            broken = self._timed_call(pictures)
        except Exception as error:
            if is_device_lost(error):
                raise
            shrinks, fault = is_out_of_memory(error), for_the_caller(error)
        else:
            for picture, its_error in broken.items():
                self._end(owners[picture], for_the_caller(its_error, retryable=True))
            self._after_step([one for one in drawings if one in self._drawings], pictures, owners)
            return
        if shrinks:  # outside the except block, and `fault` is another: a caught error keeps its frames' tensors alive
            free_memory()
            self._room = len(pictures) * pictures[0].group.area / 2
            logger.warning("%d pictures in one call did not fit into memory", len(pictures))
        else:
            self._alone.update(pictures)
        if len(pictures) == 1:
            self._end(drawings[0], fault)

    def _chosen(self, pictures: Sequence[Trajectory]) -> list[Trajectory]:
        """Those who are suspected of a fault go one by one, so that it hits nobody else."""
        area = pictures[0].group.area
        most = self.batch if self._room is None else min(self.batch, max(1, int(self._room / area)))
        chosen = next_pictures(pictures, most)
        suspects = [picture for picture in chosen if picture in self._alone]
        return suspects[:1] or chosen

    def _timed_call(self, pictures: Sequence[Trajectory]) -> dict[Trajectory, Exception]:
        rows, area = sum(picture.rows for picture in pictures), pictures[0].group.area
        usual = self.times.usual(rows, area)
        began = self._clock()
        with self._watch.over(usual):
            broken = denoise(self._model.text2img.unet, pictures, self._buckets)
            self._run_ahead.step()
        took = self._clock() - began
        self.times.add(rows, area, took)
        self._previews.drew(took)
        if usual is not None and took > max(SLOW_SECONDS, SLOW * usual):
            logger.warning("A step of %d pictures took %.1f s, which usually takes %.1f s", len(pictures), took, usual)
        return broken

    def _after_step(
        self, drawings: Sequence[Drawing], pictures: Sequence[Trajectory], owners: dict[Trajectory, Drawing]
    ) -> None:
        """Go on with `drawings`; the owners of the other pictures have ended."""
        self._turns += 1
        for picture in pictures:
            owner = owners[picture]
            picture.last_turn = self._turns
            self._alone.discard(picture)
            if picture.done and owner in drawings:
                self._undecoded.append((owner, list(owner.pictures).index(picture)))
        for drawing in drawings:
            drawing.control.report(drawing.progress(Phase.DENOISING))
            self._previews.offer(drawing, others_wait=len(self._drawings) > 1)

    # One finished picture.

    def _decode(self, drawing: Drawing, index: int) -> None:
        drawing.control.report(drawing.progress(Phase.DECODING))
        try:
            image = self._timed_decode(drawing.pictures[index])
        except Exception as error:
            if is_device_lost(error):
                raise
            self._end(drawing, for_the_caller(error))
            return
        drawing.undecoded -= 1
        self._files.submit(drawing.encode, index, image, self._model)
        if not drawing.undecoded:
            self._drawings.remove(drawing)

    def _timed_decode(self, picture: Trajectory) -> Image.Image:
        began = self._clock()
        with self._watch.over(self._decode_times.usual(1, picture.group.area)):
            image = self._decoded(picture.latents)
        self._decode_times.add(1, picture.group.area, self._clock() - began)
        return image

    def _decoded(self, latents: torch.Tensor) -> Image.Image:
        """A large one in tiles. When memory runs out: free what is free, and decode once more, in tiles."""
        pipeline = self._model.text2img
        height, width = (side * pipeline.vae_scale_factor for side in latents.shape[-2:])
        try:
            with tiling(pipeline.vae, when=is_large(self._model.profile, width, height)):
                return decode(pipeline, latents)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        free_memory()
        with tiling(pipeline.vae):
            return decode(pipeline, latents)

    # Joining and leaving.

    def _begin(self, drawing: Drawing) -> None:
        """When memory runs out: free what is free, and try once more."""
        try:
            self._prepare(drawing)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        else:
            return
        free_memory()
        self._prepare(drawing)

    def _prepare(self, drawing: Drawing) -> None:
        drawing.adapters = self._activate(drawing)
        with self._watch.over(None):
            drawing.start(*self._preparer.prepare(drawing.order))

    def _activate(self, drawing: Drawing) -> tuple[Adapter, ...]:
        """Give the model the drawing's LoRAs, unless it has them."""
        key = drawing.order.adapters
        if key not in self._active:
            self._active = {}  # a switch that fails leaves either
            self._active = {key: self._adapters.activate(drawing.order.styles)}
        return self._active[key]

    def _drop_stopped(self) -> None:
        """Those whose caller is gone, whose time is up, or whose file could not be made."""
        for drawing in [one for one in self._drawings if one.ended]:
            self._forget(drawing)
        for drawing in tuple(self._drawings):
            try:
                drawing.control.check()
            except (DrawingStoppedError, GenerationError) as error:
                self._end(drawing, error)

    def _end(self, drawing: Drawing, error: BaseException) -> None:
        self._forget(drawing)
        drawing.fail(error)

    def _forget(self, drawing: Drawing) -> None:
        if drawing in self._drawings:
            self._drawings.remove(drawing)
        self._undecoded = deque(entry for entry in self._undecoded if entry[0] is not drawing)
        self._alone.difference_update(drawing.pictures)
