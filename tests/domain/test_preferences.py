"""How a draft's gaps are filled: one's own defaults before the server's, and neither beyond the server's limits."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from bot.domain.guild_settings.settings import UNCHANGED
from bot.domain.preferences import NO_PREFERENCES, NONE_AT_ALL, Preferences, edit_of, filled
from bot.domain.profile import Catalog, ImageSize
from bot.domain.request import Draft, StyleChoice
from bot.errors import InvalidRequestError
from tests.examples import CATALOG, PASTEL, PROFILE

INK = replace(PASTEL, name="ink", title="Ink")
STYLES = Catalog(profiles=CATALOG.profiles, styles={**CATALOG.styles, "ink": INK})
SIZES = replace(
    PROFILE,
    sizes=(
        ImageSize(name="small", width=64, height=64),
        ImageSize(name="middle", width=128, height=128),
        ImageSize(name="large", width=256, height=256),
    ),
    default_size="middle",
)


def fill(draft: Draft | None = None, *, profile: Any = SIZES, **settings: Any) -> Draft:
    """With ann's defaults `personal`, where a server says `settings`."""
    personal = settings.pop("personal", NO_PREFERENCES)
    return filled(
        draft or Draft(prompt="1girl"),
        personal=personal,
        settings=replace(UNCHANGED, **settings),
        profile=profile,
        catalog=STYLES,
    )


def test_where_nobody_says_anything_the_model_decides():
    assert fill() == Draft(prompt="1girl", size="middle", num_images=1, num_inference_steps=4)


def test_ones_own_defaults_come_before_the_servers():
    draft = fill(
        personal=Preferences(style="ink", size="large", negative_prompt="mine", num_images=3),
        default_style="pastel",
        default_negative_prompt="the server's",
    )

    assert (draft.style, draft.size, draft.negative_prompt, draft.num_images) == ("ink", "large", "mine", 3)


def test_the_servers_defaults_fill_what_is_still_open():
    draft = fill(default_style="pastel", default_negative_prompt="the server's")

    assert (draft.style, draft.negative_prompt) == ("pastel", "the server's")


def test_what_is_given_is_left_alone_even_beyond_the_limits():
    given = Draft(
        prompt="1girl", style="ink", size="large", negative_prompt="given", num_images=4, num_inference_steps=50, seed=5,
        guidance_scale=3.0, adapter_weight=0.2,
    )  # fmt: skip

    assert fill(given, max_images=1, max_steps=1, max_pixels=64 * 64, allowed_styles=frozenset({"pastel"})) == given


def test_a_default_style_that_a_member_gave_as_the_second_one_is_not_taken_twice():
    given = Draft(prompt="1girl", more_styles=(StyleChoice(name="ink", weight=0.5),))

    assert fill(given, personal=Preferences(style="ink"), default_style="pastel").style is None
    assert fill(given, default_style="pastel").style == "pastel"


@pytest.mark.parametrize("nothing", ["-", " - "])
def test_a_dash_means_nothing_at_all(nothing: str):
    draft = fill(
        Draft(prompt="1girl", style=nothing, negative_prompt=nothing),
        personal=Preferences(style="ink", negative_prompt="mine"),
        default_style="pastel",
        default_negative_prompt="the server's",
    )

    assert (draft.style, draft.negative_prompt) == (None, "")


def test_blanks_are_a_gap():
    draft = fill(Draft(prompt="1girl", style="  ", negative_prompt=" "), personal=Preferences(style="ink", negative_prompt="x"))

    assert (draft.style, draft.negative_prompt) == ("ink", "x")


@pytest.mark.parametrize("own", ["gone", "pixel"])  # pixel fits another model
def test_an_own_style_that_the_model_has_not_gives_way_to_the_servers(own: str):
    assert fill(personal=Preferences(style=own), default_style="pastel").style == "pastel"


def test_no_style_at_all_can_be_ones_own_default_and_what_is_given_counts_before_it():
    own = Preferences(style=NONE_AT_ALL)

    assert fill(personal=own, default_style="pastel").style is None
    assert fill(Draft(prompt="1girl", style="ink"), personal=own, default_style="pastel").style == "ink"


def test_no_negative_prompt_at_all_can_be_ones_own_default_and_what_is_given_counts_before_it():
    own = Preferences(negative_prompt=NONE_AT_ALL)

    assert fill(personal=own, default_negative_prompt="the server's").negative_prompt == ""
    given = fill(Draft(prompt="1girl", negative_prompt="hat"), personal=own, default_negative_prompt="the server's")
    assert given.negative_prompt == "hat"


