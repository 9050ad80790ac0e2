"""Compiled models: the same pictures, no compiling anew for a LoRA, and none at all where it does not work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bot.domain.profile import ModelSource
from bot.inference.engine.cancellation import RequestCancelledError
from bot.inference.loading.compiling import CACHE_VARIABLE, COMPILED_ROWS, compile_model, keep_compiled_code
from bot.inference.loading.pipelines import load_model
from bot.inference.loras.loader import LoraLoader
from bot.inference.measuring.step_probe import StepProbe
from tests.inference.conftest import make_request
from tests.inference.engines import Bench, open_tiny_session
from tests.tiny_sdxl import TinyModels, pastel_style, tiny_profile


@pytest.fixture
def pipeline(models: TinyModels) -> Iterator[Any]:
    yield load_model(tiny_profile(ModelSource(folder=models.folder)), device="cpu").text2img
    torch._dynamo.reset()


def step(pipeline: Any, rows: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(rows)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(rows, *shape, generator=generator)

    config = pipeline.unet.config
    with torch.no_grad():
        return pipeline.unet(
            noise(config.in_channels, 8, 8),
            torch.linspace(900, 100, rows),
            encoder_hidden_states=noise(77, config.cross_attention_dim),
            added_cond_kwargs={"text_embeds": noise(pipeline.text_encoder_2.config.projection_dim), "time_ids": noise(6)},
            return_dict=False,
        )[0]


def test_a_compiled_step_is_the_step_and_a_lora_or_a_second_call_compiles_nothing_anew(
    pipeline: Any, models: TinyModels
) -> None:
    adapters = LoraLoader(pipeline, cache_dir=models.cache_dir)
    bare = step(pipeline)
    adapters.activate([(pastel_style(), 0.7)])
    styled = step(pipeline)
    adapters.activate([])

    assert compile_model(pipeline, lambda: step(pipeline), backend="eager")
    compiled = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    torch.testing.assert_close(step(pipeline), bare)
    adapters.activate([(pastel_style(), 0.7)])
    torch.testing.assert_close(step(pipeline), styled)
    adapters.activate([])
    torch.testing.assert_close(step(pipeline), bare)

    assert compiled > 0
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == compiled


def test_what_was_compiled_when_calls_were_timed_serves_the_engines_calls(models: TinyModels) -> None:
    session = open_tiny_session(models)
    model = session.model
    probe = StepProbe(model, width=64, height=64, buckets=COMPILED_ROWS)
    assert compile_model(model.text2img, lambda: probe.seconds(1), backend="eager")
    probe.seconds(2)
    compiled = torch._dynamo.utils.counters["stats"]["unique_graphs"]

    for pictures, scale in ((1, 7.0), (2, 7.0), (4, 1.0)):  # 4 rows without guidance, as of two pictures with it
        bench = Bench(session, batch=4, buckets=COMPILED_ROWS)
        for seed in range(pictures):
            bench.admit(make_request(seed=seed, num_inference_steps=1, guidance_scale=scale))
        bench.engine.turn()
        bench.engine.abandon(RequestCancelledError())
    session.close(RequestCancelledError())
    after = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    torch._dynamo.reset()

    assert compiled > 0
    assert after == compiled


def test_where_compiling_fails_the_model_draws_as_before_and_the_log_says_why(
    pipeline: Any, caplog: pytest.LogCaptureFixture
) -> None:
    before = step(pipeline)

    def breaks(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no compiler here")

    assert not compile_model(pipeline, lambda: step(pipeline), backend=breaks)
    assert torch.equal(step(pipeline), before)
    assert "drawing goes on without it" in caplog.text


def test_compiled_code_is_kept_in_the_data_folder_unless_the_environment_names_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, "elsewhere")
    keep_compiled_code(tmp_path)
    assert os.environ[CACHE_VARIABLE] == "elsewhere"
    monkeypatch.delenv(CACHE_VARIABLE)
    keep_compiled_code(tmp_path)
    assert os.environ[CACHE_VARIABLE] == str(tmp_path)
    monkeypatch.delenv(CACHE_VARIABLE)


def test_the_unet_is_launched_as_graphs_and_the_decoder_is_not(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: dict[str, str | None] = {}

    def noted(part: torch.nn.Module, **options: Any) -> None:
        modes[type(part).__name__] = options.get("mode")

    monkeypatch.setattr(torch.nn.Module, "compile", noted)

    assert compile_model(pipeline, lambda: step(pipeline))
    assert modes == {"UNet2DConditionModel": "reduce-overhead", "Decoder": None}
