"""The bot's generator on a model that somebody else loaded, so that weights lie in memory once."""

from __future__ import annotations

from bot.domain.profile import Catalog
from bot.inference.adapters import Adapters
from bot.inference.engine_settings import EngineSettings
from bot.inference.generator import DiffusersGenerator
from bot.inference.pipelines import LoadedModel
from bot.inference.studio import Studio


class SharedGenerator(DiffusersGenerator):
    """Reads no weights. `batch` and `reproducible` mean what they mean for DiffusersGenerator."""

    def __init__(self, model: LoadedModel, *, batch: int | None = None, reproducible: bool = False) -> None:
        catalog = Catalog(profiles={model.profile.name: model.profile})
        super().__init__(model.profile, catalog, engine=EngineSettings(batch=batch, reproducible=reproducible))
        self._shared = model

    def _opened(self) -> Studio:
        if self._studio is None:
            self._studio = Studio(self._shared, Adapters(self._shared.text2img, offline=True), self._engine)
        return self._studio
