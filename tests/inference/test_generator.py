"""The generator against plain diffusers: what the bot draws is what the tutorial's code would have drawn."""

from __future__ import annotations

import asyncio
import io
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bot.domain.image import GenerationResult
from bot.domain.progress import Phase
from bot.domain.request import GenerationRequest, InitImage, NoiseBlend
from bot.errors import GenerationError, GeneratorDeadError, ModelError
from bot.inference.generator import DiffusersGenerator
from tests.inference.conftest import Reports, make_generator, make_request
from tests.tiny_sdxl import LORA_FILE, LORA_REPO, MODEL_REPO, SEED_NEGATIVE_PROMPT, TinyModels

PROMPT = "1girl, green hair"


async def draw(generator: DiffusersGenerator, request: GenerationRequest, init: bytes | None = None) -> GenerationResult:
    return await generator.generate(request, init_image=init, on_progress=lambda _: None)


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def noise_png(seed: int = 3, size: tuple[int, int] = (64, 64)) -> bytes:
    values = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def tutorial_pipeline(models: TinyModels, cls: Any = None, dtype: torch.dtype = torch.float32) -> Any:
    """The starting tutorial's code, on the CPU."""
    from diffusers import EulerAncestralDiscreteScheduler, StableDiffusionXLPipeline

    pipe = (cls or StableDiffusionXLPipeline).from_pretrained(
        MODEL_REPO,
        dtype=dtype,
        use_safetensors=True,
        variant="fp16",
        cache_dir=models.cache_dir,
        local_files_only=True,
        add_watermarker=False,
    )
    pipe.scheduler = EulerAncestralDiscreteScheduler.from_config(pipe.scheduler.config)
    return pipe


def tutorial_call(pipe: Any, seed: int = 42, **more: Any) -> np.ndarray:
    image = pipe(
        PROMPT,
        negative_prompt=SEED_NEGATIVE_PROMPT,
        num_inference_steps=4,
        guidance_scale=7.0,
        original_size=(256, 256),
        target_size=(64, 64),
        generator=torch.Generator().manual_seed(seed),
        **more,
    ).images[0]
    return np.asarray(image)


async def test_a_picture_equals_plain_diffusers_pixel_for_pixel(
    models: TinyModels, shared_generator: DiffusersGenerator
) -> None:
    drawn = await draw(shared_generator, make_request())

    assert np.array_equal(pixels(drawn.images[0].data), tutorial_call(tutorial_pipeline(models), width=64, height=64))


async def test_a_picture_with_lora_equals_plain_diffusers_pixel_for_pixel(
    models: TinyModels, shared_generator: DiffusersGenerator
) -> None:
    pipe = tutorial_pipeline(models)
    pipe.load_lora_weights(
        LORA_REPO, weight_name=LORA_FILE, adapter_name="pastel_lora", cache_dir=models.cache_dir, local_files_only=True
    )
    pipe.set_adapters(["pastel_lora"], [0.7])

    drawn = await draw(shared_generator, make_request(style="pastel", adapter_weight=0.7))
    bare = await draw(shared_generator, make_request())

    assert np.array_equal(pixels(drawn.images[0].data), tutorial_call(pipe, width=64, height=64))
    assert not np.array_equal(pixels(drawn.images[0].data), pixels(bare.images[0].data))


async def test_img2img_equals_plain_diffusers_pixel_for_pixel(models: TinyModels, shared_generator: DiffusersGenerator) -> None:
    from diffusers import StableDiffusionXLImg2ImgPipeline

    init = noise_png()
    request = make_request(init_image=InitImage(key="x", strength=0.6))
    drawn = await draw(shared_generator, request, init)

    pipe = tutorial_pipeline(models, StableDiffusionXLImg2ImgPipeline)
    wanted = tutorial_call(pipe, image=Image.open(io.BytesIO(init)), strength=0.6)
    assert np.array_equal(pixels(drawn.images[0].data), wanted)


