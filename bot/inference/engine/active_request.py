"""One request under way in the engine: its pictures, its progress, its answer."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence

from PIL import Image

from bot.domain.fairness import Share
from bot.domain.image import GeneratedImage, GenerationResult
from bot.domain.infotext.prompt_fit import PromptFit
from bot.domain.infotext.writer import Recipe, parameters_text
from bot.domain.progress import Phase, Progress
from bot.domain.safety import Rating
from bot.inference.denoising.denoising_state import DenoisingState
from bot.inference.engine.cancellation import CancelToken
from bot.inference.engine.preparation import PreparedRequest
from bot.inference.images.metadata import encode_png
from bot.inference.loading.pipelines import LoadedModel
from bot.inference.loras.loader import LoadedLora

PREVIEW_SECONDS = 2.0  # Discord lets a message be edited about that often
FIRST_PREVIEW = 2  # steps of a picture after which it is shown first; after one, it is a blur of colours
FIRST_JUDGED = 0.3  # share of the steps before which a classifier would rate a blur


class ActiveRequest:
    """An active request. Of the drawing thread, except `encode` and `fail`. Either `answer` or `fail` is called, once."""

    def __init__(
        self,
        order: PreparedRequest,
        control: CancelToken,
        share: Share,
        *,
        answer: Callable[[GenerationResult], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self.order = order
        self.control = control
        self.share = share
        self.pictures: Sequence[DenoisingState] = ()
        self.undecoded = order.request.num_images
        self.adapters: tuple[LoadedLora, ...] = ()
        self._answer = answer
        self._fail = fail
        self._ended = False
        self._fit: PromptFit | None = None
        self._started = time.monotonic()
        self._last_preview: float | None = None
        self._finished: dict[int, GeneratedImage] = {}
        self._lock = threading.Lock()

    @property
    def ended(self) -> bool:
        """Returns whether it was answered or failed, so that nothing more of it is to be drawn."""
        return self._ended

    def start(self, pictures: Sequence[DenoisingState], fit: PromptFit) -> None:
        """Set the pictures and start the clock of the previews, so that a wait for the turn is not counted."""
        self.pictures = pictures
        self._fit = fit
        self._started = time.monotonic()

    def next_preview(self, *, judged: bool) -> DenoisingState | None:
        """Returns the picture to be shown now: at intervals the first that is not done, once there is something to see.

        `judged`: a classifier looks at it before members do.
        """
        picture = next((one for one in self.pictures if not one.done), None)
        if picture is None or picture.step < _first_preview(picture.steps, judged=judged):
            return None
        if self._last_preview is not None and time.monotonic() - self._last_preview < PREVIEW_SECONDS:
            return None
        return picture

    @property
    def was_shown(self) -> bool:
        """Returns whether a preview of it was sent."""
        return self._last_preview is not None

    def previewed(self) -> None:
        """Note that a preview was sent."""
        self._last_preview = time.monotonic()

    def progress(self, phase: Phase, *, preview: bytes | None = None, rating: Rating | None = None) -> Progress:
        total = len(self.pictures)
        return Progress(
            phase=phase,
            num_images=total,
            step=sum(picture.step for picture in self.pictures),
            steps=sum(picture.steps for picture in self.pictures),
            decoded=total - self.undecoded,
            preview=preview,
            rating=rating,
        )

    def encode(self, index: int, image: Image.Image, model: LoadedModel) -> None:
        """Encode one decoded picture as a file; the last one answers. Takes a tenth of a second at 1024 x 1024."""
        try:
            finished = self._finished_image(index, image, model)
        except Exception as error:  # noqa: BLE001  # whoever waits must hear of it
            self.fail(error)
            return
        with self._lock:
            self._finished[index] = finished
            complete = len(self._finished) == len(self.pictures) and not self._ended
            self._ended = self._ended or complete
        if complete:
            images = tuple(self._finished[i] for i in range(len(self.pictures)))
            self._answer(GenerationResult(images=images, seconds=time.monotonic() - self._started))

    def _finished_image(self, index: int, image: Image.Image, model: LoadedModel) -> GeneratedImage:
        request = self.order.request
        recipe = Recipe(
            request=request,
            index=index,
            profile=model.profile,
            styles=self.order.styles,
            model_hash=model.model_hash,
            adapter_hashes=tuple(adapter.hash for adapter in self.adapters),
            fit=self._fit,
            precision="bfloat16" if model.is_lowered else None,
        )
        text = parameters_text(recipe)
        if model.watermark is not None:
            image = model.watermark.over(image)
        return GeneratedImage(
            seed=request.image_seeds(index).seed,
            width=image.width,
            height=image.height,
            parameters=text,
            data=encode_png(image, text),
        )

    def fail(self, error: BaseException) -> None:
        """Only the first answer or error counts."""
        with self._lock:
            first = not self._ended
            self._ended = True
        if first:
            self._fail(error)


def _first_preview(steps: int, *, judged: bool) -> int:
    """Returns after how many `steps` a picture is first shown; before the last, since the picture follows that."""
    return min(max(FIRST_PREVIEW, math.ceil(FIRST_JUDGED * steps)) if judged else FIRST_PREVIEW, steps - 1)