def test_a_style_that_the_server_does_not_offer_is_no_default():
    assert fill(personal=Preferences(style="ink"), allowed_styles=frozenset({"pastel"})).style is None


def test_a_servers_default_style_that_the_model_has_not_is_no_style():
    assert fill(default_style="gone").style is None


@pytest.mark.parametrize(
    ("own", "most", "expected"),
    [
        ("large", None, "large"),
        ("large", 128 * 128, "middle"),  # one's own is too large: the model's default
        ("small", 128 * 128, "small"),
        ("gone", None, "middle"),
        (None, 64 * 64, "small"),  # the default is too large: the largest that fits
        (None, 200 * 200, "middle"),
        ("large", 64 * 65, "small"),
        (None, 32 * 128, "small"),
    ],
)
def test_the_size_keeps_within_the_servers_limit(own: str | None, most: int | None, expected: str):
    assert fill(personal=Preferences(size=own), max_pixels=most).size == expected


def test_where_no_size_fits_the_models_default_stands_and_is_refused_later():
    tall = replace(SIZES, sizes=SIZES.sizes[1:])

    assert fill(profile=tall, max_pixels=64 * 64).size == "middle"


def test_the_largest_size_that_fits_is_taken_where_the_default_does_not():
    wide = replace(SIZES, default_size="large")

    assert fill(profile=wide, max_pixels=128 * 128).size == "middle"


@pytest.mark.parametrize(("own", "most", "expected"), [(None, None, 1), (3, None, 3), (4, 2, 2), (None, 1, 1)])
def test_the_number_of_pictures_keeps_within_the_servers_limit(own: int | None, most: int | None, expected: int):
    assert fill(personal=Preferences(num_images=own), max_images=most).num_images == expected


@pytest.mark.parametrize(("most", "expected"), [(None, 4), (3, 3), (60, 4)])
def test_the_models_steps_keep_within_the_servers_limit(most: int | None, expected: int):
    assert fill(max_steps=most).num_inference_steps == expected


def test_an_edit_changes_what_is_given_and_nothing_else():
    before = Preferences(style="ink", size="small", negative_prompt="hat", num_images=2, spoiler=True)

    assert edit_of()(before) == before
    assert edit_of(size="large")(before) == replace(before, size="large")
    assert edit_of(spoiler=False, num_images=4)(before) == replace(before, spoiler=False, num_images=4)


@pytest.mark.parametrize("word", ["none", " None "])
def test_none_as_a_style_is_no_style_at_all_and_a_dash_takes_that_back(word: str):
    styleless = edit_of(style=word)(Preferences(style="ink"))

    assert styleless == Preferences(style=NONE_AT_ALL)
    assert edit_of(style="-")(styleless) == NO_PREFERENCES


@pytest.mark.parametrize("word", ["none", " None "])
def test_none_as_a_negative_prompt_leaves_nothing_out_and_a_dash_takes_that_back(word: str):
    wordless = edit_of(negative_prompt=word)(Preferences(negative_prompt="hat"))

    assert wordless == Preferences(negative_prompt=NONE_AT_ALL)
    assert edit_of(negative_prompt="-")(wordless) == NO_PREFERENCES


@pytest.mark.parametrize("nothing", ["-", "", "  "])
def test_a_dash_or_blanks_clear_a_text_and_one_picture_is_no_default(nothing: str):
    before = Preferences(style="ink", size="small", negative_prompt="hat", num_images=2)

    assert edit_of(style=nothing, size=nothing, negative_prompt=nothing, num_images=1)(before) == NO_PREFERENCES


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"style": "x" * 101}, "don't know a style or size"),
        ({"style": "a\u202eb"}, "don't know a style or size"),
        ({"size": "  "}, "don't know a style or size"),
        ({"num_images": 0}, "`images` must be between 1 and 4"),
        ({"num_images": 5}, "`images` must be between 1 and 4"),
        ({"negative_prompt": "x" * 2001}, "What you leave out has 2,001 characters"),
    ],
)
def test_values_out_of_range_are_refused_with_a_sentence(values: dict[str, Any], words: str):
    with pytest.raises(InvalidRequestError, match=words):
        Preferences(**values)


def test_defaults_are_read_back_as_they_were_written():
    defaults = Preferences(style="ink", size="small", negative_prompt="hat,\nbeanie", num_images=2, spoiler=True)

    assert Preferences.from_dict(asdict(defaults)) == defaults
    assert defaults.negative_prompt == "hat, beanie"
