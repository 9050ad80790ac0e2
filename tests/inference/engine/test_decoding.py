"""No empty picture leaves the decoder: what overflows in float16 is decoded again, what stays empty is an error."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bot.domain.profile import ModelSource
from bot.errors import GenerationError
from bot.inference.engine import decoding
from bot.inference.loading.latent_preview import LONGEST_SIDE, LatentPreview
from bot.inference.loading.pipelines import load_model
from bot.inference.loading.vae_range import settle_type
from tests.tiny_sdxl import TinyModels, tiny_profile


@pytest.fixture(scope="module")
def loaded(models: TinyModels) -> Any:
    return load_model(tiny_profile(ModelSource(folder=models.folder)), device="cpu").text2img


class Decoder:
    """A pipeline's VAE, a copy to maltreat. `types` records what it, or a copy that it made, decoded in."""

    def __init__(self, pipeline: Any) -> None:
        self.vae = copy.deepcopy(pipeline.vae)
        self.types: list[torch.dtype] = []
        self.vae.decoder.register_forward_pre_hook(lambda _, given: self.types.append(given[0].dtype))


def decode(decoder: Any, values: torch.Tensor) -> Image.Image:
    """As the engine does: once more where it is empty."""
    image = decoding.decode(decoder, values).image() or decoding.decode(decoder, values, again=True).image()
    assert image is not None
    return image


def latents(scale: float = 1.0) -> torch.Tensor:
    return torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)) * scale


def test_a_picture_that_overflows_in_float16_is_decoded_again_in_float32(loaded: Any) -> None:
    decoder = Decoder(loaded)
    with torch.no_grad():
        decoder.vae.decoder.conv_in.weight.mul_(30_000)  # the norm behind it takes the factor out again, where it still can
    decoder.vae.half()
    image = decode(decoder, latents().half())

    assert decoder.types == [torch.float16, torch.float32]
    assert np.asarray(image).std() > 2
    assert decoder.vae.dtype == torch.float16


def test_a_vae_that_cannot_be_scaled_decodes_in_float32_at_once_with_diffusers_own_pixels(loaded: Any) -> None:
    decoder = Decoder(loaded)
    decoder.vae.decoder.another = torch.nn.Conv2d(1, 1, 1)
    decoder.vae.half()
    settle_type(decoder.vae)
    image = decode(decoder, latents().half())

    with torch.no_grad():
        vae = copy.deepcopy(loaded.vae).half().float()
        pixels = vae.decode(latents().half().float() / vae.config.scaling_factor).sample
    wanted = loaded.image_processor.postprocess(pixels, output_type="pil")[0]
    assert decoder.types == [torch.float32]
    assert decoder.vae.dtype == torch.float32
    assert image.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("value", [float("nan"), 0.0, 1.0], ids=["nan", "grey", "white"])
def test_an_empty_picture_is_an_error_after_the_second_try(loaded: Any, value: float) -> None:
    decoder = Decoder(loaded)
    with torch.no_grad():
        decoder.vae.decoder.conv_out.weight.zero_()
        decoder.vae.decoder.conv_out.bias.fill_(value)
    with pytest.raises(GenerationError, match="came out empty") as caught:
        decode(decoder, latents())

    assert decoder.types == [torch.float32] * 2
    assert not caught.value.retryable


def test_latents_that_are_not_finite_are_an_error_without_a_try(loaded: Any) -> None:
    decoder = Decoder(loaded)
    with pytest.raises(GenerationError, match="came out empty"):
        decode(decoder, latents() * float("inf"))

    assert decoder.types == []


def test_a_mean_and_deviation_a_channel_are_undone_as_diffusers_does(loaded: Any) -> None:
    decoder = Decoder(loaded)
    mean, std = [0.1, -0.2, 0.3, 0.0], [1.1, 0.9, 1.0, 1.2]
    decoder.vae.register_to_config(latents_mean=mean, latents_std=std)
    image = decode(decoder, latents())
    config = decoder.vae.config
    decoder.vae.register_to_config(latents_mean=None, latents_std=None)
    shifted = latents() * torch.tensor(std).view(1, 4, 1, 1) + config.scaling_factor * torch.tensor(mean).view(1, 4, 1, 1)

    difference = np.asarray(image).astype(int) - np.asarray(decode(decoder, shifted)).astype(int)
    assert np.abs(difference).max() <= 1


def test_a_fitted_preview_follows_a_linear_vae() -> None:
    class LinearVae:
        """Its first channel is brightness, 8 pixels a latent."""

        config = SimpleNamespace(latent_channels=4, scaling_factor=1.0)
        device, dtype = torch.device("cpu"), torch.float32

        def decode(self, values: torch.Tensor, *, return_dict: bool) -> tuple[torch.Tensor]:
            assert not return_dict
            grey = values[:, :1].repeat_interleave(8, 2).repeat_interleave(8, 3) * 0.25
            return (grey.repeat(1, 3, 1, 1),)

    ramp = torch.zeros(1, 4, 8, 8)
    ramp[0, 0] = torch.linspace(-3, 3, 8)[None, :]
    image = LatentPreview.fitted(LinearVae()).look(ramp).image()

    assert image is not None
    assert max(image.size) == LONGEST_SIDE
    columns = np.asarray(image.convert("L")).astype(float).mean(axis=0)
    assert columns[5] < 64
    assert columns[-5] > 190
    assert (np.diff(columns) > -3).all()
