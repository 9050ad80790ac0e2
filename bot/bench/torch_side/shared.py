"""Builds the bot's generator on an already loaded model, so that weights are in memory once."""

from __future__ import annotations

from bot.domain.profile import Catalog
from bot.inference.engine_settings import EngineSettings
from bot.inference.generator import DiffusersGenerator
from bot.inference.loading.pipelines import LoadedModel
from bot.inference.loras.loader import LoraLoader
from bot.inference.session import ModelSession


def shared_generator(model: LoadedModel, settings: EngineSettings) -> DiffusersGenerator:
    """Returns a generator that reads no weights. With a `compile_cache` the model's UNet and decoder are compiled in place, for
    all others that draw on them too.
    """
    profile = model.profile
    return DiffusersGenerator(
        profile,
        Catalog(profiles={profile.name: profile}),
        engine=settings,
        make_session=lambda: ModelSession(model, LoraLoader(model.text2img), settings),
    )
