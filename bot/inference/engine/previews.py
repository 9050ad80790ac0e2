"""Previews of half-drawn pictures: made and judged beside the drawing, on a thread of low priority."""

from __future__ import annotations

import logging
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

import torch
from PIL import Image

from bot.domain.progress import Phase
from bot.domain.safety import Rating
from bot.inference.engine.active_request import ActiveRequest
from bot.inference.faults import is_device_lost
from bot.inference.loading.latent_preview import LatentPreview, Look, encoded
from bot.inference.streams import LAST
from bot.pools import stand_back

SHARE = 0.03  # of the drawing time that previews may cost while others wait
NICENESS = 10  # of 19: the thread gets a tenth of a core that others want, and the whole of an idle one
REMEMBERED = 16  # durations
SAVED = 4  # previews that a quiet time may save up for a busy one

Judge = Callable[[Image.Image], Rating | None]
"""Rates one picture on the calling thread; None while it cannot."""

logger = logging.getLogger(__name__)


def nobody_judges(image: Image.Image) -> Rating | None:
    """Rates nothing: the judge of a model whose classifier was not built, so that nothing is shown."""
    del image


class PreviewBudget:
    """Limits previews: they earn SHARE of the drawing time, and cost what recent ones took. Used from both threads."""

    def __init__(self, typical: Callable[[Sequence[float]], float] = statistics.median) -> None:
        """`typical` combines recent costs into one."""
        self._typical = typical
        self._earned = 0.0
        self._taken: deque[float] = deque(maxlen=REMEMBERED)
        self._lock = threading.Lock()

    def drew(self, seconds: float) -> None:
        """Note that the model has worked for `seconds`."""
        with self._lock:
            self._earned = min(self._earned + SHARE * seconds, SAVED * self._cost())

    def take(self, *, others_wait: bool, first: bool) -> bool:
        """Returns whether another preview may be made, and pays for it. While nobody waits it is free. If the request has been
        shown already, enough must be left for the `first` preview of another.
        """
        with self._lock:
            cost = self._cost()
            if others_wait and self._earned < (cost if first else 2 * cost):
                return False
            self._earned = max(0.0, self._earned - cost)
            return True

    def took(self, seconds: float) -> None:
        """Note that a preview has taken `seconds` of the device."""
        with self._lock:
            self._taken.append(seconds)

    def _cost(self) -> float:
        return self._typical(self._taken) if self._taken else 0.0


class Previews:
    """Makes one preview at a time, the newest of each request. `offer` and `drew` belong to the drawing thread.

    `judge` rates previews before they are shown; None where the model has no classifier. `close` waits for the one under way.
    """

    def __init__(
        self, renderer: LatentPreview, judge: Judge | None, device: torch.device, thread: Executor | None = None
    ) -> None:
        self._renderer = renderer
        self._judge = judge
        # a preview on a GPU waits for the drawing, which has precedence: the quickest one tells their cost
        self._budget = PreviewBudget(statistics.median if device.type == "cpu" else min)
        self._thread = thread or ThreadPoolExecutor(
            1, thread_name_prefix="pastel-previews", initializer=stand_back, initargs=(NICENESS,)
        )
        self._device = device
        self._stream = torch.cuda.Stream(device, priority=LAST) if device.type == "cuda" else None
        self._newest: dict[ActiveRequest, Look] = {}
        self._lock = threading.Lock()

    @property
    def judged(self) -> bool:
        """Returns whether a classifier looks at previews first; it needs more than a blur."""
        return self._judge is not None

    def drew(self, seconds: float) -> None:
        """Note that a call of the model took `seconds`."""
        self._budget.drew(seconds)

    def offer(self, drawing: ActiveRequest, *, others_wait: bool) -> None:
        """Show the progress of a request, if a preview is due and the budget allows it."""
        picture = drawing.next_preview(judged=self.judged)
        if picture is None or not self._budget.take(others_wait=others_wait, first=not drawing.was_shown):
            return
        drawing.previewed()
        try:
            look = self._renderer.look(picture.predicted)
        except Exception as error:
            if is_device_lost(error):
                raise
            _complain(error)
            return
        with self._lock:
            waits = drawing in self._newest
            self._newest[drawing] = look
        if not waits:
            self._thread.submit(self._make_next)

    def close(self) -> None:
        with self._lock:
            self._newest.clear()
        self._thread.shutdown()

    def _make_next(self) -> None:
        with self._lock:
            if not self._newest:
                return
            drawing = next(iter(self._newest))
            look = self._newest.pop(drawing)
        if drawing.ended:
            return
        try:
            self._make(drawing, look)
        except Exception as error:  # noqa: BLE001  # what cannot be made or judged is not shown
            _complain(error)

    def _make(self, drawing: ActiveRequest, look: Look) -> None:
        image = look.image()
        if image is None:  # it would be black; the picture is refused when it is decoded
            return
        began = self._clock()
        rating = self._rated(image)
        preview = None if self.judged and rating is None else encoded(image)
        self._budget.took(self._clock() - began)
        if preview is not None and not drawing.ended and drawing.undecoded:
            drawing.control.report(drawing.progress(Phase.DENOISING, preview=preview, rating=rating))

    def _rated(self, image: Image.Image) -> Rating | None:
        if self._judge is None:
            return None
        if self._stream is None:
            return self._judge(image)
        with torch.cuda.stream(self._stream):
            return self._judge(image)

    def _clock(self) -> float:
        """Returns seconds of this thread's own work: on a CPU without its waits for a core; a GPU works for it meanwhile."""
        return time.thread_time() if self._device.type == "cpu" else time.perf_counter()


def _complain(error: Exception) -> None:
    logger.warning("A preview could not be made: %s", (str(error).strip() or type(error).__name__).splitlines()[0])
