"""What a CPU draws in: bfloat16 only where it pays, chosen once, told in the picture, and gone when it is not asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bot.domain.profile import ModelSource
from bot.domain.request import InitImage
from bot.inference.denoising.unet_call import predict
from bot.inference.engine.decoding import decode
from bot.inference.engine_settings import EngineSettings
from bot.inference.loading.casting import lower
from bot.inference.loading.pipelines import load_model
from bot.inference.loras.merging import Factor, MergedWeights
from bot.inference.measuring import precision_measurement
from bot.inference.measuring.measurements import PRECISION
from bot.inference.measuring.step_probe import random_inputs
from bot.inference.session import ModelSession, open_session
from tests.inference.conftest import make_request, noise_png, pixels
from tests.inference.engines import Bench
from tests.tiny_sdxl import TinyModels, tiny_profile

HALF, FULL = torch.bfloat16, torch.float32
SIXTEEN_STEPS = {"num_inference_steps": 16, "guidance_scale": 4.0}


class Timer:
    """In place of the clock. Calls come by turns, float32 first, and bfloat16 is `gain` times as quick."""

    def __init__(self, gain: float, *, disturbed: tuple[int, ...] = ()) -> None:
        self.gain = gain
        self.calls = 0
        self._disturbed = disturbed

    def __call__(self, call: Callable[[], object]) -> float:
        del call
        self.calls += 1
        if self.calls in self._disturbed:
            return 100.0
        return self.gain if self.calls % 2 else 1.0


@contextmanager
def opened(models: TinyModels, path: Path | None = None, **settings: Any) -> Iterator[ModelSession]:
    profile = tiny_profile(ModelSource(folder=models.folder))
    wanted = EngineSettings(batch=4, measurements=path, **({"precision": "auto"} | settings))
    session = open_session(profile, wanted, device="cpu", cache_dir=models.cache_dir)
    try:
        yield session
    finally:
        session.close(RuntimeError("the test is over"))


def use(monkeypatch: pytest.MonkeyPatch, timer: Callable[..., float]) -> None:
    monkeypatch.setattr(precision_measurement, "timed", timer)


def types(session: ModelSession) -> tuple[torch.dtype, torch.dtype]:
    return session.model.text2img.unet.dtype, session.model.text2img.vae.dtype


def never(call: Callable[[], object]) -> float:
    raise AssertionError("nothing was to be measured")


def drawn(session: ModelSession, init: bytes | None = None, **changes: Any) -> Any:
    bench = Bench(session, batch=4)
    ticket = bench.admit(make_request(**changes), init)
    bench.run()
    assert ticket.error is None
    assert ticket.result is not None
    return ticket.result.images[0]


@pytest.fixture(scope="module")
def lowered(models: TinyModels) -> Iterator[ModelSession]:
    with pytest.MonkeyPatch.context() as patch, opened_lowered(patch, models) as session:
        yield session


@contextmanager
def opened_lowered(patch: pytest.MonkeyPatch, models: TinyModels) -> Iterator[ModelSession]:
    use(patch, Timer(2.0))
    with opened(models) as session:
        yield session


@pytest.fixture(scope="module")
def exact(models: TinyModels) -> Iterator[ModelSession]:
    with opened(models, precision="exact") as session:
        yield session


@pytest.mark.parametrize(("gain", "expected"), [(1.19, FULL), (1.21, HALF), (0.1, FULL)])
def test_bfloat16_is_taken_only_where_it_is_quicker_by_a_fifth(models, tmp_path, monkeypatch, gain, expected):
    use(monkeypatch, Timer(gain))
    path = tmp_path / "measurements.json"

    with opened(models, path) as session:
        assert types(session) == (expected, expected)
        assert session.model.text2img.text_encoder_2.dtype == FULL
    [kept] = json.loads(path.read_text())["measurements"]
    assert (kept["kind"], kept["value"]) == (PRECISION, str(expected).removeprefix("torch."))


@pytest.mark.parametrize(
    ("gain", "disturbed", "expected"), [(1.0, (3, 5), FULL), (1.5, (4, 6), HALF)], ids=["of float32", "of bfloat16"]
)
def test_two_disturbed_calls_of_either_decide_nothing(models, monkeypatch, gain, disturbed, expected):
    use(monkeypatch, Timer(gain, disturbed=disturbed))

    with opened(models) as session:
        assert types(session) == (expected, expected)


def test_what_was_chosen_stays_whatever_would_be_measured_later(models, tmp_path, monkeypatch):
    path = tmp_path / "measurements.json"
    use(monkeypatch, Timer(2.0))
    with opened(models, path):
        pass

    use(monkeypatch, never)
    monkeypatch.setattr("bot.inference.measuring.machine.__version__", "99.0")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    with opened(models, path) as session:
        assert types(session) == (HALF, HALF)


def test_a_choice_that_nobody_understands_is_made_again(models, tmp_path, monkeypatch):
    path = tmp_path / "measurements.json"
    use(monkeypatch, Timer(1.0))
    with opened(models, path):
        pass
    path.write_text(path.read_text().replace('"float32"', '["float64"]'))

    use(monkeypatch, Timer(2.0))
    with opened(models, path) as session:
        assert types(session) == (HALF, HALF)


@pytest.mark.parametrize("settings", [{"precision": "exact"}, {"reproducible": True}])
def test_who_wants_it_exact_or_reproducible_stays_in_float32_whatever_was_kept(models, tmp_path, monkeypatch, settings):
    path = tmp_path / "measurements.json"
    use(monkeypatch, Timer(2.0))
    with opened(models, path):
        pass

    use(monkeypatch, never)
    with opened(models, path, **settings) as session:
        assert types(session) == (FULL, FULL)
        assert "Precision" not in drawn(session).parameters


def test_a_choice_that_cannot_be_measured_is_float32_and_is_not_kept(models, tmp_path, monkeypatch, caplog):
    def broken(call: Callable[[], object]) -> float:
        raise RuntimeError("could not create a primitive\nand more")

    use(monkeypatch, broken)
    path = tmp_path / "measurements.json"
    with opened(models, path) as session:
        assert types(session) == (FULL, FULL)

    assert "could not create a primitive" in caplog.text
    assert not path.exists()


@pytest.mark.parametrize("large", [precision_measurement.LARGE, 0], ids=["whole", "block"])
def test_a_real_step_is_timed_and_leaves_the_model_as_it_was(exact, monkeypatch, large):
    unet = exact.model.text2img.unet
    before = {name: weights.clone() for name, weights in unet.state_dict().items()}
    monkeypatch.setattr(precision_measurement, "LARGE", large)

    assert precision_measurement.speed_up(exact.model) > 0
    assert all(torch.equal(weights, before[name]) for name, weights in unet.state_dict().items())
    assert not unet._forward_pre_hooks


def test_a_picture_says_what_it_was_drawn_in_and_is_nearly_the_one_of_float32(lowered, exact):
    quick, slow = drawn(lowered, **SIXTEEN_STEPS), drawn(exact, **SIXTEEN_STEPS)
    difference = np.abs(pixels(quick.data).astype(int) - pixels(slow.data))

    assert "RNG: CPU, Precision: bfloat16, Version: Pastel" in quick.parameters
    assert "Precision" not in slow.parameters
    assert 0 < difference.mean() < 3


def test_guidance_and_noise_reckon_with_float32(lowered):
    pipeline = lowered.model.text2img
    with torch.no_grad():
        outputs = (
            predict(pipeline.unet, *random_inputs(lowered.model, 2, width=64, height=64)),
            pipeline.vae.encode(torch.zeros(1, 3, 64, 64)).latent_dist.mean,
            pipeline.vae.decode(torch.zeros(1, 4, 8, 8)).sample,
        )

    assert {output.dtype for output in outputs} == {FULL}


def test_sizes_of_a_picture_are_not_rounded(lowered):
    unet = lowered.model.text2img.unet
    seen: list[torch.Tensor] = []
    hook = unet.add_time_proj.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    drawn(lowered, num_inference_steps=1, width=64, height=72)
    hook.remove()

    assert seen[0].dtype == FULL


def test_latents_and_text_stay_in_float32(lowered):
    bench = Bench(lowered, batch=1)
    bench.admit(make_request())
    bench.engine.turn()
    [picture] = bench.engine._drawings[0].pictures
    bench.run()

    assert {tensor.dtype for tensor in picture.kept} == {FULL}
    assert picture.latents.is_contiguous()


@pytest.mark.parametrize("side", [64, 96], ids=["img2img", "upscale, in tiles"])
def test_a_picture_to_start_from_is_read_without_changing_the_vae(lowered, exact, monkeypatch, side):
    choices = {"init_image": InitImage(key="x", strength=0.5), "width": side, "height": side}
    init = noise_png(size=(side, side))
    before = [weights.data_ptr() for weights in lowered.model.text2img.vae.parameters()]
    quick, slow = (pixels(drawn(session, init, **choices).data) for session in (lowered, exact))

    assert [weights.data_ptr() for weights in lowered.model.text2img.vae.parameters()] == before
    assert np.abs(quick.astype(int) - slow).mean() < 3


def test_an_empty_picture_is_decoded_again_in_float32_and_the_vae_is_bfloat16_after_it(models):
    pipeline = load_model(tiny_profile(ModelSource(folder=models.folder)), device="cpu").text2img
    lower(pipeline)
    kept = {name: weights.clone() for name, weights in pipeline.vae.state_dict().items()}
    seen: list[torch.dtype] = []

    def emptied(module: Any, given: Any, output: torch.Tensor) -> torch.Tensor:
        seen.append(module.conv_in.weight.dtype)
        return output * float("nan") if len(seen) == 1 else output

    pipeline.vae.decoder.register_forward_hook(emptied)
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    assert decode(pipeline, latents).image() is None
    assert decode(pipeline, latents, again=True).image() is not None

    assert seen == [HALF, FULL]
    assert all(torch.equal(weights, kept[name]) for name, weights in pipeline.vae.state_dict().items())
    assert pipeline.vae.dtype == HALF


def test_loras_come_and_go_bit_for_bit(lowered):
    unet = lowered.model.text2img.unet
    before = {name: weights.clone() for name, weights in unet.state_dict().items()}
    bare = drawn(lowered).data
    styled = drawn(lowered, style="pastel").data
    changed = sum(not torch.equal(weights, before[name]) for name, weights in unet.state_dict().items())

    assert drawn(lowered).data == bare != styled
    assert changed > 0
    assert all(torch.equal(weights, before[name]) for name, weights in unet.state_dict().items())


def test_a_lora_too_faint_for_bfloat16s_last_bit_acts_in_the_mean(models):
    pipeline = load_model(tiny_profile(ModelSource(folder=models.folder)), device="cpu").text2img
    path = "mid_block.attentions.0.transformer_blocks.0.ff.net.2"
    layer = pipeline.unet.get_submodule(path)
    generator = torch.Generator().manual_seed(0)
    layer.weight.data = 1 + torch.rand(layer.weight.shape, generator=generator)  # a last bit of 1/128
    lower(pipeline)
    rows, columns = layer.weight.shape
    faint = Factor(place=("unet", path), down=torch.ones(1, columns), up=torch.ones(rows, 1), scaling=1 / 2048)
    merged, before = MergedWeights(pipeline), layer.weight.float()
    merged.apply([((faint,), 1.0)])
    moved = layer.weight.float() - before

    assert moved.mean().item() == pytest.approx(1 / 2048, rel=0.35)
    merged.apply([])
    assert torch.equal(layer.weight.float(), before)
