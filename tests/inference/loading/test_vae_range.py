"""SDXL's VAE in float16: scaled by a power of two it stays finite, loses next to nothing, and is never moved or cast again."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny  # pyright: ignore[reportPrivateImportUsage] # diffusers exports lazily
from PIL import Image

from bot.bench.setup import TOKENIZERS, random_profile
from bot.bench.torch_side.stock import StockPipeline
from bot.domain.profile import ModelSource
from bot.domain.request import InitImage
from bot.inference.engine.decoding import decode
from bot.inference.engine.preparation import PreparedRequest, Preparer
from bot.inference.loading.casting import lower
from bot.inference.loading.pipelines import LoadedModel, load_model
from bot.inference.loading.placing import put_in_place
from bot.inference.loading.vae_range import SCALE, is_scaled, layers_of, scale, settle_type
from bot.inference.prompts.encoder import PromptEncoder
from bot.inference.random_models.sdxl import SDXL_BASE, SDXL_TINY, random_pipeline
from bot.settings import SHIPPED_DATA
from tests.inference.conftest import make_request
from tests.tiny_sdxl import TinyModels, tiny_profile

OVERFLOWING = 2.0**18  # times the tiny model's values
Encoding = tuple[torch.Tensor, torch.Tensor]


@pytest.fixture(scope="module")
def pipeline() -> Any:
    """In float32, with a VAE of SDXL's kind that asks to be cast."""
    made = random_pipeline(SDXL_TINY, TOKENIZERS, device=torch.device("cpu"), dtype=torch.float32)
    made.vae.requires_grad_(requires_grad=False)
    return made


@pytest.fixture
def vae(pipeline: Any) -> Any:
    """A copy to change."""
    return copy.deepcopy(pipeline.vae)


def shipped() -> Any:
    return AutoencoderKL.from_pretrained(SHIPPED_DATA / "models" / "mini" / "vae", use_safetensors=True)


def full_size() -> Any:
    """SDXL's own shape, with the weights that torch begins with."""
    torch.manual_seed(0)
    return AutoencoderKL(**SDXL_BASE.vae).requires_grad_(requires_grad=False)


def noise(vae: Any, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, int(vae.config.latent_channels), 16, 16, generator=torch.Generator().manual_seed(seed))


def there_and_back(vae: Any) -> Encoding:
    """What it makes of noise, and of what it made."""
    with torch.no_grad():
        pixels = vae.decode(noise(vae)).sample
        return pixels, vae.encode(pixels.clamp(-1, 1)).latent_dist.parameters


def scale_all(vae: Any, factor: float) -> None:
    for half in (vae.encoder, vae.decoder):
        layers = layers_of(half)
        assert layers is not None
        scale(layers, factor)


