"""The pictures against plain diffusers: what the bot draws is what the tutorial's code would have drawn."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bot.domain.request import InitImage, NoiseBlend
from bot.inference.generator import DiffusersGenerator
from tests.inference.conftest import draw, make_generator, make_request, noise_png, pixels
from tests.inference.oracle import CROWD
from tests.tiny_sdxl import LORA_FILE, LORA_REPO, MODEL_REPO, SEED_NEGATIVE_PROMPT, TinyModels

PROMPT = "1girl, green hair"


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


ROUNDING = 1  # of 255: some processors round merged weights by the shape of a product
HALF = 3  # of 255: and half precision, with its 11 bits, in every layer (2 on one with AVX-512)
HALF_ENCODED = 8  # of 255: and in the encoder, which diffusers casts to float32 (5 on one with AVX-512)


def apart(one: np.ndarray, other: np.ndarray) -> int:
    """Returns the largest difference of two pictures, of 255."""
    return int(np.abs(one.astype(int) - other.astype(int)).max())


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

    assert apart(pixels(drawn.images[0].data), tutorial_call(pipe, width=64, height=64)) <= ROUNDING
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

    from bot.inference.loading import pipelines

    monkeypatch.setattr(pipelines, "choose_device", lambda _: (torch.device("cpu"), torch.float16))
    generator, init = make_generator(models), noise_png()
    first = await draw(generator, make_request())
    second = await draw(generator, make_request(init_image=InitImage(key="x", strength=0.6)), init)
    third = await draw(generator, make_request())
    await generator.close()

    wanted = tutorial_call(tutorial_pipeline(models, dtype=torch.float16), width=64, height=64)
    pipe = tutorial_pipeline(models, StableDiffusionXLImg2ImgPipeline, dtype=torch.float16)
    wanted_second = tutorial_call(pipe, image=Image.open(io.BytesIO(init)), strength=0.6)
    assert apart(pixels(first.images[0].data), wanted) <= HALF
    assert apart(pixels(second.images[0].data), wanted_second) <= HALF_ENCODED
    assert np.abs(pixels(second.images[0].data).astype(int) - wanted_second).mean() < 0.5
    assert np.array_equal(pixels(third.images[0].data), pixels(first.images[0].data))


async def test_each_picture_of_a_request_is_the_one_drawn_alone_up_to_rounding(shared_generator: DiffusersGenerator) -> None:
    together = await draw(shared_generator, make_request(num_images=3))
    alone = [await draw(shared_generator, make_request(seed=42 + index)) for index in range(3)]

    assert [image.seed for image in together.images] == [42, 43, 44]
    for one, other in zip(together.images, alone, strict=True):
        assert np.abs(pixels(one.data).astype(int) - pixels(other.images[0].data).astype(int)).max() <= CROWD


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
