"""What comes with the pictures, and what is refused."""

from __future__ import annotations

import io
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from bot.domain.fairness import Share
from bot.domain.progress import Phase
from bot.domain.request import InitImage
from bot.errors import GenerationError, GeneratorDeadError, ModelError
from bot.inference.generator import DiffusersGenerator
from tests.inference.conftest import Reports, draw, make_generator, make_request, noise_png, pixels
from tests.tiny_sdxl import TinyModels


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
    await shared_generator.generate(request, init_image=noise_png(), share=Share(1), on_progress=reports)

    plain = [one for one in reports if one.phase is Phase.DENOISING and one.preview is None]
    assert [(one.step, one.steps) for one in plain] == [(n + 1, steps) for n in range(steps)]


async def test_progress_only_rises_names_the_picture_and_comes_on_the_event_loop(
    shared_generator: DiffusersGenerator,
) -> None:
    reports, threads = Reports(), set[str]()

    def on_progress(progress: Any) -> None:
        reports(progress)
        threads.add(threading.current_thread().name)

    await shared_generator.generate(make_request(num_images=2), init_image=None, share=Share(1), on_progress=on_progress)

    fractions = [report.fraction for report in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert [report.decoded for report in reports if report.phase is Phase.DECODING] == [0, 1]
    steps = [report.step for report in reports if report.phase is Phase.DENOISING and report.preview is None]
    assert steps[-1] == reports[-1].steps == 8
    assert steps == sorted(set(steps))
    assert threads == {threading.current_thread().name}


async def test_previews_are_small_webp_pictures(shared_generator: DiffusersGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 40  # of some milliseconds, so that the thread of previews comes in time on a busy machine, too
    monkeypatch.setattr("bot.inference.engine.active_request.PREVIEW_SECONDS", 0.0)
    reports = Reports()
    await shared_generator.generate(
        make_request(num_inference_steps=steps), init_image=None, share=Share(1), on_progress=reports
    )

    previews = [report.preview for report in reports if report.preview is not None]
    assert 1 <= len(previews) <= steps - 2  # not after the first step nor the last; one at a time, so some steps pass unseen
    with Image.open(io.BytesIO(previews[0])) as image:
        assert image.format == "WEBP"
        assert max(image.size) <= 512


async def test_a_request_for_another_model_is_refused_with_a_sentence(shared_generator: DiffusersGenerator) -> None:
    with pytest.raises(GenerationError, match="asked for the model `other`"):
        await draw(shared_generator, make_request(profile="other"))


async def test_an_unknown_style_is_refused_with_the_names_that_exist(shared_generator: DiffusersGenerator) -> None:
    with pytest.raises(GenerationError, match=r"You can use \*\*Pastel\*\*"):
        await draw(shared_generator, make_request(style="gone"))


async def test_an_init_image_of_another_size_is_refused(shared_generator: DiffusersGenerator) -> None:
    request = make_request(init_image=InitImage(key="x", strength=0.5))
    with pytest.raises(GenerationError, match="doesn't have the size"):
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
        from bot.inference.engine import decoding

        decode, faults = decoding.decode, list[str]()

        def fails(*arguments: Any) -> Any:
            if len(faults) < times:
                faults.append(str(error))
                raise error
            return decode(*arguments)

        monkeypatch.setattr(decoding, "decode", fails)
        return faults