def error(of: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((of.float() - wanted).norm() / wanted.norm())


@contextmanager
def unmoved(vae: Any) -> Iterator[None]:
    """Every weight is where it was and of the type that it was."""
    before = {name: (weights.data_ptr(), weights.dtype) for name, weights in vae.named_parameters()}
    parts = list(vae.parameters())
    yield
    assert {name: (weights.data_ptr(), weights.dtype) for name, weights in vae.named_parameters()} == before
    assert all(one is other for one, other in zip(parts, vae.parameters(), strict=True))


class InHalf:
    """A pipeline's parts as a GPU would have them: `vae` in float16, settled."""

    def __init__(self, vae: Any) -> None:
        self.vae = vae.half()
        settle_type(self.vae)


def test_in_float32_scaling_changes_no_bit_of_pixels_or_latents(vae: Any) -> None:
    for one in (vae, shipped()):
        before = there_and_back(one)
        weights = {name: tensor.clone() for name, tensor in one.named_parameters()}
        scale_all(one, SCALE)

        assert any(not torch.equal(tensor, weights[name]) for name, tensor in one.named_parameters())
        assert all(torch.equal(*pair) for pair in zip(there_and_back(one), before, strict=True))


def test_a_vae_that_overflows_in_float16_is_finite_and_close_when_it_is_scaled(vae: Any) -> None:
    wanted = there_and_back(vae)
    scale_all(vae, OVERFLOWING)
    plain = copy.deepcopy(vae).half()
    with torch.no_grad():
        overflown = plain.decode(noise(plain).half()).sample, plain.encode(wanted[0].half()).latent_dist.parameters
    scale_all(vae, SCALE / OVERFLOWING)
    half = vae.half()
    with torch.no_grad():
        pixels = half.decode(noise(half).half()).sample
        latents = half.encode(wanted[0].clamp(-1, 1).half()).latent_dist.parameters

    assert not any(bool(values.isfinite().all()) for values in overflown)
    assert error(pixels, wanted[0]) < 1e-2
    assert error(latents, wanted[1]) < 1e-2


def large(vae: Any) -> Any:
    """The same VAE with values that float16 does not hold, though it holds the weights."""
    vae.decoder.conv_in.weight.mul_(2.0**14)
    vae.decoder.conv_in.bias.mul_(2.0**14)
    return vae


def test_a_vae_whose_first_values_overflow_is_settled_in_float16_and_decodes_at_once(pipeline: Any, vae: Any) -> None:
    exact = decode(Parts(large(copy.deepcopy(vae))), noise(vae)).image()
    plain = Parts(large(copy.deepcopy(vae)).half())
    settled = InHalf(large(vae))
    latents = noise(vae).half()
    image = decode(settled, latents).image()

    assert decode(plain, latents).image() is None
    assert is_scaled(settled.vae)
    assert settled.vae.dtype == torch.float16
    assert exact is not None
    assert image is not None
    assert np.abs(np.asarray(image).astype(int) - np.asarray(exact)).mean() < 1


class Parts:
    """A pipeline that has only a VAE."""

    def __init__(self, vae: Any) -> None:
        self.vae = vae


def test_decoding_decoding_again_and_encoding_move_and_cast_no_weight(vae: Any) -> None:
    parts = InHalf(vae)
    with unmoved(parts.vae):
        first, second = (decode(parts, noise(vae).half(), again).image() for again in (False, True))
        with torch.no_grad():
            parts.vae.encode(torch.zeros(1, 3, 64, 64, dtype=torch.float16))

    assert first is not None
    assert second is not None


def test_the_second_try_has_the_pixels_of_float32(pipeline: Any, vae: Any) -> None:
    exact = copy.deepcopy(pipeline.vae).half().float()  # weights that float16 holds
    latents = noise(vae).half()
    again = decode(InHalf(vae), latents, again=True).image()
    wanted = decode(Parts(exact), latents).image()

    assert again is not None
    assert wanted is not None
    assert np.abs(np.asarray(again).astype(int) - np.asarray(wanted)).max() <= 1


def test_a_picture_to_start_from_is_encoded_with_the_draws_of_float32_and_moves_no_weight(models: TinyModels) -> None:
    """Half as many bits would be other noise, and other pictures for all seeds."""
    model = load_model(tiny_profile(ModelSource(folder=models.folder)), device="cpu")
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    request = make_request(init_image=InitImage(key="x", strength=0.5))
    order = PreparedRequest(request=request, styles=(), init_image=image)

    def latents() -> torch.Tensor:
        return Preparer(model, PromptEncoder(model.text2img)).prepare(order)[0][0].latents

    exact = latents()
    model.text2img.vae.half()
    settle_type(model.text2img.vae)
    with unmoved(model.text2img.vae):
        half = latents()

    assert is_scaled(model.text2img.vae)
    assert error(half, exact) < 1e-2


def test_the_weights_of_a_full_size_vae_lose_next_to_nothing() -> None:
    """Some are so small that they have fewer digits in float16 then; together that is little beside its own rounding."""
    vae = full_size().half()
    before = {name: tensor.float().clone() for name, tensor in vae.named_parameters()}
    settle_type(vae)
    changed = {
        name: error(tensor.float() / SCALE, before[name])
        for name, tensor in vae.named_parameters()
        if name.endswith("weight") and not torch.equal(tensor.float(), before[name])
    }

    assert is_scaled(vae)
    assert len(changed) > 40
    assert 0 < max(changed.values()) < 1e-4


def _with_tiny_weights(vae: Any) -> None:
    vae.decoder.mid_block.resnets[0].conv2.weight.mul_(2.0**-12)


def _with_a_layer_of_another_kind(vae: Any) -> None:
    vae.decoder.mid_block.resnets[0].conv1 = torch.nn.Sequential(vae.decoder.mid_block.resnets[0].conv1)


def _with_another_norm(vae: Any) -> None:
    vae.encoder.conv_norm_out = torch.nn.BatchNorm2d(32).eval()


@pytest.mark.parametrize("change", [_with_tiny_weights, _with_a_layer_of_another_kind, _with_another_norm])
def test_a_vae_that_cannot_be_scaled_is_in_float32_for_good_with_its_own_weights(
    vae: Any, change: Callable[[Any], None]
) -> None:
    change(vae)
    exact = copy.deepcopy(vae).half().float()
    parts = InHalf(vae)
    with unmoved(parts.vae):
        image = decode(parts, noise(vae).half()).image()
        decode(parts, noise(vae).half(), again=True)
        with torch.no_grad():
            latents = parts.vae.encode(torch.zeros(1, 3, 64, 64, dtype=torch.float16)).latent_dist.parameters

    wanted = decode(Parts(exact), noise(vae).half()).image()
    assert parts.vae.dtype == latents.dtype == torch.float32
    assert not parts.vae.config.force_upcast
    assert image is not None
    assert wanted is not None
    assert image.tobytes() == wanted.tobytes()


def test_other_vaes_are_left_as_they_are(pipeline: Any) -> None:
    mended = copy.deepcopy(pipeline.vae).half()
    mended.register_to_config(force_upcast=False)
    tiny = AutoencoderTiny(encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4).half()
    for one in (mended, tiny, copy.deepcopy(pipeline.vae), copy.deepcopy(pipeline.vae).bfloat16()):
        weights = {name: tensor.clone() for name, tensor in one.named_parameters()}
        with unmoved(one):
            settle_type(one)

        assert not is_scaled(one)
        assert all(torch.equal(tensor, weights[name]) for name, tensor in one.named_parameters())


def test_a_model_in_float16_is_settled_when_it_is_put_in_place_and_only_once(pipeline: Any) -> None:
    whole = copy.copy(pipeline)
    whole.vae = copy.deepcopy(pipeline.vae).half()
    put_in_place(whole, torch.device("cpu"), None)
    weights = {name: tensor.clone() for name, tensor in whole.vae.named_parameters()}
    put_in_place(whole, torch.device("cpu"), None)

    assert is_scaled(whole.vae)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in whole.vae.named_parameters())


