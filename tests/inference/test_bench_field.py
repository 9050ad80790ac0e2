"""What a bench draws with: the bot's engine as a running bot has it, once its steps were measured."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.bench.contestants import EngineContestant
from bot.bench.torch_side.device import DeviceProbe
from bot.bench.torch_side.models import BenchModels
from bot.domain.batch_curve import BatchCurve
from bot.domain.profile import ModelSource
from bot.inference.engine_settings import EngineSettings
from bot.inference.loading.pipelines import load_model
from bot.inference.torch_import import import_libraries
from tests.inference.conftest import make_request
from tests.tiny_sdxl import MODEL_REPO, TinyModels, tiny_profile


async def test_members_of_a_bench_share_calls_of_the_unet(models: TinyModels, monkeypatch: pytest.MonkeyPatch) -> None:
    import_libraries()
    monkeypatch.setattr(DeviceProbe, "curve", lambda _: BatchCurve(((1, 1.0), (4, 1.1))))  # sharing pays, on any machine
    model = load_model(tiny_profile(ModelSource(repo=MODEL_REPO)), device="cpu", cache_dir=models.cache_dir)
    rows: list[int] = []

    def note(_: Any, inputs: tuple[Any, ...]) -> None:
        rows.append(len(inputs[0]))

    hook = model.text2img.unet.register_forward_pre_hook(note)
    field = BenchModels(model, EngineSettings())
    try:
        await field.generator.load()
        lane = EngineContestant(field.generator)
        await asyncio.gather(*(lane.serve(make_request(seed=seed), lambda _: None) for seed in range(4)))
    finally:
        hook.remove()
        await field.generator.close()

    assert max(rows) > 2  # a guided picture has two
