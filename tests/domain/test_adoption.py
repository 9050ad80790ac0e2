"""Somebody else's settings, as near as this bot comes to them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.a1111 import LoraTag, PictureSettings
from bot.domain.adoption import adopt, nearest_size, numbers_line, with_numbers
from bot.domain.profile import ImageSize
from bot.domain.request import MAX_PROMPT_LENGTH, MAX_SEED, Draft
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


def test_everything_that_fits_is_kept():
    found = PictureSettings(prompt="1girl,\n hat", negative_prompt="a\nb", steps=28, guidance_scale=5.5, seed=7, size=(64, 96))

    assert adopt(found, PROFILE, ()).draft == Draft(
        prompt="1girl, hat",
        negative_prompt="a b",
        size="portrait",
        num_images=1,
        num_inference_steps=28,
        guidance_scale=5.5,
        seed=7,
    )


def test_what_the_picture_does_not_say_stays_open():
    assert adopt(PictureSettings(prompt="1girl"), PROFILE, ()).draft == Draft(prompt="1girl", num_images=1)


@pytest.mark.parametrize(
    ("steps", "guidance", "expected"), [(0, 0.0, (1, 1.0)), (150, 30.0, (60, 20.0)), (10**19, 1e19, (60, 20.0))]
)
def test_numbers_are_brought_into_our_ranges(steps: int, guidance: float, expected: tuple[int, float]):
    draft = adopt(PictureSettings(prompt="x", steps=steps, guidance_scale=guidance), PROFILE, ()).draft

    assert (draft.num_inference_steps, draft.guidance_scale) == expected


@pytest.mark.parametrize(("seed", "kept"), [(MAX_SEED, MAX_SEED), (MAX_SEED + 1, None)])
def test_a_seed_beyond_ours_is_left_open(seed: int, kept: int | None):
    assert adopt(PictureSettings(prompt="x", seed=seed), PROFILE, ()).draft.seed == kept


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


@pytest.mark.parametrize("name", ["lora", "LoRA", "pastel", "Pastel Anime"])
def test_a_lora_that_a_style_has_becomes_that_style_and_the_others_are_named(name: str):
    tags = (LoraTag(name="far away", weight=1.0), LoraTag(name=name, weight=0.6), LoraTag(name="far away", weight=0.1))

    adoption = adopt(PictureSettings(prompt="x", loras=tags), PROFILE, (PASTEL,))

    assert (adoption.draft.style, adoption.draft.adapter_weight) == ("pastel", 0.6)
    assert adoption.missing_loras == ("far away",)


@pytest.mark.parametrize(("weight", "kept"), [(9.0, 1.5), (-0.5, 0.0)])
def test_a_weight_is_brought_into_our_range(weight: float, kept: float):
    found = PictureSettings(prompt="x", loras=(LoraTag(name="pastel", weight=weight),))

    assert adopt(found, PROFILE, (PASTEL,)).draft.adapter_weight == kept


def test_a_lora_of_no_style_that_is_offered_gives_no_style():
    adoption = adopt(PictureSettings(prompt="x", loras=(LoraTag(name="pastel", weight=1.0),)), PROFILE, ())

    assert (adoption.draft.style, adoption.draft.adapter_weight, adoption.missing_loras) == (None, None, ("pastel",))


def test_words_beyond_our_length_are_cut_and_it_is_said():
    adoption = adopt(PictureSettings(prompt="x" * 3000, negative_prompt="y" * 3000), PROFILE, ())

    assert len(adoption.draft.prompt) == len(adoption.draft.negative_prompt) == MAX_PROMPT_LENGTH
    assert adoption.shortened
    assert not adopt(PictureSettings(prompt="x" * MAX_PROMPT_LENGTH), PROFILE, ()).shortened


@given(
    st.none() | st.integers(1, 60),
    st.none() | st.integers(10, 200).map(lambda value: value / 10),
    st.none() | st.integers(0, MAX_SEED),
    st.none() | st.integers(0, 150).map(lambda value: value / 100),
)
def test_the_line_of_numbers_is_read_as_it_was_written(
    steps: int | None, guidance: float | None, seed: int | None, weight: float | None
):
    draft = Draft(prompt="x", num_inference_steps=steps, guidance_scale=guidance, seed=seed, adapter_weight=weight)

    assert with_numbers(Draft(prompt="x", seed=99), numbers_line(draft)) == draft


def test_numbers_may_stand_among_others_and_be_spelt_as_one_likes():
    draft = with_numbers(Draft(prompt="x"), "seed: 5 , STEPS: 9, Sampler: Euler a")

    assert (draft.seed, draft.num_inference_steps) == (5, 9)


@pytest.mark.parametrize("line", ["twenty", "Steps: many", "Seed: -1, Steps: 4", "Sampler: Euler", "28, 7, 42"])
def test_a_line_of_no_numbers_is_refused_with_an_example(line: str):
    with pytest.raises(InvalidRequestError, match="Steps: 28"):
        with_numbers(Draft(prompt="x"), line)
