"""Everything that a bench needs from torch, on one set of weights."""

from __future__ import annotations

from dataclasses import replace

from bot.bench.torch_side.device import DeviceProbe
from bot.bench.torch_side.flops import Work, count_work
from bot.bench.torch_side.shared import shared_generator
from bot.bench.torch_side.stock import StockPipeline
from bot.domain.request import GenerationRequest
from bot.inference.engine_settings import EngineSettings
from bot.inference.loading.pipelines import LoadedModel


class BenchModels:
    """Runs diffusers' own pipeline and the bot's generator on the same modules; only one of them may draw at a time.

    If the settings name no `batch` and calls may differ, how long they take is measured first, for seconds. With a
    `compile_cache` both draw on the compiled model.
    """

    def __init__(self, model: LoadedModel, settings: EngineSettings) -> None:
        self.profile = model.profile
        self.stock = StockPipeline(model)
        self.probe = DeviceProbe(model)
        if settings.batch is None and not settings.reproducible:
            curve = self.probe.curve()
            settings = replace(settings, batch=curve.best_batch(settings.cap), curve=curve)
        self.generator = shared_generator(model, settings)
        self._model = model
        self._work: dict[tuple[int, int], Work] = {}

    def flops(self, request: GenerationRequest) -> int:
        """Returns the FLOPs of its picture."""
        return self._counted(request.width, request.height).of(request)

    def step_flops(self, pictures: int, *, width: int, height: int) -> int:
        """Returns the FLOPs of one guided step of `pictures` images."""
        return 2 * pictures * self._counted(width, height).step_row

    def _counted(self, width: int, height: int) -> Work:
        """Returns the work of a size; the first time takes seconds."""
        if (width, height) not in self._work:
            self._work[width, height] = count_work(self._model, width=width, height=height)
        return self._work[width, height]