@pytest.mark.filterwarnings("ignore:`upcast_vae` is deprecated:FutureWarning")  # diffusers' pipeline calls it itself
async def test_in_float16_as_on_cuda_pictures_equal_plain_diffusers_too_whatever_was_drawn_before(
    models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import StableDiffusionXLImg2ImgPipeline

    from bot.inference import pipelines

    monkeypatch.setattr(pipelines, "choose_device", lambda _: (torch.device("cpu"), torch.float16))
    generator, init = make_generator(models), noise_png()
    first = await draw(generator, make_request())
    second = await draw(generator, make_request(init_image=InitImage(key="x", strength=0.6)), init)  # casts the VAE to and fro
    third = await draw(generator, make_request())
    await generator.close()

    wanted = tutorial_call(tutorial_pipeline(models, dtype=torch.float16), width=64, height=64)
    pipe = tutorial_pipeline(models, StableDiffusionXLImg2ImgPipeline, dtype=torch.float16)
    wanted_second = tutorial_call(pipe, image=Image.open(io.BytesIO(init)), strength=0.6)
    assert np.array_equal(pixels(first.images[0].data), wanted)
    assert np.array_equal(pixels(second.images[0].data), wanted_second)
    assert np.array_equal(pixels(third.images[0].data), wanted)


async def test_each_picture_of_a_request_equals_the_one_drawn_alone(shared_generator: DiffusersGenerator) -> None:
    together = await draw(shared_generator, make_request(num_images=3))
    alone = [await draw(shared_generator, make_request(seed=42 + index)) for index in range(3)]

    assert [image.seed for image in together.images] == [42, 43, 44]
    assert [pixels(image.data).tobytes() for image in together.images] == [
        pixels(one.images[0].data).tobytes() for one in alone
    ]


@pytest.mark.parametrize("with_image", [False, True], ids=["text2img", "img2img"])
async def test_a_variation_of_share_0_is_the_original_bit_for_bit(
    shared_generator: DiffusersGenerator, with_image: bool
) -> None:
    init = noise_png() if with_image else None
    request = make_request(init_image=InitImage(key="x", strength=0.5) if with_image else None)
    original = await draw(shared_generator, request, init)
    same = await draw(shared_generator, replace(request, blends=(NoiseBlend(seed=7, strength=0.0),)), init)
    varied = await draw(shared_generator, replace(request, blends=(NoiseBlend(seed=7, strength=0.2),)), init)

    assert np.array_equal(pixels(same.images[0].data), pixels(original.images[0].data))
    assert not np.array_equal(pixels(varied.images[0].data), pixels(original.images[0].data))


async def test_a_stronger_variation_moves_further_and_a_chain_moves_on(shared_generator: DiffusersGenerator) -> None:
    async def drawn(*blends: NoiseBlend) -> np.ndarray:
        result = await draw(shared_generator, make_request(blends=blends))
        return pixels(result.images[0].data).astype(float)

    original = await drawn()
    shares = [float(np.abs(await drawn(NoiseBlend(seed=7, strength=share)) - original).mean()) for share in (0.05, 0.2, 0.5)]
    one, two = NoiseBlend(seed=7, strength=0.2), NoiseBlend(seed=8, strength=0.2)

    assert shares == sorted(shares)
    assert shares[0] > 0
    assert not np.array_equal(await drawn(one, two), await drawn(one))
    assert not np.array_equal(await drawn(one, two), await drawn(two))


async def test_the_same_request_gives_the_same_pixels_and_another_seed_gives_others(
    shared_generator: DiffusersGenerator,
) -> None:
    first, again = await draw(shared_generator, make_request()), await draw(shared_generator, make_request())
    other = await draw(shared_generator, make_request(seed=1))

    assert pixels(first.images[0].data).tobytes() == pixels(again.images[0].data).tobytes()
    assert pixels(first.images[0].data).tobytes() != pixels(other.images[0].data).tobytes()


async def test_the_profiles_sizes_and_metadata_arrive_in_the_file(shared_generator: DiffusersGenerator) -> None:
    drawn = (await draw(shared_generator, make_request(width=48, height=80, style="pastel"))).images[0]

    assert (drawn.width, drawn.height) == (48, 80)
    with Image.open(io.BytesIO(drawn.data)) as image:
        assert image.size == (48, 80)
        assert image.info["parameters"] == drawn.parameters
    assert "Seed: 42, Size: 48x80, Model: animagine-xl" in drawn.parameters
    assert "<lora:pastel-anime-xl:1>" in drawn.parameters
    assert 'Lora hashes: "pastel-anime-xl: ' in drawn.parameters


@pytest.mark.parametrize(("strength", "steps"), [(0.05, 1), (0.5, 2), (1.0, 4)])
async def test_img2img_runs_at_least_one_step_and_says_how_many(
    shared_generator: DiffusersGenerator, strength: float, steps: int
) -> None:
    reports = Reports()
    request = make_request(init_image=InitImage(key="x", strength=strength))
    await shared_generator.generate(request, init_image=noise_png(), on_progress=reports)

    assert [(one.step, one.steps) for one in reports if one.phase is Phase.DENOISING] == [(n + 1, steps) for n in range(steps)]


async def test_progress_only_rises_names_the_picture_and_comes_on_the_event_loop(
    shared_generator: DiffusersGenerator,
) -> None:
    reports, threads = Reports(), set[str]()

    def on_progress(progress: Any) -> None:
        reports(progress)
        threads.add(threading.current_thread().name)

    await shared_generator.generate(make_request(num_images=2), init_image=None, on_progress=on_progress)

    fractions = [report.fraction for report in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert [report.image for report in reports if report.phase is Phase.DECODING] == [0, 1]
    assert [report.step for report in reports if report.phase is Phase.DENOISING] == [1, 2, 3, 4] * 2
    assert threads == {threading.current_thread().name}


async def test_previews_are_small_webp_pictures(shared_generator: DiffusersGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.inference.drawing.PREVIEW_SECONDS", 0.0)
    reports = Reports()
    await shared_generator.generate(make_request(), init_image=None, on_progress=reports)

    previews = [report.preview for report in reports if report.preview is not None]
    assert len(previews) == 3  # not after the last step: the picture itself follows
    with Image.open(io.BytesIO(previews[0])) as image:
        assert image.format == "WEBP"
        assert max(image.size) <= 512


async def test_drawing_and_loading_happen_off_the_loops_thread(models: TinyModels, monkeypatch: pytest.MonkeyPatch) -> None:
    from bot.inference import drawing, pipelines

    seen: list[threading.Thread] = []
    load, once = pipelines.load_model, drawing.draw
    monkeypatch.setattr(pipelines, "load_model", lambda *a, **k: (seen.append(threading.current_thread()), load(*a, **k))[1])
    monkeypatch.setattr(drawing, "draw", lambda *a: (seen.append(threading.current_thread()), once(*a))[1])
    generator = make_generator(models)
    reports = Reports()
    assert not generator.ready
    await generator.generate(make_request(num_inference_steps=1), init_image=None, on_progress=reports)

    assert generator.ready
    assert reports[0].phase is Phase.LOADING
    assert [thread.name.startswith("pastel-inference") for thread in seen] == [True, True]
    await generator.close()
    assert not generator.ready
    assert not seen[0].is_alive()


async def test_cancel_stops_within_one_step_and_the_next_picture_is_unharmed(shared_generator: DiffusersGenerator) -> None:
    before = await draw(shared_generator, make_request())
    reports, third, steps = Reports(), asyncio.Event(), list[int]()
    unet = shared_generator._loaded[0].text2img.unet
    counting = unet.register_forward_hook(lambda *_: steps.append(1))

    def on_progress(progress: Any) -> None:
        reports(progress)
        if progress.step == 3:
            third.set()

    long = make_request(num_inference_steps=60, width=128, height=128)
    task = asyncio.create_task(shared_generator.generate(long, init_image=None, on_progress=on_progress))
    await third.wait()
    task.cancel()
    await asyncio.sleep(0)  # the cancellation is delivered
    steps_at_cancel = len(steps)
    with pytest.raises(asyncio.CancelledError):
        await task
    counting.remove()
    after = await draw(shared_generator, make_request())

    assert steps_at_cancel < 60
    assert len(steps) <= steps_at_cancel + 1
    assert Phase.DECODING not in {report.phase for report in reports}
    assert pixels(after.images[0].data).tobytes() == pixels(before.images[0].data).tobytes()


async def test_a_cancelled_request_that_still_waits_for_the_thread_is_never_drawn(shared_generator: DiffusersGenerator) -> None:
    running = asyncio.create_task(draw(shared_generator, make_request(num_images=2)))
    reports = Reports()
    waiting = asyncio.create_task(shared_generator.generate(make_request(), init_image=None, on_progress=reports))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert len((await running).images) == 2
    assert reports == []


async def test_the_coroutine_ends_only_when_the_thread_has_let_go_however_often_it_is_cancelled(
    shared_generator: DiffusersGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.inference import drawing

    entered, release, left = threading.Event(), threading.Event(), threading.Event()

    def stuck(*_: Any) -> GenerationResult:
        entered.set()
        release.wait()
        left.set()
        return GenerationResult(images=(), seconds=0)

    monkeypatch.setattr(drawing, "draw", stuck)
    task = asyncio.create_task(draw(shared_generator, make_request()))
    await asyncio.to_thread(entered.wait)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    still_waiting = not task.done()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert still_waiting
    assert left.is_set()


async def test_a_request_beyond_its_time_is_stopped_with_a_sentence(models: TinyModels) -> None:
    generator = make_generator(models, seconds_per_image=0.0)
    with pytest.raises(GenerationError, match="took longer than") as caught:
        await draw(generator, make_request())
    await generator.close()

    assert not caught.value.retryable


async def test_closing_stops_the_running_request_and_refuses_later_ones(models: TinyModels) -> None:
    generator = make_generator(models)
    started = asyncio.Event()
    long = make_request(num_inference_steps=60, num_images=4, width=128, height=128)
    task = asyncio.create_task(generator.generate(long, init_image=None, on_progress=lambda _: started.set()))
    await started.wait()
    await generator.close()

    with pytest.raises(GenerationError, match="shutting down") as caught:
        await task
    assert caught.value.retryable
    with pytest.raises(GenerationError, match="shutting down"):
        await draw(generator, make_request())
    await generator.close()


async def test_closing_does_not_wait_for_weights_that_are_still_being_read(
    models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.inference import pipelines

    reading, release = threading.Event(), threading.Event()

    def slow(*_: Any, **__: Any) -> None:
        reading.set()
        release.wait()
        raise ModelError("too late")

    monkeypatch.setattr(pipelines, "load_model", slow)
    monkeypatch.setattr("bot.inference.generator.CLOSE_PATIENCE", 0.0)
    generator = make_generator(models)
    task = asyncio.create_task(generator.load())
    await asyncio.to_thread(reading.wait)
    task.cancel()
    await asyncio.sleep(0)
    waits_for_the_thread = not task.done()
    await generator.close()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()

    assert waits_for_the_thread


async def test_a_request_for_another_model_is_refused_with_a_sentence(shared_generator: DiffusersGenerator) -> None:
    with pytest.raises(GenerationError, match="asked of the model `other`"):
        await draw(shared_generator, make_request(profile="other"))


async def test_an_unknown_style_is_refused_with_the_names_that_exist(shared_generator: DiffusersGenerator) -> None:
    with pytest.raises(GenerationError, match="Available: `pastel`"):
        await draw(shared_generator, make_request(style="gone"))


async def test_an_init_image_of_another_size_is_refused(shared_generator: DiffusersGenerator) -> None:
    request = make_request(init_image=InitImage(key="x", strength=0.5))
    with pytest.raises(GenerationError, match="another size"):
        await draw(shared_generator, request, noise_png(size=(32, 32)))


async def test_a_prompt_beyond_the_models_limit_is_drawn_and_stands_in_no_log(
    shared_generator: DiffusersGenerator, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    prompt = ", ".join(f"secretword{index}" for index in range(60))
    drawn = await draw(shared_generator, make_request(prompt=prompt))

    captured = capfd.readouterr()
    assert len(drawn.images) == 1
    assert "secretword" not in captured.out + captured.err + caplog.text


async def test_a_load_error_reaches_the_caller_and_leaves_the_generator_not_ready(models: TinyModels, tmp_path: Path) -> None:
    generator = make_generator(replace(models, cache_dir=tmp_path))
    with pytest.raises(ModelError, match="not on this machine"):
        await generator.load()
    ready = generator.ready
    await generator.close()

    assert not ready


class TestFaultsOfTheDevice:
    async def test_out_of_memory_is_tried_once_more_and_gives_the_same_picture(
        self, shared_generator: DiffusersGenerator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wanted = await draw(shared_generator, make_request())
        faults = self.failing_decode(monkeypatch, torch.OutOfMemoryError("CUDA out of memory."), times=1)
        drawn = await draw(shared_generator, make_request())

        assert faults == ["CUDA out of memory."]
        assert pixels(drawn.images[0].data).tobytes() == pixels(wanted.images[0].data).tobytes()

    async def test_out_of_memory_twice_is_a_sentence_and_not_tried_again(
        self, shared_generator: DiffusersGenerator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        faults = self.failing_decode(monkeypatch, RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), times=9)
        with pytest.raises(GenerationError, match="Choose a smaller size") as caught:
            await draw(shared_generator, make_request())

        assert len(faults) == 2
        assert not caught.value.retryable
        assert shared_generator.ready

    async def test_a_lost_device_is_fatal_and_stays_fatal(self, models: TinyModels, monkeypatch: pytest.MonkeyPatch) -> None:
        generator = make_generator(models)
        await generator.load()
        faults = self.failing_decode(monkeypatch, RuntimeError("CUDA error: an illegal memory access was encountered"), times=1)
        for _ in range(2):
            with pytest.raises(GeneratorDeadError, match="illegal memory access"):
                await draw(generator, make_request())
        ready = generator.ready
        await generator.close()

        assert len(faults) == 1
        assert not ready

    async def test_an_unexpected_error_is_raised_as_it_is_and_the_next_picture_is_drawn(
        self, shared_generator: DiffusersGenerator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.failing_decode(monkeypatch, RuntimeError("a bug"), times=1)
        with pytest.raises(RuntimeError, match="a bug"):
            await draw(shared_generator, make_request())

        assert len((await draw(shared_generator, make_request())).images) == 1

    def failing_decode(self, monkeypatch: pytest.MonkeyPatch, error: Exception, *, times: int) -> list[str]:
        from bot.inference import drawing

        decode, faults = drawing.decode, list[str]()

        def fails(*arguments: Any) -> Any:
            if len(faults) < times:
                faults.append(str(error))
                raise error
            return decode(*arguments)

        monkeypatch.setattr(drawing, "decode", fails)
        return faults
