"""A turn of the engine as a GPU would see it: what waits for it, what is sent to it, and how much it is asked to do."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from bot.domain.profile import ModelSource
from bot.domain.request import InitImage, NoiseBlend
from bot.domain.sampler import SAMPLERS
from bot.inference.engine import preparation
from bot.inference.engine.cancellation import RequestCancelledError
from bot.inference.engine.decoding import decode
from bot.inference.engine_settings import EngineSettings
from bot.inference.loading.vae_range import is_scaled, settle_type
from bot.inference.loras.merging import Factor, MergedWeights
from bot.inference.session import ModelSession, open_session
from tests.inference.conftest import NEARLY_FREE, make_request, noise_png
from tests.inference.engines import Bench
from tests.inference.meta_gpu import META, Watch, meta_gpu, outside
from tests.tiny_sdxl import MODEL_REPO, TinyModels, tiny_profile

__all__ = ["meta_gpu"]
EULER_A = "EulerAncestralDiscreteScheduler"
DRAWS = {EULER_A, "LCMScheduler"}  # noise in every step
MOST_LAUNCHES = 30  # of a turn, outside the UNet, for each way to step: however many pictures
WAYS = 5  # of all samplers: Euler's two share one, and DPM++'s two
MOST_CASTS = 10  # of a decoding; of the weights alone there would be hundreds


@pytest.fixture(scope="module")
def session(models: TinyModels) -> Iterator[ModelSession]:
    """In half precision, as on a GPU, with a VAE as SDXL's, which asks for float32."""
    profile = tiny_profile(ModelSource(repo=MODEL_REPO))
    opened = open_session(profile, EngineSettings(batch=16, curve=NEARLY_FREE), device="cpu", cache_dir=models.cache_dir)
    vae = opened.model.text2img.vae
    vae.register_to_config(force_upcast=True)
    settle_type(vae.half())
    opened.model.text2img.to(META, torch.float16)
    yield opened
    opened.close(RequestCancelledError())


def watched(session: ModelSession, watch: Watch, pictures: int, **changes: object) -> Bench:
    """An engine with so many pictures on their way, which has taken two turns of them and a third one under `watch`."""
    bench = Bench(session, batch=16)
    for seed in range(pictures):
        bench.admit(make_request(seed=seed, num_inference_steps=8, **changes))
    for _ in range(2):
        bench.engine.turn()
    with watch, outside(watch, session.model.text2img.unet):
        watch.clear()
        bench.engine.turn()
    return bench


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("pictures", [1, 16])
def test_a_turn_waits_for_nothing_sends_numbers_and_noise_alone_and_launches_little(
    session: ModelSession, meta_gpu: Watch, sampler: str, pictures: int
) -> None:
    bench = watched(session, meta_gpu, pictures, scheduler=sampler)
    steps = [drawing.pictures[0].step for drawing in bench.engine._drawings]
    bench.engine.abandon(RequestCancelledError())

    assert steps == [3] * pictures
    assert meta_gpu.reads == []
    assert all(copy.pinned and not copy.waits for copy in meta_gpu.copies)
    numbers, *noise = meta_gpu.copies
    assert len(numbers.shape) == 1
    assert sum(copy.shape[0] for copy in noise) == (pictures if sampler in DRAWS else 0)
    assert {copy.shape[1:] for copy in noise} <= {(4, 8, 8)}
    assert 0 < sum(meta_gpu.launches.values()) <= MOST_LAUNCHES


def test_a_turn_of_all_samplers_launches_as_often_for_many_pictures_as_for_one_of_each(
    session: ModelSession, meta_gpu: Watch
) -> None:
    counts: list[int] = []
    for pictures in (len(SAMPLERS), 2 * len(SAMPLERS)):
        bench = Bench(session, batch=16)
        for seed, sampler in zip(range(pictures), itertools.cycle(SAMPLERS), strict=False):
            bench.admit(make_request(seed=seed, num_inference_steps=8, scheduler=sampler))
        for _ in range(2):
            bench.engine.turn()
        with meta_gpu, outside(meta_gpu, session.model.text2img.unet):
            meta_gpu.clear()
            bench.engine.turn()
        steps = [drawing.pictures[0].step for drawing in bench.engine._drawings]
        bench.engine.abandon(RequestCancelledError())
        assert steps == [3] * pictures
        assert meta_gpu.reads == []
        assert all(copy.pinned and not copy.waits for copy in meta_gpu.copies)
        counts.append(sum(meta_gpu.launches.values()))

    assert counts[0] == counts[1] <= MOST_LAUNCHES * WAYS


def test_blends_of_noise_and_calls_with_and_without_guidance_wait_for_nothing_either(
    session: ModelSession, meta_gpu: Watch
) -> None:
    bench = Bench(session, batch=16)
    for scale, sampler in ((7.0, EULER_A), (1.0, EULER_A), (3.0, "LCMScheduler"), (1.0, "UniPCMultistepScheduler")):
        blends = (NoiseBlend(seed=7, strength=0.3),)
        bench.admit(make_request(guidance_scale=scale, scheduler=sampler, blends=blends, num_inference_steps=8))
    with meta_gpu:
        bench.engine.turn()
        bench.engine.turn()
    steps = [drawing.pictures[0].step for drawing in bench.engine._drawings]
    bench.engine.abandon(RequestCancelledError())

    assert steps == [2] * 4
    assert meta_gpu.reads == []
    assert all(copy.pinned and not copy.waits for copy in meta_gpu.copies)


