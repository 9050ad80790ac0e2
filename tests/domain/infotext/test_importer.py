"""Somebody else's settings, as near as this bot comes to them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.chat.views.imported_settings import NUMBERS_LENGTH
from bot.domain.guild_settings.settings import UNCHANGED
from bot.domain.infotext.importer import ImportedSettings, import_settings, nearest_size, numbers_line, with_numbers
from bot.domain.infotext.lora_tags import LoraTag
from bot.domain.infotext.picture_settings import PictureSettings
from bot.domain.infotext.reader import parse
from bot.domain.infotext.writer import Recipe, parameters_text
from bot.domain.preferences import NO_PREFERENCES, NOTHING, filled
from bot.domain.profile import Catalog, ImageSize, Quality, QualityName, Style
from bot.domain.prompt import resolve, styles_of
from bot.domain.quality import ORDER
from bot.domain.request import MAX_BLENDS, MAX_PROMPT_LENGTH, MAX_SEED, Draft, NoiseBlend, NoiseDraws
from bot.errors import InvalidRequestError
from tests.examples import PASTEL, PROFILE

SIZES = replace(
    PROFILE,
    sizes=(
        ImageSize(name="square", width=1024, height=1024),
        ImageSize(name="small", width=512, height=512),
        ImageSize(name="portrait", width=832, height=1216),
        ImageSize(name="wide", width=1216, height=832),
    ),
)

LCM = replace(PASTEL, name="lcm", title="LCM", weight_name="weights.safetensors", is_distilled=True)
DISTILLED = Quality(num_inference_steps=8, guidance_scale=1.5, scheduler="LCMScheduler", style="lcm")
FINE = replace(PROFILE, num_inference_steps=28, quality={"draft": DISTILLED})
STYLES = Catalog(styles={"pastel": PASTEL, "lcm": LCM})
WITH_LCM = PictureSettings(
    prompt="x", steps=8, guidance_scale=1.5, seed=7, sampler="LCM", loras=(LoraTag(name="weights", weight=1.0),)
)


def here(found: PictureSettings, *styles: Style) -> ImportedSettings:
    return import_settings(found, PROFILE, Catalog(styles={style.name: style for style in styles}), UNCHANGED)


def test_everything_that_fits_is_kept():
    found = PictureSettings(prompt="1girl,\n hat", negative_prompt="a\nb", steps=28, guidance_scale=5.5, seed=7, size=(64, 96))

    assert here(found).draft == Draft(
        prompt="1girl, hat",
        negative_prompt="a b",
        size="portrait",
        num_images=1,
        num_inference_steps=28,
        guidance_scale=5.5,
        seed=7,
    )


def test_what_the_picture_does_not_say_stays_open():
    assert here(PictureSettings(prompt="1girl")).draft == Draft(prompt="1girl", num_images=1)


@pytest.mark.parametrize(
    ("steps", "guidance", "expected"), [(0, 0.0, (1, 1.0)), (150, 30.0, (60, 20.0)), (10**19, 1e19, (60, 20.0))]
)
def test_numbers_are_brought_into_our_ranges(steps: int, guidance: float, expected: tuple[int, float]):
    draft = here(PictureSettings(prompt="x", steps=steps, guidance_scale=guidance)).draft

    assert (draft.num_inference_steps, draft.guidance_scale) == expected


@pytest.mark.parametrize(("seed", "kept"), [(MAX_SEED, MAX_SEED), (MAX_SEED + 1, None)])
def test_a_seed_beyond_ours_is_left_open(seed: int, kept: int | None):
    assert here(PictureSettings(prompt="x", seed=seed)).draft.seed == kept


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ((1024, 1024), "square"),
        ((768, 768), "square"),
        ((600, 600), "small"),
        ((512, 768), "portrait"),
        ((3000, 4000), "portrait"),
        ((1920, 1080), "wide"),
        ((1, 99999), "portrait"),
    ],
)
def test_the_nearest_size_has_the_shape_before_the_area(wanted: tuple[int, int], name: str):
    assert nearest_size(wanted, SIZES).name == name


@pytest.mark.parametrize("name", ["lora", "LoRA", "pastel", "Pastel Anime", "styles/lora.safetensors", "a\\\\PASTEL"])
def test_a_lora_that_a_style_has_becomes_that_style_and_the_others_are_named(name: str):
    tags = (LoraTag(name="far away", weight=1.0), LoraTag(name=name, weight=0.6), LoraTag(name="far away", weight=0.1))

    imported = here(PictureSettings(prompt="x", loras=tags), PASTEL)

    assert (imported.draft.style, imported.draft.adapter_weight) == ("pastel", 0.6)
    assert imported.missing_loras == ("far away",)


@pytest.mark.parametrize(("weight", "kept"), [(9.0, 1.5), (-0.5, 0.0)])
def test_a_weight_is_brought_into_our_range(weight: float, kept: float):
    found = PictureSettings(prompt="x", loras=(LoraTag(name="pastel", weight=weight),))

    assert here(found, PASTEL).draft.adapter_weight == kept


def test_a_lora_whose_weight_is_not_said_has_its_styles_own():
    found = PictureSettings(prompt="x", loras=(LoraTag(name="pastel", weight=None),))

    assert here(found, replace(PASTEL, adapter_weight=0.6)).draft.adapter_weight == 0.6


def test_a_lora_of_no_style_that_is_offered_gives_no_style():
    imported = here(PictureSettings(prompt="x", loras=(LoraTag(name="pastel", weight=1.0),)))

    assert (imported.draft.style, imported.draft.adapter_weight, imported.missing_loras) == (None, None, ("pastel",))


@pytest.mark.parametrize("name", ["weights", "LCM", "lcm"])
def test_the_lora_and_sampler_of_a_quality_become_that_quality_and_its_figures_go_along(name: str):
    tags = (LoraTag(name=name, weight=1.0), LoraTag(name="pastel", weight=0.6), LoraTag(name="far away", weight=1.0))

    imported = import_settings(replace(WITH_LCM, loras=tags), FINE, STYLES, UNCHANGED)

    draft = imported.draft
    assert (draft.quality, draft.num_inference_steps, draft.guidance_scale) == ("draft", None, None)
    assert (draft.style, draft.adapter_weight, imported.missing_loras) == ("pastel", 0.6, ("far away",))
    assert (imported.drawn.num_inference_steps, imported.drawn.guidance_scale) == (8, 1.5)


def test_figures_that_are_not_the_qualitys_are_kept_beside_it():
    draft = import_settings(replace(WITH_LCM, steps=5, guidance_scale=1.0), FINE, STYLES, UNCHANGED).draft

    assert (draft.quality, draft.num_inference_steps, draft.guidance_scale) == ("draft", 5, 1.0)


@pytest.mark.parametrize("sampler", ["Euler a", None])
def test_another_sampler_is_no_such_quality(sampler: str | None):
    imported = import_settings(replace(WITH_LCM, sampler=sampler), FINE, STYLES, UNCHANGED)

    assert (imported.draft.quality, imported.draft.num_inference_steps) == (None, 8)
    assert imported.missing_loras == ("weights",)


@pytest.mark.parametrize("steps", [8, 5])
def test_where_the_server_does_not_offer_the_lora_the_figures_that_suit_it_go_with_it(steps: int):
    settings = replace(UNCHANGED, allowed_styles=frozenset({"pastel"}))

    imported = import_settings(replace(WITH_LCM, steps=steps), FINE, STYLES, settings)

    assert (imported.draft.quality, imported.missing_loras) == ("draft", ("LCM",))
    assert (imported.draft.num_inference_steps, imported.draft.guidance_scale) == (None, None)
    assert (imported.drawn.num_inference_steps, imported.drawn.guidance_scale) == (14, None)


def test_what_a_quality_drew_is_drawn_with_its_lora_again():
    drawn = resolve(Draft(prompt="x", quality="draft", seed=7), FINE, STYLES)
    recipe = Recipe(request=drawn, index=0, profile=FINE, styles=styles_of(drawn, FINE, STYLES))

    read = import_settings(parse(parameters_text(recipe)), FINE, STYLES, UNCHANGED).draft
    form = with_numbers(Draft(prompt="x", size=read.size, num_images=1, style=NOTHING), numbers_line(read))
    draft = filled(form, personal=NO_PREFERENCES, settings=UNCHANGED, profile=FINE, catalog=STYLES)

    assert resolve(draft, FINE, STYLES) == drawn


def test_words_beyond_our_length_are_cut_and_it_is_said():
    imported = here(PictureSettings(prompt="x" * 3000, negative_prompt="y" * 3000))

    assert len(imported.draft.prompt) == len(imported.draft.negative_prompt) == MAX_PROMPT_LENGTH
    assert imported.shortened
    assert not here(PictureSettings(prompt="x" * MAX_PROMPT_LENGTH)).shortened


VARIED = (NoiseBlend(seed=5, strength=0.5, draws=NoiseDraws.FIRST), NoiseBlend(seed=MAX_SEED, strength=0.1))


@pytest.mark.parametrize("blends", [VARIED, VARIED[:1], VARIED[1:], VARIED * (MAX_BLENDS // 2)])
def test_a_variation_is_drawn_again_from_its_own_text_through_the_form(blends: tuple[NoiseBlend, ...]):
    drawn = replace(resolve(Draft(prompt="x", seed=7), PROFILE, Catalog()), blends=blends)

    read = here(parse(parameters_text(Recipe(request=drawn, index=0, profile=PROFILE)))).draft
    line = numbers_line(read)
    form = with_numbers(Draft(prompt="x", size=read.size, num_images=1), line)

    assert len(line) <= NUMBERS_LENGTH
    assert resolve(form, PROFILE, Catalog()) == drawn


def test_variations_of_a_seed_that_is_not_ours_are_left_out():
    assert here(PictureSettings(prompt="x", seed=MAX_SEED + 1, variations=VARIED)).draft.blends == ()


def test_variations_without_their_seed_are_refused():
    with pytest.raises(InvalidRequestError, match="`Variations` only work with their seed"):
        with_numbers(Draft(prompt="x"), "Steps: 4, Variations: 7 0.5")


@given(
    st.none() | st.integers(1, 60),
    st.none() | st.integers(10, 200).map(lambda value: value / 10),
    st.none() | st.integers(0, MAX_SEED),
    st.none() | st.integers(0, 150).map(lambda value: value / 100),
    st.none() | st.sampled_from(ORDER),
)
def test_the_line_of_numbers_is_read_as_it_was_written(
    steps: int | None, guidance: float | None, seed: int | None, weight: float | None, quality: QualityName | None
):
    numbers = Draft(prompt="x", num_inference_steps=steps, guidance_scale=guidance, seed=seed, adapter_weight=weight)
    draft = replace(numbers, quality=quality)

    assert with_numbers(Draft(prompt="x", seed=99, quality="best"), numbers_line(draft)) == draft


def test_numbers_may_stand_among_others_and_be_spelt_as_one_likes():
    draft = with_numbers(Draft(prompt="x"), "seed: 5 , STEPS: 9, Sampler: Euler a")

    assert (draft.seed, draft.num_inference_steps) == (5, 9)


@pytest.mark.parametrize(
    "line",
    [
        "twenty",
        "Steps: many",
        "Seed: -1, Steps: 4",
        "Quality: great, Seed: 1",
        "Sampler: Euler",
        "28, 7, 42",
        "Seed: 1, Variations: 7",
    ],
)
def test_a_line_of_no_numbers_is_refused_with_an_example(line: str):
    with pytest.raises(InvalidRequestError, match="Steps: 28"):
        with_numbers(Draft(prompt="x"), line)
