"""Finished pictures: decoded one at a time, and passed on to the threads that make files."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.progress import Phase
from bot.inference.engine.active_request import ActiveRequest
from bot.inference.engine.decoding import Decoded, decode_within_memory
from bot.inference.engine.step_times import StepTimes
from bot.inference.engine.stream_throttle import StreamThrottle
from bot.inference.engine.watchdog import Watchdog
from bot.inference.faults import for_the_caller, is_device_lost

if TYPE_CHECKING:
    from bot.inference.loading.pipelines import LoadedModel

Outcome = tuple[ActiveRequest, Exception | None]
"""The request whose picture was passed on, or the error that ends it."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Undecoded:
    drawing: ActiveRequest
    index: int
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _UnderWay:
    """A picture in decoding. `launched`: how many seconds the thread spent on it."""

    picture: _Undecoded
    decoded: Decoded
    launched: float


class DecodeQueue:
    """Decodes finished pictures on the drawing thread. It does not wait for a GPU while there is other work: a decoded picture
    is passed on at a later turn. `charge` is told whose picture took how many seconds. Raises what ends the device.
    """

    def __init__(
        self,
        model: LoadedModel,
        files: Executor,
        watch: Watchdog,
        throttle: StreamThrottle,
        clock: Callable[[], float],
        *,
        charge: Callable[[ActiveRequest, float], None],
    ) -> None:
        self._model = model
        self._files = files
        self._watch = watch
        self._throttle = throttle
        self._clock = clock
        self._charge = charge
        self._times = StepTimes()
        self._undecoded: deque[_Undecoded] = deque()
        self._under_way: deque[_UnderWay] = deque()

    @property
    def waits(self) -> bool:
        """Returns whether a picture is to be decoded."""
        return bool(self._undecoded)

    def add(self, drawing: ActiveRequest, index: int) -> None:
        """Add a picture of that request, which has had its last step."""
        self._undecoded.append(_Undecoded(drawing=drawing, index=index))

    def forget(self, drawing: ActiveRequest) -> None:
        """Drop the request's pictures from the queue."""
        self._undecoded = deque(one for one in self._undecoded if one.drawing is not drawing)
        self._under_way = deque(one for one in self._under_way if one.picture.drawing is not drawing)

    def decode_next(self) -> Iterator[Outcome]:
        """Decode the picture that waits longest, and pass on those that have arrived (on a CPU, always)."""
        picture = self._undecoded.popleft()
        drawing = picture.drawing
        drawing.control.report(drawing.progress(Phase.DECODING))
        try:
            self._under_way.append(self._launched(picture))
        except Exception as error:
            if is_device_lost(error):
                raise
            yield drawing, for_the_caller(error)
        yield from self.passed_on(wait=False)

    def passed_on(self, *, wait: bool) -> Iterator[Outcome]:
        """Pass on pictures that the device has decoded to be encoded; with `wait` the next one at least, if there is one."""
        while self._under_way and (wait or self._under_way[0].decoded.is_here):
            wait = False
            one = self._under_way.popleft()
            drawing = one.picture.drawing
            try:
                if self._settled(one):
                    yield drawing, None
            except Exception as error:
                if is_device_lost(error):
                    raise
                yield drawing, for_the_caller(error)

    def _launched(self, picture: _Undecoded) -> _UnderWay:
        state = picture.drawing.pictures[picture.index]
        area = state.group.area
        began = self._clock()
        with (
            self._watch.over(self._times.usual(1, area)),
            self._throttle.call(lambda seconds: self._times.add(1, area, seconds)),
        ):
            decoded = decode_within_memory(self._model.text2img, self._model.profile, state.latents, again=picture.again)
        return _UnderWay(picture=picture, decoded=decoded, launched=self._clock() - began)

    def _settled(self, one: _UnderWay) -> bool:
        """Returns whether the picture was passed on; otherwise it is decoded a second time first."""
        drawing, index = one.picture.drawing, one.picture.index
        with self._watch.over(self._times.usual(1, drawing.pictures[index].group.area)):
            image = one.decoded.image()
        took = one.decoded.gpu_seconds()
        self._charge(drawing, one.launched if took is None else took)
        if image is None:
            logger.warning("A picture came out empty in %s; decoding it again in float32.", self._model.text2img.vae.dtype)
            self._undecoded.appendleft(_Undecoded(drawing=drawing, index=index, again=True))
            return False
        drawing.undecoded -= 1
        self._files.submit(drawing.encode, index, image, self._model)
        return True
