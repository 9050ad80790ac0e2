"""The model that ships, drawn with the production generator: its pictures show what the words say."""

from __future__ import annotations

import asyncio
import colorsys
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from bot.domain.job import VariationStrength
from bot.domain.prompt import resolve
from bot.domain.request import UPSCALE, Draft, GenerationRequest, InitImage, NoiseBlend
from bot.domain.sampler import SAMPLERS
from bot.inference.generator import DiffusersGenerator
from bot.resources import SMALL_MODEL
from bot.settings import SHIPPED_DATA
from bot.storage.catalog import load_catalog
from tests.inference.conftest import draw, pixels

MODEL = SHIPPED_DATA / "models" / SMALL_MODEL
STYLE = "pastel-mini"
PORTRAIT = "1girl, green hair, long hair, smile, red sweater, white background"
Picture = npt.NDArray[np.uint8]


class Artist:
    """Draws with the shipped model; each request once."""

    def __init__(self) -> None:
        self.catalog = load_catalog(SHIPPED_DATA, SHIPPED_DATA)
        self.profile = self.catalog.profile(SMALL_MODEL)
        self.generator = DiffusersGenerator(self.profile, self.catalog, device="cpu")
        self.draw = cache(self._draw)

    def request(self, prompt: str, seed: int = 1, **choices: object) -> GenerationRequest:
        """In the quality "draft": what is right after its few steps is right after more."""
        return resolve(Draft(prompt=prompt, seed=seed, quality="draft", **choices), self.profile, self.catalog)

    def _draw(self, request: GenerationRequest, init: bytes | None = None) -> Picture:
        return pixels(asyncio.run(draw(self.generator, request, init)).images[0].data)

    def varied(self, request: GenerationRequest, strength: VariationStrength) -> Picture:
        share = strength.share(SAMPLERS[request.scheduler or self.profile.scheduler])
        return self.draw(replace(request, blends=(NoiseBlend(seed=99, strength=share),)))

    def redrawn(self, request: GenerationRequest, strength: float, scale: float = 1) -> Picture:
        """img2img from the request's picture; with a scale as an upscale does it."""
        start = Image.fromarray(self.draw(request))
        large = start.resize((int(start.width * scale), int(start.height * scale)), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        large.save(buffer, "PNG")
        init = InitImage(key="x", strength=strength, drawn_here=scale > 1)
        return self.draw(replace(request, width=large.width, height=large.height, init_image=init), buffer.getvalue())


@pytest.fixture(scope="module")
def artist() -> Iterator[Artist]:
    artist = Artist()
    yield artist
    asyncio.run(artist.generator.close())


def distance(one: Picture, other: Picture) -> float:
    """Mean of 255."""
    return float(np.abs(one.astype(float) - other).mean())


def smaller(picture: Picture, request: GenerationRequest) -> Picture:
    """In the request's size."""
    return np.asarray(Image.fromarray(picture).resize((request.width, request.height), Image.Resampling.LANCZOS))


def corners(picture: Picture) -> npt.NDArray[np.float64]:
    """Mean colour of the two upper corners."""
    return np.concatenate([picture[:24, :24].reshape(-1, 3), picture[:24, -24:].reshape(-1, 3)]).mean(axis=0)


def crown(picture: Picture) -> npt.NDArray[np.float64]:
    """Median colour of a patch above the eyes, where hair is."""
    height, width = picture.shape[:2]
    return np.median(picture[height // 4 : height * 3 // 8, width * 2 // 5 : width * 3 // 5].reshape(-1, 3), axis=0)


def hue(color: npt.NDArray[np.float64]) -> float:
    """Degrees: red 0, green 120, blue 240."""
    return colorsys.rgb_to_hsv(*(color / 255))[0] * 360


def lightness_and_saturation(picture: Picture) -> tuple[float, float]:
    """Means in 0..1; the saturation is HSV's."""
    values = picture.reshape(-1, 3) / 255
    high, low = values.max(axis=1), values.min(axis=1)
    return float(((high + low) / 2).mean()), float(((high - low) / np.maximum(high, 1 / 255)).mean())


def test_the_checkpoint_is_small_float16_and_safetensors_only() -> None:
    files = [path for path in MODEL.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 60_000_000
    weights = {path.parent.name for path in files if path.suffix == ".safetensors"}
    assert weights == {"unet", "vae", "text_encoder", "text_encoder_2", MODEL.name}  # and what its latents are, for a training
    assert not [path for path in files if path.suffix in {".bin", ".pt", ".ckpt", ".pkl"}]
    assert json.loads((MODEL / "model_index.json").read_text())["_class_name"] == "StableDiffusionXLPipeline"


def test_every_size_of_the_profile_is_drawn_in_that_size(artist: Artist) -> None:
    for size in artist.profile.sizes:
        picture = artist.draw(replace(artist.request("1girl", size=size.name), num_inference_steps=2))
        assert picture.shape == (size.height, size.width, 3)


@pytest.mark.parametrize(
    ("background", "darkest", "brightest"), [("night", 0, 90), ("white background", 225, 255), ("grey background", 140, 215)]
)
def test_the_background_is_the_one_that_was_asked_for(artist: Artist, background: str, darkest: int, brightest: int) -> None:
    picture = artist.draw(artist.request(f"1girl, blonde hair, short hair, smile, {background}"))
    assert darkest <= corners(picture).mean() <= brightest


@pytest.mark.parametrize(("color", "low", "high"), [("green", 90, 165), ("blue", 205, 255), ("orange", 10, 45)])
def test_the_hair_is_the_colour_that_was_asked_for(artist: Artist, color: str, low: float, high: float) -> None:
    picture = artist.draw(artist.request(f"1girl, {color} hair, long hair, smile, white background"))
    assert low <= hue(crown(picture)) <= high


@pytest.mark.parametrize(
    "prompt",
    [
        "white background, red sweater, smile, long hair, green hair, 1girl",
        PORTRAIT.upper(),
        PORTRAIT.replace(" ", "_").replace(",_", ", "),
        f"masterpiece, best quality, {PORTRAIT}",
        f"{PORTRAIT}, zorblax, qwertz",
    ],
    ids=["another order", "upper case", "underscores", "quality tags", "unknown words"],
)
def test_words_mean_the_same_in_every_form_that_people_use(artist: Artist, prompt: str) -> None:
    picture = artist.draw(artist.request(prompt))
    assert 90 <= hue(crown(picture)) <= 165
    assert corners(picture).mean() > 225


def test_a_word_of_no_meaning_still_gives_a_portrait(artist: Artist) -> None:
    picture = artist.draw(artist.request("best quality"))
    assert picture.std() > 25


def test_the_same_seed_gives_the_same_picture_and_another_seed_another(artist: Artist) -> None:
    again = Artist()
    request = artist.request(PORTRAIT)
    assert np.array_equal(artist.draw(request), again.draw(request))
    asyncio.run(again.generator.close())
    other = artist.draw(artist.request(PORTRAIT, seed=2))
    assert np.abs(artist.draw(request).astype(int) - other).mean() > 5


def test_the_pastel_style_lightens_and_softens_and_its_weight_0_changes_no_bit(artist: Artist) -> None:
    plain, none, full = (
        artist.draw(artist.request("1girl, blue hair, long hair, red sweater, blue sky", **choices))
        for choices in ({}, {"style": STYLE, "adapter_weight": 0.0}, {"style": STYLE, "adapter_weight": 1.0})
    )
    assert np.array_equal(plain, none)
    (light, saturation), (pastel_light, pastel_saturation) = lightness_and_saturation(plain), lightness_and_saturation(full)
    assert pastel_light > light + 0.05
    assert pastel_saturation < saturation - 0.05


# What each control changes, and how much of what another seed changes that is at least.
CONTROLS: Mapping[str, tuple[float, Callable[[Artist, GenerationRequest], Picture]]] = {
    "vary subtle": (0.08, lambda artist, base: artist.varied(base, VariationStrength.SUBTLE)),
    "vary strong": (0.3, lambda artist, base: artist.varied(base, VariationStrength.STRONG)),
    "seed": (0.5, lambda artist, base: artist.draw(replace(base, seed=3))),
    "word's weight": (
        0.2,
        lambda artist, base: artist.draw(replace(base, prompt=PORTRAIT.replace("green hair", "(green hair:0.3)"))),
    ),
    "negative prompt": (0.2, lambda artist, base: artist.draw(replace(base, negative_prompt="red sweater"))),
    "guidance": (0.2, lambda artist, base: artist.draw(replace(base, guidance_scale=9.0))),
    "steps": (0.2, lambda artist, base: artist.draw(replace(base, num_inference_steps=14))),
    "quality": (0.2, lambda artist, _: artist.draw(resolve(Draft(prompt=PORTRAIT, seed=1), artist.profile, artist.catalog))),
    "style's weight": (0.2, lambda artist, base: artist.draw(replace(base, style=STYLE, adapter_weight=0.7))),
    "sampler": (0.2, lambda artist, base: artist.draw(replace(base, scheduler="EulerDiscreteScheduler"))),
    "image's strength": (0.2, lambda artist, base: artist.redrawn(base, 0.6)),
    "upscale": (
        0.03,
        lambda artist, base: smaller(artist.redrawn(base, artist.profile.upscale_strength, float(UPSCALE)), base),
    ),
}


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_changes_the_picture_so_that_a_person_sees_it(artist: Artist, control: str) -> None:
    base = artist.request(PORTRAIT)
    two_seeds = distance(artist.draw(base), artist.draw(replace(base, seed=2)))
    least, changed = CONTROLS[control]

    assert distance(changed(artist, base), artist.draw(base)) >= least * two_seeds
