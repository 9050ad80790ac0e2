"""From a draft to a request, and from a request to what the model reads."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.profile import Steering
from bot.domain.prompt import compose, random_seed, reseeded, resolve, to_draft
from bot.domain.request import MAX_SEED, Draft, GenerationRequest, InitImage, NoiseBlend
from bot.domain.safety import Rating
from bot.errors import InvalidRequestError
from tests.examples import CATALOG, PASTEL, PROFILE, request

TAGS = st.lists(st.text("abc xyz", min_size=1, max_size=6).filter(str.strip), min_size=1, max_size=5)


def test_the_profiles_tags_and_the_trigger_words_come_before_the_members_words() -> None:
    composed = compose(request(prompt="a cat", negative_prompt="hat"), PROFILE, [PASTEL])

    assert composed.prompt == "masterpiece, best quality, pastel colors, a cat"
    assert composed.negative_prompt == "lowres, bad anatomy, hat"


def test_a_suffix_comes_after_the_members_words() -> None:
    profile = replace(PROFILE, prompt_prefix="", prompt_suffix="sharp focus")
    assert compose(request(prompt="a cat"), profile, ()).prompt == "a cat, sharp focus"


def test_a_tag_that_the_member_wrote_is_not_added_again() -> None:
    composed = compose(request(prompt="Masterpiece, a cat", negative_prompt="LOWRES"), PROFILE, ())

    assert composed.prompt == "best quality, Masterpiece, a cat"
    assert composed.negative_prompt == "bad anatomy, LOWRES"


def test_the_default_negative_prompt_stands_alone_when_the_member_gave_none() -> None:
    assert compose(request(), PROFILE, ()).negative_prompt == "lowres, bad anatomy"


@given(TAGS)
def test_the_members_words_are_always_kept_whole(tags: list[str]) -> None:
    asked = request(prompt=", ".join(tags))
    assert asked.prompt in compose(asked, PROFILE, [PASTEL]).prompt


def test_an_empty_draft_takes_everything_from_the_profile() -> None:
    resolved = resolve(Draft(prompt="a cat"), PROFILE, CATALOG)

    assert (resolved.width, resolved.height) == (64, 64)
    assert (resolved.num_images, resolved.num_inference_steps, resolved.guidance_scale) == (1, 4, 7.0)
    assert resolved.profile == PROFILE.name
    assert resolved.style is None


def test_a_given_value_wins_even_when_it_is_wrong() -> None:
    for draft in (
        Draft(prompt="a", num_images=0),
        Draft(prompt="a", num_inference_steps=0),
        Draft(prompt="a", guidance_scale=0),
    ):
        with pytest.raises(InvalidRequestError):
            resolve(draft, PROFILE, CATALOG)
    assert resolve(Draft(prompt="a", seed=0), PROFILE, CATALOG).seed == 0


def test_a_style_brings_its_own_weight_unless_one_is_given() -> None:
    assert resolve(Draft(prompt="a", style=" PASTEL anime "), PROFILE, CATALOG).adapter_weight == 0.8
    chosen = resolve(Draft(prompt="a", style="pastel", adapter_weight=0.0), PROFILE, CATALOG)
    assert (chosen.style, chosen.adapter_weight) == ("pastel", 0.0)
    assert resolve(Draft(prompt="a", style="  "), PROFILE, CATALOG).style is None


def test_seeds_are_drawn_from_the_whole_range() -> None:
    seeds = {random_seed() for _ in range(200)}
    assert len(seeds) > 190
    assert max(seeds) > MAX_SEED // 2
    assert min(seeds) < MAX_SEED // 2


def test_a_reroll_forgets_seed_and_variations_and_keeps_the_rest() -> None:
    before = request(blends=(NoiseBlend(seed=1, strength=0.5),), init_image=InitImage(key="k", strength=0.5))

    after = reseeded(before)

    assert after.seed != before.seed
    assert after.blends == ()
    assert replace(after, seed=before.seed, blends=before.blends) == before


@given(
    size=st.sampled_from(["square", "portrait"]),
    images=st.integers(1, 4),
    steps=st.integers(1, 60),
    guidance=st.floats(1, 20),
    style=st.sampled_from([None, "pastel"]),
    seed=st.integers(0, MAX_SEED),
)
def test_a_remix_form_that_nobody_changed_gives_the_same_request(
    size: str, images: int, steps: int, guidance: float, style: str | None, seed: int
) -> None:
    draft = Draft(
        prompt="a cat", size=size, num_images=images, num_inference_steps=steps, guidance_scale=guidance, style=style, seed=seed
    )
    before = resolve(draft, PROFILE, CATALOG)

    again = resolve(replace(to_draft(before, PROFILE), seed=seed), PROFILE, CATALOG)

    assert again == before


def test_a_remix_form_leaves_a_size_open_that_is_no_longer_offered() -> None:
    assert to_draft(request(width=128, height=128), PROFILE).size is None


def test_the_models_tags_for_a_rating_steer_what_may_go_no_further() -> None:
    steering = {
        Rating.GENERAL: Steering(prompt="safe", negative_prompt="nsfw, suggestive"),
        Rating.SENSITIVE: Steering(negative_prompt="nsfw"),
    }
    profile = replace(PROFILE, steering=steering)

    general = compose(request(rating=Rating.GENERAL), profile, ())
    sensitive = compose(request(rating=Rating.SENSITIVE, negative_prompt="hat, NSFW"), profile, ())

    assert general.prompt == "masterpiece, best quality, safe, green hair, beanie, night"
    assert general.negative_prompt == "nsfw, suggestive, lowres, bad anatomy"
    assert sensitive.prompt == "masterpiece, best quality, green hair, beanie, night"
    assert sensitive.negative_prompt == "lowres, bad anatomy, hat, NSFW"
    for free in (request(rating=Rating.EXPLICIT), request()):
        assert compose(free, profile, ()) == compose(free, PROFILE, ())


@pytest.mark.parametrize("words", ["a <lora:gone:0.8>, cat", "a cat <lyco:x:1> <hypernet:y>", "a c<lo<lora:x:1>ra:y:1>at"])
def test_a_lora_tag_of_an_older_request_reaches_no_model_and_stays_in_the_request(words: str) -> None:
    asked = request(prompt=words, negative_prompt=words)
    composed = compose(asked, PROFILE, [])

    assert composed.prompt.endswith("cat")
    assert composed.negative_prompt.endswith("cat")
    assert not set(composed.prompt + composed.negative_prompt) & set("<:>")
    assert asked.prompt == words
    assert GenerationRequest.from_dict(asked.to_dict()) == asked
