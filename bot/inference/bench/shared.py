"""The bot's generator on a model that somebody else loaded, so that weights lie in memory once."""

from __future__ import annotations

from bot.domain.profile import Catalog
from bot.inference.adapters import Adapters
from bot.inference.engine_settings import EngineSettings
from bot.inference.generator import DiffusersGenerator
from bot.inference.pipelines import LoadedModel
from bot.inference.studio import Studio


def shared_generator(model: LoadedModel, *, batch: int | None = None, reproducible: bool = False) -> DiffusersGenerator:
    """A generator that reads no weights. `batch` and `reproducible` mean what they mean in EngineSettings."""
    profile, settings = model.profile, EngineSettings(batch=batch, reproducible=reproducible)
    return DiffusersGenerator(
        profile,
        Catalog(profiles={profile.name: profile}),
        engine=settings,
        make_studio=lambda: Studio(model, Adapters(model.text2img), settings),
    )