def test_a_turn_with_a_preview_waits_for_nothing_either(session: ModelSession, meta_gpu: Watch) -> None:
    bench = Bench(session, batch=16)
    ticket = bench.admit(make_request(num_inference_steps=8))
    bench.engine.turn()
    with meta_gpu:
        bench.engine.turn()
    bench.engine.abandon(RequestCancelledError())

    assert [report.step for report in ticket.reports if report.preview is not None] == [2]
    assert meta_gpu.fetched == [(8, 8, 3)]
    assert meta_gpu.reads == []
    assert all(copy.pinned and not copy.waits for copy in meta_gpu.copies)


@pytest.mark.parametrize("mean", [None, [0.1, -0.2, 0.3, 0.0]])
def test_a_decoded_picture_is_fetched_as_bytes_without_a_wait(
    session: ModelSession, meta_gpu: Watch, mean: list[float] | None
) -> None:
    vae = session.model.text2img.vae
    bench = Bench(session, batch=16)
    ticket = bench.admit(make_request(num_inference_steps=1))
    bench.engine.turn()
    vae.register_to_config(latents_mean=mean, latents_std=mean)
    with meta_gpu:
        bench.engine.turn()
    vae.register_to_config(latents_mean=None, latents_std=None)

    assert ticket.result is not None
    assert meta_gpu.fetched == [(4,), (64, 64, 3)]
    assert meta_gpu.reads == []
    assert all(copy.pinned and not copy.waits for copy in meta_gpu.copies)


def test_a_decoding_casts_pictures_and_no_weight(session: ModelSession, meta_gpu: Watch) -> None:
    vae = session.model.text2img.vae
    before = [(id(weights), weights.dtype) for weights in vae.parameters()]
    latents = torch.empty(1, 4, 8, 8, dtype=torch.float16, device=META)
    with meta_gpu:
        meta_gpu.clear()
        decode(session.model.text2img, latents)

    assert is_scaled(vae)
    assert meta_gpu.launches["_to_copy"] <= MOST_CASTS < len(before)
    assert meta_gpu.reads == []
    assert [(id(weights), weights.dtype) for weights in vae.parameters()] == before


@pytest.mark.parametrize("kept_on_the_device", [True, False])
def test_a_switch_of_loras_waits_for_no_copy_and_makes_none_where_memory_is_free(
    session: ModelSession, meta_gpu: Watch, kept_on_the_device: bool
) -> None:
    pipeline = session.model.text2img
    rows, columns = pipeline.unet.time_embedding.linear_1.weight.shape
    place = ("unet", "time_embedding.linear_1")
    down, up = torch.ones(2, columns, device=META), torch.ones(rows, 2, device=META)
    lora = [Factor(place=place, down=down, up=up, scaling=0.5)]
    merged = MergedWeights(pipeline, copies_beside=kept_on_the_device)
    with meta_gpu:
        for chosen in ([(lora, 0.7)], [], [(lora, 0.5)], [(lora, 0.5), (lora, 0.2)], []):
            merged.apply(chosen)

    copies = meta_gpu.copies
    assert len(meta_gpu.fetched) == (0 if kept_on_the_device else 1)
    assert len(copies) == (0 if kept_on_the_device else 5)
    assert all(copy.pinned and not copy.waits for copy in copies)
    assert meta_gpu.reads == []


def test_a_known_prompt_is_admitted_without_a_wait_and_its_sampler_built_once(
    session: ModelSession, meta_gpu: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, built = preparation.build_scheduler, list[str | None]()

    def noted(*given: Any, scheduler: str | None) -> Any:
        built.append(scheduler)
        return build(*given, scheduler=scheduler)

    monkeypatch.setattr(preparation, "build_scheduler", noted)
    bench = Bench(session, batch=16)
    request = make_request(num_images=2, scheduler="UniPCMultistepScheduler")
    first = bench.admit(request)
    with meta_gpu:
        second = bench.admit(request)
    bench.engine.abandon(RequestCancelledError())

    assert isinstance(first.error, RequestCancelledError)
    assert isinstance(second.error, RequestCancelledError)
    assert built == ["UniPCMultistepScheduler"]
    assert meta_gpu.reads == []
    assert all(copy.pinned and not copy.waits for copy in meta_gpu.copies)


FROM_A_PICTURE = InitImage(key="x", strength=0.5)
ADMISSIONS: dict[str, dict[str, Any]] = {
    "a new prompt": {"prompt": "2girls, a prompt that nobody has asked for"},
    "a new LoRA": {"style": "pastel", "adapter_weight": 0.7},
} | {f"img2img, {name}": {"init_image": FROM_A_PICTURE, "scheduler": name} for name in SAMPLERS}


@pytest.mark.parametrize("kind", ADMISSIONS)
def test_an_admission_waits_for_nothing(session: ModelSession, meta_gpu: Watch, kind: str) -> None:
    changes = ADMISSIONS[kind]
    picture = noise_png() if "init_image" in changes else None
    bench = Bench(session, batch=16)
    with meta_gpu:
        meta_gpu.clear()
        bench.admit(make_request(num_inference_steps=8, **changes), picture)
    steps = [one.steps for drawing in bench.engine._drawings for one in drawing.pictures]
    bench.engine.abandon(RequestCancelledError())

    assert steps == [8 if picture is None else 4]
    assert meta_gpu.reads == []
    assert meta_gpu.copies != []
    assert [copy for copy in meta_gpu.copies if copy.waits or not copy.pinned] == []
