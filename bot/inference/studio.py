"""A loaded model with everything that draws on it. Importing this module imports torch."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from bot.domain.image import GenerationResult
from bot.domain.profile import Catalog, ModelProfile
from bot.domain.prompt import styles_of
from bot.domain.request import GenerationRequest
from bot.errors import GenerationError, InvalidRequestError
from bot.inference.adapters import Adapters
from bot.inference.compiling import compile_model, keep_compiled_code
from bot.inference.control import DrawingControl
from bot.inference.denoising import PADDED_ROWS
from bot.inference.drawing import Drawing
from bot.inference.engine import Engine
from bot.inference.engine_settings import EngineSettings
from bot.inference.faults import free_memory, is_out_of_memory
from bot.inference.pipelines import LoadedModel, load_model
from bot.inference.preparing import Order, Preparer, read_init_image
from bot.inference.step_times import best_batch
from bot.inference.text import PromptEncoder

FILE_THREADS = 2  # for PNG and previews; Pillow lets other threads run meanwhile
TRIALS = 2  # calls of one size while measuring; the first one of each warms up

logger = logging.getLogger(__name__)


class Studio:
    """Belongs to the drawing thread; `close` ends what is under way and frees the memory."""

    def __init__(self, model: LoadedModel, adapters: Adapters, settings: EngineSettings) -> None:
        self.model = model
        self.adapters = adapters
        self._files = ThreadPoolExecutor(FILE_THREADS, thread_name_prefix="pastel-files")
        if settings.compile_cache is not None and model.device.type == "cuda":
            keep_compiled_code(settings.compile_cache)
            compile_model(model.text2img, lambda: _seconds_a_call(model, 1))
        batch = settings.batch or (1 if settings.reproducible else best_batch(lambda size: _seconds_a_call(model, size)))
        self.engine = Engine(
            model,
            adapters,
            Preparer(model, PromptEncoder(model.text2img)),
            self._files,
            batch=batch,
            buckets=_buckets(model.device, batch, reproducible=settings.reproducible),
        )

    def drawing(
        self,
        request: GenerationRequest,
        catalog: Catalog,
        init_image: bytes | None,
        control: DrawingControl,
        *,
        answer: Callable[[GenerationResult], None],
        fail: Callable[[BaseException], None],
    ) -> Drawing:
        """Raises GenerationError with a sentence for the member."""
        try:
            styles = styles_of(request, self.model.profile, catalog)
        except InvalidRequestError as error:
            raise GenerationError(str(error), retryable=False) from error
        order = Order(request=request, styles=styles, init_image=read_init_image(init_image, request))
        return Drawing(order, control, answer=answer, fail=fail)

    def close(self, error: BaseException) -> None:
        """Files that are being encoded are waited for; they take a moment."""
        self.engine.abandon(error)
        self._files.shutdown()


def open_studio(
    profile: ModelProfile, settings: EngineSettings, *, device: str, cache_dir: Path | None, offline: bool
) -> Studio:
    """Load the weights (seconds to minutes) and measure how many pictures a call should hold. Raises ModelError."""
    model = load_model(profile, device=device, cache_dir=cache_dir, offline=offline)
    studio = Studio(model, Adapters(model.text2img, cache_dir=cache_dir, offline=offline), settings)
    logger.info("The model %s is loaded on %s; %d pictures share a step.", profile.name, model.device, studio.engine.batch)
    return studio


def _buckets(device: torch.device, batch: int, *, reproducible: bool) -> tuple[int, ...]:
    """On a GPU kernels are chosen by shape, and few shapes are warm; on a CPU a row more is simply more work."""
    if reproducible:
        return (2 * batch,)
    return PADDED_ROWS if device.type == "cuda" else ()


def _seconds_a_call(model: LoadedModel, pictures: int) -> float | None:
    """Of a guided step of that many pictures in the default size; None where memory does not suffice."""
    size, scale = model.profile.size(None), model.text2img.vae_scale_factor
    unet: Any = model.text2img.unet
    config, rows = unet.config, 2 * pictures

    def zeros(*shape: int) -> torch.Tensor:
        return torch.zeros(rows, *shape, device=model.device, dtype=unet.dtype)

    latents = zeros(config.in_channels, size.height // scale, size.width // scale)
    embeddings = zeros(77, config.cross_attention_dim)
    added = {"text_embeds": zeros(int(model.text2img.text_encoder_2.config.projection_dim)), "time_ids": zeros(6)}
    best: float | None = None
    try:
        for _ in range(1 + TRIALS):
            began = time.monotonic()
            with torch.no_grad():
                unet(latents, torch.ones(rows, device=model.device), encoder_hidden_states=embeddings, added_cond_kwargs=added)
            if model.device.type == "cuda":
                torch.cuda.synchronize(model.device)
            took = time.monotonic() - began
            best = took if best is None else min(best, took)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    else:
        return best
    free_memory()
    return None
