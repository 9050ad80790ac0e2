"""LoRA tags that members type: styles that are offered, and no way around anything."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.guild_settings.settings import UNCHANGED, GuildSettings
from bot.domain.infotext.lora_tags import tags_in
from bot.domain.preferences import NO_PREFERENCES, NOTHING, filled
from bot.domain.profile import Catalog
from bot.domain.prompt import resolve
from bot.domain.request import MAX_PROMPT_LENGTH, Draft, StyleChoice
from bot.domain.style_tags import with_tagged_styles
from bot.errors import InvalidRequestError
from tests.examples import PASTEL, PROFILE

INK = replace(PASTEL, name="ink", title="Ink Wash", weight_name="ink-v2.safetensors", adapter_weight=0.7)
LCM = replace(PASTEL, name="lcm", title="LCM", weight_name="weights.safetensors", is_distilled=True)
CATALOG = Catalog(styles={"pastel": PASTEL, "ink": INK, "lcm": LCM})


def typed(prompt: str, settings: GuildSettings = UNCHANGED, **more: object) -> Draft:
    return with_tagged_styles(replace(Draft(prompt=prompt), **more), PROFILE, CATALOG, settings)  # pyright: ignore[reportArgumentType] # by name


@pytest.mark.parametrize(
    ("tag", "style", "weight"),
    [
        ("<lora:pastel:0.8>", "pastel", 0.8),
        ("<LORA:Pastel Anime:.8>", "pastel", 0.8),
        ("<lora:ink-v2:te=0.1:unet=0.8>", "ink", 0.8),
        ("<lyco:styles/INK-v2.safetensors:0.8:0.3>", "ink", 0.8),
        ("<lora:ink>", "ink", 0.7),
        ("< lora : ink : 0.8 >", "ink", 0.8),
        ("<LyCORIS:ink:0.8>", "ink", 0.8),
    ],
)
def test_a_tag_is_the_style_of_that_name_and_leaves_the_prompt(tag: str, style: str, weight: float):
    for prompt in (f"1girl {tag}", f"{tag}, 1girl", f"1girl, {tag}"):
        assert typed(prompt) == Draft(prompt="1girl", style=style, adapter_weight=weight)


def test_an_option_wins_over_a_tag_of_the_same_style():
    draft = typed("1girl <lora:lora:0.8>, <lora:ink:0.2>", style="Pastel Anime", adapter_weight=0.3)

    assert (draft.style, draft.adapter_weight) == ("Pastel Anime", 0.3)
    assert draft.more_styles == (StyleChoice(name="ink", weight=0.2),)
    second = typed("1girl <lora:ink:0.8>", style="pastel", more_styles=(StyleChoice(name="ink", weight=0.1),))
    assert second.more_styles == (StyleChoice(name="ink", weight=0.1),)


def test_of_several_tags_of_a_style_the_first_counts():
    assert typed("1girl <lora:ink:0.2> <lora:ink-v2:0.9>") == Draft(prompt="1girl", style="ink", adapter_weight=0.2)


@pytest.mark.parametrize("none", [None, "", " ", NOTHING])
def test_a_tag_takes_the_place_of_no_style_and_of_a_default_one(none: str | None):
    settings = replace(UNCHANGED, default_style="pastel")
    draft = typed("1girl <lora:ink:0.8>", settings, style=none)
    whole = filled(draft, personal=NO_PREFERENCES, settings=settings, profile=PROFILE, catalog=CATALOG)

    assert [(one.name, one.weight) for one in resolve(whole, PROFILE, CATALOG).styles] == [("ink", 0.8)]


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("1girl <lora:far away:1>", "draw with `far away`"),
        ("1girl <lora:a:1><lora:b:1><lora:c:1><lora:d:1>", "`a`, `b`, `c` and 1 more"),
        ("1girl <lora:lcm:1>", "draw with `lcm`"),
        ("1girl <lora::1>", "draw with `<lora::1>`"),
        (f"1girl <lora:{'x' * 900}:1>", f"draw with `{'x' * 40}`"),
        ("1girl <hypernet:ink:1>", "draw with `ink`"),
        ("1girl <lora:`@here` x:1>", "draw with `@here x`"),
        ("1girl <lora:ink:much>", "tag for `ink`"),
        ("1girl <lora:ink:nan>", "tag for `ink`"),
        ("1girl <lora:ink:0.5:secret words>", "tag for `ink`"),
        ("1girl <lora:ink:0.5:lbw=secret>", "tag for `ink`"),
    ],
)
def test_what_cannot_be_drawn_with_is_refused_by_name(prompt: str, words: str):
    with pytest.raises(InvalidRequestError) as caught:
        typed(prompt)

    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_what_the_server_does_not_offer_is_no_style_here_and_is_not_named_among_those_that_are():
    with pytest.raises(InvalidRequestError, match="draw with `ink`") as caught:
        typed("1girl <lora:ink:1>", replace(UNCHANGED, allowed_styles=frozenset({"pastel"})))

    assert str(caught.value).endswith("one of my styles: **Pastel Anime**.")


def test_a_tag_among_what_is_left_out_is_refused_and_leaves_a_default():
    with pytest.raises(InvalidRequestError, match="Move `ink` to your prompt"):
        typed("1girl", negative_prompt="hat <lora:ink:1>")
    for tag in ("<lora:ink:1>", "<lo<lora:ink:1>ra:ink:1>"):  # a default of before such tags were refused
        settings = replace(UNCHANGED, default_negative_prompt=f"hat, {tag}")
        draft = filled(Draft(prompt="x"), personal=NO_PREFERENCES, settings=settings, profile=PROFILE, catalog=CATALOG)
        assert draft.negative_prompt == "hat"


def test_a_weight_beyond_what_is_possible_is_refused_as_the_options_is():
    with pytest.raises(InvalidRequestError, match=r"`style_weight` must be between 0 and 1\.5; you gave 9"):
        resolve(typed("1girl <lora:ink:9>"), PROFILE, CATALOG)


def test_the_length_of_a_prompt_counts_its_tags():
    with pytest.raises(InvalidRequestError, match="up to 2,000"):
        typed("x" * (MAX_PROMPT_LENGTH - 10) + " <lora:ink:1>")


@pytest.mark.parametrize(
    "prompt", ["for<lora:ink:1>bidden", "for<lora:ink:1><lora:pastel:1>bidden", "for<lo<lora:ink:1>ra:ink:1>bidden"]
)
def test_what_a_tag_took_apart_is_one_word_again(prompt: str):
    assert typed(prompt).prompt == "forbidden"


def test_a_draft_from_anywhere_else_is_read_where_it_becomes_a_request():
    request = resolve(Draft(prompt="1girl <lora:ink:0.8>"), PROFILE, CATALOG)

    assert (request.prompt, request.style, request.adapter_weight) == ("1girl", "ink", 0.8)


PIECES = st.sampled_from(["<lora:", "< lyco :", "ink", ":", "0.5", ">", "<", " ", ",", "1girl", "\n", "<lora:ink:1>", "="])


@given(st.lists(PIECES, max_size=30).map("".join))
def test_no_tag_reaches_the_model(prompt: str):
    try:
        request = resolve(Draft(prompt=prompt), PROFILE, CATALOG)
    except InvalidRequestError:
        return
    assert tags_in(request.prompt) == ()
    assert {style.name for style in request.styles} <= {"ink"}
