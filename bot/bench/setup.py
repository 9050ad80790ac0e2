"""Loads a model from options, with everything that draws on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bot.bench.options import BenchOptions, RandomSize
from bot.domain.profile import ImageSize, Licence, ModelProfile, ModelSource
from bot.errors import ModelError
from bot.inference.loading.model_files import check_weights
from bot.resources import default_model, engine_settings, memory_plan
from bot.settings import SHIPPED_DATA, Settings
from bot.storage.catalog import load_catalog

if TYPE_CHECKING:
    from bot.bench.torch_side.models import BenchModels
    from bot.inference.loading.pipelines import LoadedModel

TOKENIZERS = SHIPPED_DATA / "models" / "mini"
SIDES = {"base": 1024, "tiny": 64}  # pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchSetup:
    """A loaded model and its lanes. The stock pipeline and device measurements run on `thread`, off the event loop."""

    field: BenchModels
    thread: ThreadPoolExecutor


@asynccontextmanager
async def open_field(settings: Settings, options: BenchOptions) -> AsyncGenerator[BenchSetup]:
    """Load the weights once, for all lanes (seconds to minutes). Raises ModelError."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="pastel-bench")
    loop = asyncio.get_running_loop()
    try:
        field = await loop.run_in_executor(thread, _load, settings, options)
        try:
            await field.generator.load()
            yield BenchSetup(field=field, thread=thread)
        finally:
            await field.generator.close()
    finally:
        await asyncio.to_thread(thread.shutdown)  # an interrupted bench waits for the picture that is being drawn


def _load(settings: Settings, options: BenchOptions) -> BenchModels:
    model = open_model(settings, options)
    from bot.bench.torch_side.models import BenchModels

    return BenchModels(model, replace(engine_settings(settings, model.plan), measurements=None))


def open_model(settings: Settings, options: BenchOptions) -> LoadedModel:
    """Returns a model, read or made (seconds to minutes). Raises ModelError."""
    from bot.inference.torch_import import import_libraries

    import_libraries()
    from bot.inference.measuring.precision import adopt_precision

    if options.random_weights:
        return _random_model(settings, options.random_weights)
    model = load_known_model(settings, options)
    adopt_precision(model, engine_settings(settings))
    return model


def load_known_model(settings: Settings, options: BenchOptions) -> LoadedModel:
    """Returns the model that the bot draws with, or the one that the options name. Raises ModelError."""
    from bot.inference.hub import fetch_model
    from bot.inference.loading.pipelines import load_model

    catalog = load_catalog(SHIPPED_DATA, settings.data_dir)
    profile = catalog.profile(options.model or settings.model or default_model(catalog))
    check_weights(profile)
    fetch_model(profile)
    return load_model(profile, device=settings.device, plan=memory_plan(settings, profile))


def random_profile(size: RandomSize) -> ModelProfile:
    """Returns a profile that draws as SDXL usually does."""
    side = SIDES[size]
    return ModelProfile(
        name=f"random-sdxl-{size}",
        title="SDXL with random weights",
        family="sdxl",
        source=ModelSource(folder=TOKENIZERS),
        licence=Licence(name="none; its pictures are noise"),
        num_inference_steps=28,
        guidance_scale=7.0,
        sizes=(ImageSize(name="square", width=side, height=side),),
        default_size="square",
        negative_prompt="lowres, bad anatomy, bad hands, text, worst quality, low quality, jpeg artifacts, signature",
        unclassified="its pictures are noise",
    )


def _random_model(settings: Settings, size: RandomSize) -> LoadedModel:
    from bot.inference.loading.latent_preview import LatentPreview
    from bot.inference.loading.pipelines import LoadedModel, choose_device
    from bot.inference.loading.placing import put_in_place
    from bot.inference.random_models.sdxl import SDXL_BASE, SDXL_TINY, random_pipeline
    from bot.inference.samplers.schedulers import build_scheduler

    device, dtype = choose_device(settings.device)
    if size == "base" and device.type == "cpu":
        raise ModelError("--random-weights makes an SDXL of full size, which needs a GPU. Set DEVICE, or say --model mini.")
    config = SDXL_BASE if size == "base" else SDXL_TINY
    profile = random_profile(size)
    text2img: Any = random_pipeline(config, TOKENIZERS, device=device, dtype=dtype)
    plan = memory_plan(settings, profile)
    put_in_place(text2img, device, plan)
    text2img.scheduler = build_scheduler(text2img.scheduler.config, profile)
    return LoadedModel(
        profile=profile,
        text2img=text2img,
        img2img=None,  # no bench starts from a picture
        preview=LatentPreview.for_sdxl(),
        plan=plan,
    )
