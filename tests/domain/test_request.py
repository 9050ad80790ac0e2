"""Limits and cleaning of requests."""

from __future__ import annotations

import json
import math
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.request import (
    MAX_ADAPTER_WEIGHT,
    MAX_BLENDS,
    MAX_PROMPT_LENGTH,
    MAX_SEED,
    GenerationRequest,
    InitImage,
    NoiseBlend,
    NoiseDraws,
    StyleChoice,
    clean_prompt,
    upscaled,
)
from bot.domain.sampler import SAMPLERS
from bot.errors import InvalidRequestError
from tests.examples import request

SEEDS = st.integers(0, MAX_SEED)
BLENDS = st.lists(
    st.builds(NoiseBlend, seed=SEEDS, strength=st.floats(0, 1), draws=st.sampled_from(NoiseDraws)), max_size=MAX_BLENDS
).map(tuple)


@pytest.mark.parametrize(
    ("field", "low", "high", "step"),
    [
        ("num_images", 1, 4, 1),
        ("num_inference_steps", 1, 60, 1),
        ("guidance_scale", 1.0, 20.0, 0.001),
        ("seed", 0, 2**32 - 1, 1),
        ("adapter_weight", 0.0, MAX_ADAPTER_WEIGHT, 0.001),
    ],
)
def test_both_ends_of_a_range_are_allowed_and_nothing_beyond(field: str, low: float, high: float, step: float) -> None:
    for value in (low, high):
        assert getattr(request(**{field: value}), field) == value
    for value in (low - step, high + step, math.nan):
        with pytest.raises(InvalidRequestError, match="must be between"):
            request(**{field: value})


@pytest.mark.parametrize("strength", [0.0, 0.049, 1.001, math.nan])
def test_a_strength_that_would_run_no_step_is_refused(strength: float) -> None:
    with pytest.raises(InvalidRequestError, match="strength"):
        request(init_image=InitImage(key="k", strength=strength))


@pytest.mark.parametrize(("width", "height"), [(63, 64), (64, 65), (0, 64), (64, -8), (4, 64)])
def test_sides_that_are_no_multiple_of_eight_are_refused(width: int, height: int) -> None:
    with pytest.raises(InvalidRequestError, match="multiples of 8"):
        request(width=width, height=height)


@pytest.mark.parametrize("prompt", ["", "   ", "\n\t", "\x00\x07", "\u2028", "\u200b\u200d"])
def test_a_prompt_without_words_is_refused_with_an_example(prompt: str) -> None:
    with pytest.raises(InvalidRequestError, match="Try something like"):
        request(prompt=prompt)


def test_a_prompt_may_have_2000_characters_and_not_one_more() -> None:
    assert len(request(prompt="x" * MAX_PROMPT_LENGTH).prompt) == 2000
    with pytest.raises(InvalidRequestError, match="2,001 characters"):
        request(prompt="x" * 2001)
    with pytest.raises(InvalidRequestError, match="leave out has 6,000"):
        request(negative_prompt="x" * 6000)


def test_mentions_and_markdown_stay_as_they_are() -> None:
    words = "@everyone <@1> **bold** `code` [link](https://example.org)"
    assert clean_prompt(words) == words


@given(st.text(max_size=MAX_PROMPT_LENGTH))
def test_a_cleaned_prompt_is_one_line_without_control_characters(text: str) -> None:
    cleaned = clean_prompt(text)

    assert not [char for char in cleaned if unicodedata.category(char) in {"Cc", "Zl", "Zp", "Cs"}]
    assert cleaned == " ".join(cleaned.split())
    assert clean_prompt(cleaned) == cleaned


@given(
    seed=SEEDS,
    blends=BLENDS,
    weight=st.floats(0, MAX_ADAPTER_WEIGHT),
    strength=st.floats(0.05, 1.0),
    drawn_here=st.booleans(),
    scheduler=st.sampled_from([None, *SAMPLERS]),
    interval=st.sampled_from([None, (0.0, 0.5), (0.25, 1.0)]),
)
def test_a_request_survives_json(
    seed: int,
    blends: tuple[NoiseBlend, ...],
    weight: float,
    strength: float,
    drawn_here: bool,
    scheduler: str | None,
    interval: tuple[float, float] | None,
) -> None:
    before = request(
        seed=seed,
        blends=blends,
        style="pastel",
        adapter_weight=weight,
        init_image=InitImage(key="k", strength=strength, drawn_here=drawn_here),
        scheduler=scheduler,
        guidance_interval=interval,
    )
    assert GenerationRequest.from_dict(json.loads(json.dumps(before.to_dict()))) == before


def test_a_request_that_was_stored_before_schedulers_were_kept_takes_the_profiles() -> None:
    stored = request().to_dict()
    del stored["scheduler"], stored["guidance_interval"]

    read = GenerationRequest.from_dict(stored)

    assert (read.scheduler, read.guidance_interval) == (None, None)


def test_a_picture_to_start_from_that_was_stored_before_there_were_upscales_is_a_members() -> None:
    stored = request(init_image=InitImage(key="k", strength=0.5)).to_dict()
    del stored["init_image"]["drawn_here"]

    read = GenerationRequest.from_dict(stored)

    assert read.init_image == InitImage(key="k", strength=0.5, drawn_here=False)
    assert not read.is_upscale


