"""A loaded model with everything that draws on it. Importing this module imports torch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bot.domain.batch_curve import BatchCurve
from bot.domain.eta import EngineSpeed
from bot.domain.fairness import Share
from bot.domain.image import GenerationResult
from bot.domain.profile import Catalog, ModelProfile
from bot.domain.prompt import styles_of
from bot.domain.request import GenerationRequest
from bot.errors import GenerationError, InvalidRequestError
from bot.inference.card_memory import COPIES, LORAS, NONE, ON_GPU
from bot.inference.denoising.cuda_graphs import graph_backend
from bot.inference.denoising.graphs import GraphBackend
from bot.inference.denoising.unet_call import padded_rows
from bot.inference.engine.active_request import ActiveRequest
from bot.inference.engine.cancellation import CancelToken
from bot.inference.engine.engine import Engine
from bot.inference.engine.preparation import PreparedRequest, Preparer, read_init_image
from bot.inference.engine.previews import Judge, Previews, nobody_judges
from bot.inference.engine_settings import EngineSettings
from bot.inference.loading.compiling import COMPILED_ROWS, compile_model, keep_compiled_code
from bot.inference.loading.pipelines import LoadedModel, load_model
from bot.inference.loras.loader import LoraLoader
from bot.inference.measuring.curve_measurement import SIZES
from bot.inference.measuring.graph_proof import adopt_graphs
from bot.inference.measuring.machine import measuring_key
from bot.inference.measuring.measured_curve import MeasuredCurve
from bot.inference.measuring.measurements import Measurements
from bot.inference.measuring.precision import adopt_precision
from bot.inference.measuring.step_probe import StepProbe, random_inputs
from bot.inference.prompts.encoder import PromptEncoder
from bot.inference.streams import put_first
from bot.messages import translatable

NO_STYLES = translatable("My GPU is too small for styles, and for the qualities that use one. Draw without them.")
FILE_THREADS = 2  # for PNG; Pillow lets other threads run meanwhile

logger = logging.getLogger(__name__)


class ModelSession:
    """A loaded model with its engine. Belongs to the drawing thread; `close` ends what is under way and frees the memory."""

    def __init__(
        self,
        model: LoadedModel,
        adapters: LoraLoader,
        settings: EngineSettings,
        judge: Judge | None = None,
        *,
        backend: GraphBackend | None = None,
    ) -> None:
        """`judge` rates the previews of a model with a classifier; without it there are none. `backend` records CUDA graphs, if
        the settings want them; None is the device's own.
        """
        self.model = model
        self.adapters = adapters
        self._settings = settings
        self._files = ThreadPoolExecutor(FILE_THREADS, thread_name_prefix="pastel-files")
        put_first(model.device)
        needed = None if model.profile.classifier is None else judge or nobody_judges
        self._previews = Previews(model.preview, needed, model.device)
        batch = min(settings.batch or 1, settings.cap)
        compiled = settings.compile_cache is not None and _compiled(model, settings.compile_cache)
        if not compiled:
            adopt_graphs(model, settings, backend or graph_backend(model.device))
        fixed = compiled or model.graphs is not None
        buckets = row_counts(batch, fixed=fixed, reproducible=settings.reproducible)
        size = model.profile.size(None)
        probe = StepProbe(model, width=size.width, height=size.height, buckets=buckets)
        self.engine = Engine(
            model,
            adapters,
            Preparer(model, PromptEncoder(model.text2img)),
            self._files,
            self._previews,
            batch=batch,
            buckets=buckets,
        )
        self._measured = MeasuredCurve(
            probe.seconds,
            Measurements(settings.measurements),
            measuring_key(model, mode=_mode(settings, compiled=compiled, graphed=model.graphs is not None)),
            self._files,
            most=batch if settings.reproducible else min(SIZES[-1], settings.cap),
        )
        self._adopt_curve()
        _capture(model, buckets, 2 * self.engine.batch)

    @property
    def speed(self) -> EngineSpeed | None:
        """Returns how quickly the engine takes steps: as measured, else from the last steps of single pictures, else None.

        May be asked from any thread.
        """
        size, scale = self.model.profile.size(None), self.model.text2img.vae_scale_factor
        curve = self.engine.curve
        if curve is None:
            usual = self.engine.times.usual(2, size.width * size.height // scale**2)
            curve = None if usual is None else BatchCurve(((1, usual),))
        if curve is None:
            return None
        return EngineSpeed(curve=curve, batch=self.engine.batch, megapixels=size.width * size.height / 1e6)

    @property
    def wants_measuring(self) -> bool:
        """Returns whether `measure` has something to do: only if a file keeps it."""
        return self._settings.measurements is not None and self._measured.wanted

    def measure(self) -> None:
        """Time one call, in a pause of the queue."""
        with self.engine.watched():
            new = self._measured.step()
        if new:
            self._adopt_curve()
            logger.info("Steps were measured; %d pictures share one from now on.", self.engine.batch)

    def measure_anew(self) -> BatchCurve | None:
        """Returns a new batch curve, whatever was kept, and keeps it; takes seconds. None if it could not be measured."""
        return self._measured.measure_anew()

    def drawing(
        self,
        request: GenerationRequest,
        catalog: Catalog,
        init_image: bytes | None,
        control: CancelToken,
        share: Share,
        *,
        answer: Callable[[GenerationResult], None],
        fail: Callable[[BaseException], None],
    ) -> ActiveRequest:
        """Returns an active request. Raises GenerationError with a sentence for the member."""
        try:
            styles = styles_of(request, self.model.profile, catalog)
        except InvalidRequestError as error:
            raise GenerationError(error.sentence, retryable=False) from error
        if styles and self.model.plan is not None and self.model.plan.form(LORAS) == NONE:
            raise GenerationError(NO_STYLES, retryable=False)
        self._measured.interrupt()
        order = PreparedRequest(request=request, styles=styles, init_image=read_init_image(init_image, request))
        return ActiveRequest(order, control, share, answer=answer, fail=fail)

    def _adopt_curve(self) -> None:
        curve = self.engine.curve = self._settings.curve or self._measured.curve
        if not self._settings.batch and not self._settings.reproducible:
            self.engine.batch = 1 if curve is None else curve.best_batch(self._settings.cap)

    def close(self, error: BaseException) -> None:
        """End everything with `error`, and wait a moment for files that are being encoded and the preview under way."""
        self.engine.abandon(error)
        self._previews.close()
        self._files.shutdown()
        if self.model.graphs is not None:
            self.model.graphs.release()
            self.model.graphs = None


def open_session(
    profile: ModelProfile,
    settings: EngineSettings,
    *,
    device: str,
    cache_dir: Path | None,
    judge: Judge | None = None,
) -> ModelSession:
    """Load the weights (seconds to minutes) and return the session. Raises ModelError."""
    model = load_model(profile, device=device, cache_dir=cache_dir, plan=settings.plan)
    adopt_precision(model, settings)
    if settings.watermark:
        from bot.inference.images.watermark import Watermark

        model.watermark = Watermark()
    beside = model.plan is None or model.plan.form(COPIES) == ON_GPU
    adapters = LoraLoader(model.text2img, cache_dir=cache_dir, copies_beside=beside)
    session = ModelSession(model, adapters, settings, judge)
    logger.info("The model %s is loaded on %s; %d pictures share a step.", profile.name, model.device, session.engine.batch)
    return session


def _mode(settings: EngineSettings, *, compiled: bool, graphed: bool) -> str:
    """Returns how calls are made, as far as it affects how long they take."""
    if settings.reproducible:
        return f"{settings.batch or 1} in every call{', graphs' if graphed else ''}"
    return "compiled" if compiled else "graphs" if graphed else "eager"


def _capture(model: LoadedModel, buckets: Sequence[int], rows: int) -> None:
    """Capture calls of up to `rows` rows in the default size; the largest first: the others fit into its memory."""
    if model.graphs is None:
        return
    size, most = model.profile.size(None), padded_rows(rows, buckets)
    for bucket in sorted(buckets, reverse=True):
        if bucket <= most:
            model.graphs.capture(random_inputs(model, bucket, width=size.width, height=size.height))


def _compiled(model: LoadedModel, cache: Path) -> bool:
    """Compile the model where that pays; returns whether it is compiled now."""
    if model.device.type != "cuda":
        return False
    keep_compiled_code(cache)
    size = model.profile.size(None)
    probe = StepProbe(model, width=size.width, height=size.height)
    return compile_model(model.text2img, lambda: probe.seconds(1))


def row_counts(batch: int, *, fixed: bool, reproducible: bool) -> tuple[int, ...]:
    """Returns the row counts that calls are filled up to. An extra row is extra work, so there must be a reason: code compiled
    or captured for other numbers of rows, or pictures that must not depend on their company.
    """
    if reproducible:
        return (2 * batch,)
    return COMPILED_ROWS if fixed else ()
