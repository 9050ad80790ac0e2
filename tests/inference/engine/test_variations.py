"""Variations: every draw of noise moves by the same share, whatever the sampler, and nobody else's."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders import vae
from diffusers.pipelines.stable_diffusion_xl import pipeline_stable_diffusion_xl, pipeline_stable_diffusion_xl_img2img
from diffusers.utils.torch_utils import randn_tensor

from bot.domain.request import GenerationRequest, NoiseBlend, NoiseDraws
from bot.domain.sampler import SAMPLERS
from tests.inference.conftest import draw, noise_png, pixels
from tests.inference.oracle import CROWD, KINDS, Oracle
from tests.tiny_sdxl import TinyModels

ANCESTRAL = ("EulerAncestralDiscreteScheduler", "LCMScheduler")  # they draw in every step
STEPS = 4  # img2img runs two of them
FIRST_DRAWS = (pipeline_stable_diffusion_xl, pipeline_stable_diffusion_xl_img2img)


@pytest.fixture(scope="module")
def oracles(models: TinyModels) -> Iterator[dict[str, Oracle]]:
    made = {name: Oracle(models, KINDS[name]) for name in ("text2img", "img2img")}
    yield made
    for oracle in made.values():
        asyncio.run(oracle.generator.close())


async def drawn(oracle: Oracle, request: GenerationRequest) -> np.ndarray:
    init = noise_png() if request.init_image is not None else None
    return pixels((await draw(oracle.generator, request, init)).images[0].data)


def varied(request: GenerationRequest, *blends: NoiseBlend) -> GenerationRequest:
    return replace(request, blends=blends)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("kind", ["text2img", "img2img"])
async def test_share_0_is_the_original_and_share_1_the_picture_of_the_other_seed_bit_for_bit(
    oracles: dict[str, Oracle], kind: str, sampler: str
) -> None:
    oracle = oracles[kind]
    original = oracle.request(sampler, num_inference_steps=STEPS)

    none = await drawn(oracle, varied(original, NoiseBlend(seed=7, strength=0.0)))
    whole = await drawn(oracle, varied(original, NoiseBlend(seed=7, strength=1.0)))

    assert np.array_equal(none, await drawn(oracle, original))
    assert np.array_equal(whole, await drawn(oracle, replace(original, seed=7)))


class NaiveNoise:
    """Blended noise written a second time: a list of generators, numpy, and the module that asks tells which draw it is."""

    def __init__(self, request: GenerationRequest) -> None:
        self._blends = [(blend, torch.Generator().manual_seed(blend.seed)) for blend in request.blends]

    def drawing(self, *, first: bool) -> Callable[..., torch.Tensor]:
        def draw_tensor(shape: Any, generator: torch.Generator, **more: Any) -> torch.Tensor:
            noise = randn_tensor(shape, generator=generator, **more)
            for blend, own in self._blends:
                if first or blend.draws is NoiseDraws.EVERY:
                    noise = between(noise, randn_tensor(shape, generator=own, **more), blend.strength)
            return noise

        return draw_tensor


def between(start: torch.Tensor, end: torch.Tensor, share: float) -> torch.Tensor:
    one, other = start.double().numpy(), end.double().numpy()
    angle = np.arccos((one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum()))
    mixed = np.sin((1 - share) * angle) / np.sin(angle) * one + np.sin(share * angle) / np.sin(angle) * other
    return torch.from_numpy(mixed).to(start.dtype)


def judged(oracle: Oracle, request: GenerationRequest, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """What diffusers' own pipeline draws with naively blended noise."""
    noise = NaiveNoise(request)
    with monkeypatch.context() as patch:
        for module in FIRST_DRAWS:
            patch.setattr(module, "randn_tensor", noise.drawing(first=True))
        for module in (vae, *(module for name, module in [*sys.modules.items()] if ".schedulers.scheduling_" in name)):
            if hasattr(module, "randn_tensor"):
                patch.setattr(module, "randn_tensor", noise.drawing(first=False))
        return oracle.judge(request)


CHAINS = {
    "one": (NoiseBlend(seed=7, strength=0.2),),
    "two": (NoiseBlend(seed=7, strength=0.2), NoiseBlend(seed=8, strength=0.4)),
    "older": (NoiseBlend(seed=7, strength=0.5, draws=NoiseDraws.FIRST),),
    "newer of older": (NoiseBlend(seed=7, strength=0.5, draws=NoiseDraws.FIRST), NoiseBlend(seed=8, strength=0.2)),
}


@pytest.mark.parametrize("blends", CHAINS.values(), ids=CHAINS)
@pytest.mark.parametrize("sampler", [*ANCESTRAL, "DPMSolverMultistepScheduler"])
@pytest.mark.parametrize("kind", ["text2img", "img2img"])
async def test_a_variation_is_what_diffusers_draws_with_noise_that_was_blended_by_hand(
    oracles: dict[str, Oracle],
    kind: str,
    sampler: str,
    blends: tuple[NoiseBlend, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = varied(oracles[kind].request(sampler, num_inference_steps=STEPS), *blends)

    wanted = judged(oracles[kind], request, monkeypatch)

    assert np.abs((await drawn(oracles[kind], request)).astype(int) - wanted).max() <= 1  # sines rounded in another order


async def test_variations_in_a_crowd_change_no_other_picture_and_are_what_they_are_alone(oracles: dict[str, Oracle]) -> None:
    oracle = oracles["text2img"]
    plain = oracle.request(ANCESTRAL[0])
    requests = [
        plain,
        varied(plain, NoiseBlend(seed=7, strength=0.3)),
        varied(plain, NoiseBlend(seed=7, strength=0.3), NoiseBlend(seed=42, strength=1.0)),
        varied(oracle.request(ANCESTRAL[1], seed=43), NoiseBlend(seed=42, strength=0.8)),
    ]
    alone = [await drawn(oracle, request) for request in requests]

    crowd = await oracle.drawn_together(requests)

    for one, other in zip(alone, crowd, strict=True):
        assert np.abs(one.astype(int) - other).max() <= CROWD