@pytest.mark.parametrize(("side", "larger"), [(256, 384), (224, 336), (1024, 1536), (832, 1248), (1000, 1488), (64, 96)])
def test_an_upscaled_side_is_half_as_long_again_in_whole_latents(side: int, larger: int) -> None:
    assert upscaled(side) == larger


@pytest.mark.parametrize("interval", [(0.5, 0.5), (0.6, 0.5), (-0.1, 0.5), (0.5, 1.1), (math.nan, 1.0)])
def test_an_interval_without_guidance_or_outside_of_the_steps_is_refused(interval: tuple[float, float]) -> None:
    with pytest.raises(InvalidRequestError, match="guidance_interval"):
        request(guidance_interval=interval)


def test_guidance_acts_between_the_ends_of_its_interval() -> None:
    asked = request(num_inference_steps=10, guidance_interval=(0.2, 0.8))

    assert [step for step in range(10) if asked.is_guided(step, 10)] == [2, 3, 4, 5, 6, 7]
    assert [step for step in range(5) if asked.is_guided(step, 5)] == [1, 2, 3]  # img2img runs fewer
    assert all(request().is_guided(step, 10) for step in range(10))
    assert not any(request(guidance_scale=1.0).is_guided(step, 10) for step in range(10))


def test_several_styles_are_kept_in_their_order_each_once_and_not_too_many() -> None:
    ink, line = StyleChoice(name="ink", weight=0.4), StyleChoice(name="line", weight=1.5)
    asked = request(style="pastel", adapter_weight=0.7, more_styles=(ink, line))

    assert asked.styles == (StyleChoice(name="pastel", weight=0.7), ink, line)
    assert GenerationRequest.from_dict(json.loads(json.dumps(asked.to_dict()))) == asked
    assert request(more_styles=(ink,)).styles == (ink,)
    for refused, words in (
        ((ink, ink), "the same style twice"),
        ((StyleChoice(name="pastel", weight=1.0),), "the same style twice"),
        ((ink, line, StyleChoice(name="wash", weight=1.0)), "up to 3 styles"),
        ((StyleChoice(name="ink", weight=1.6),), "must be between 0 and 1.5"),
    ):
        with pytest.raises(InvalidRequestError, match=words):
            request(style="pastel", more_styles=refused)


def test_a_request_that_was_stored_before_several_styles_were_kept_has_one() -> None:
    old = request(style="pastel").to_dict()
    del old["more_styles"]

    assert GenerationRequest.from_dict(old) == request(style="pastel")


def test_a_variation_that_was_stored_without_its_draws_moves_the_first_noise_alone_as_it_did() -> None:
    stored = json.loads(json.dumps(request(blends=(NoiseBlend(seed=7, strength=0.15),)).to_dict()))
    del stored["blends"][0]["draws"]

    (blend,) = GenerationRequest.from_dict(stored).blends

    assert blend == NoiseBlend(seed=7, strength=0.15, draws=NoiseDraws.FIRST)


@pytest.mark.parametrize(("seed", "strength"), [(-1, 0.5), (MAX_SEED + 1, 0.5), (1, -0.1), (1, 1.1), (1, float("nan"))])
def test_a_variation_out_of_range_is_refused(seed: int, strength: float) -> None:
    with pytest.raises(InvalidRequestError, match="variation"):
        request(blends=(NoiseBlend(seed=seed, strength=strength),))


def test_variations_of_variations_end_at_a_limit() -> None:
    with pytest.raises(InvalidRequestError, match=r"Use \*\*Remix\*\*"):
        request(blends=tuple(NoiseBlend(seed=seed, strength=0.5) for seed in range(MAX_BLENDS + 1)))


def test_each_picture_of_a_plain_request_can_be_made_again_alone() -> None:
    four = request(seed=MAX_SEED - 1, num_images=4)
    assert [four.image_seeds(index).seed for index in range(4)] == [MAX_SEED - 1, MAX_SEED, 0, 1]


@given(seed=SEEDS, blends=BLENDS.filter(bool), index=st.integers(0, 3))
def test_the_pictures_of_a_variation_differ_in_their_last_blend_only(
    seed: int, blends: tuple[NoiseBlend, ...], index: int
) -> None:
    seeds = request(seed=seed, blends=blends, num_images=4).image_seeds(index)

    assert seeds.seed == seed
    assert seeds.blends[:-1] == blends[:-1]
    assert seeds.blends[-1].seed == (blends[-1].seed + index) % (MAX_SEED + 1)
    assert (seeds.blends[-1].strength, seeds.blends[-1].draws) == (blends[-1].strength, blends[-1].draws)


def test_work_counts_pictures_steps_and_pixels() -> None:
    assert request(num_images=4, num_inference_steps=10, width=1000, height=1000).work == pytest.approx(40)


@pytest.mark.parametrize(("steps", "strength", "run"), [(28, 0.5, 14), (28, 0.35, 9), (30, 0.1, 3), (8, 1.0, 8), (5, 0.1, 1)])
def test_of_a_picture_drawn_over_another_only_the_steps_that_run_are_work(steps: int, strength: float, run: int) -> None:
    over = request(num_inference_steps=steps, init_image=InitImage(key="x", strength=strength), width=1000, height=1000)

    assert over.steps_run == run
    assert over.work == pytest.approx(run)
    assert request(num_inference_steps=steps).steps_run == steps


def test_an_unknown_field_of_a_stored_request_is_an_error() -> None:
    stored: dict[str, Any] = request().to_dict() | {"surprise": 1}
    with pytest.raises(TypeError):
        GenerationRequest.from_dict(stored)