def test_a_second_try_of_a_vae_in_bfloat16_casts_a_copy_alone(pipeline: Any) -> None:
    lowered = copy.deepcopy(pipeline)
    lower(lowered)
    types: list[torch.dtype] = []
    lowered.vae.decoder.register_forward_pre_hook(lambda _, given: types.append(given[0].dtype))
    with unmoved(lowered.vae):
        decode(lowered, noise(lowered.vae), again=True)

    assert types == [torch.float32]


def test_a_compiled_decoder_is_not_asked_for_the_second_try(vae: Any) -> None:
    parts = InHalf(vae)
    calls: list[torch.dtype] = []

    def noted(module: torch.fx.GraphModule, given: list[torch.Tensor]) -> Any:
        del given
        calls.append(next(module.parameters(), torch.empty(0)).dtype)
        return module.forward

    parts.vae.decoder.compile(backend=noted, dynamic=False)
    first = decode(parts, noise(vae).half()).image()
    compiled = len(calls)
    second = decode(parts, noise(vae).half(), again=True).image()
    torch._dynamo.reset()

    assert first is not None
    assert second is not None
    assert len(calls) == compiled > 0


def test_diffusers_own_pipeline_is_measured_with_the_decoder_in_float32_that_it_would_use(pipeline: Any) -> None:
    whole = copy.copy(pipeline)
    whole.vae = copy.deepcopy(pipeline.vae).half()
    put_in_place(whole, torch.device("cpu"), None)
    model = LoadedModel(profile=random_profile("tiny"), text2img=whole, img2img=None, preview=Any)
    stock = StockPipeline(model)._pipeline.vae

    assert {weights.dtype for weights in stock.decoder.parameters()} == {torch.float32}
    assert whole.vae.dtype == torch.float16
