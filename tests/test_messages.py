"""Templates with values: filled, counted, translated, stored and read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.messages import ENGLISH_NUMBERS, Message, NumberSigns, counted, english, from_json, message, render, to_json

GERMAN = NumberSigns(group=".", decimal=",")

texts = st.text(max_size=20)
scalars = st.one_of(texts, st.integers(-(10**9), 10**9), st.floats(-1e6, 1e6))
names = st.sampled_from(["count", "limit", "style", "reason"])
messages = st.recursive(
    st.builds(Message, texts, st.dictionaries(names, scalars, max_size=3)),
    lambda inner: st.builds(Message, texts, st.dictionaries(names, st.one_of(scalars, inner), max_size=3), st.none() | texts),
    max_leaves=4,
)


def test_a_template_is_filled_with_its_values() -> None:
    assert str(message("At most {limit:,} of {what}.", limit=1234, what="`a{b}`")) == "At most 1,234 of `a{b}`."


def test_a_template_without_values_is_taken_as_it_is() -> None:
    assert str(message("A brace { stays.")) == "A brace { stays."


@pytest.mark.parametrize(("count", "said"), [(0, "0 steps"), (1, "1 step"), (2, "2 steps")])
def test_a_number_chooses_between_singular_and_plural(count: int, said: str) -> None:
    assert str(counted("{count} step", "{count} steps", count)) == said


def test_a_message_inside_another_is_written_in_the_same_language() -> None:
    german = {"{count} credit": "{count} Credit", "This costs {price}.": "Das kostet {price}."}

    def lookup(template: str, plural: str | None, count: int) -> str:
        return german.get(template, english(template, plural, count))

    costs = message("This costs {price}.", price=counted("{count} credit", "{count} credits", 1))
    assert render(costs, lookup, GERMAN) == "Das kostet 1 Credit."
    assert str(costs) == "This costs 1 credit."


def test_numbers_are_written_as_the_language_does() -> None:
    assert render(message("{a:,} {b:.1f} {c}", a=12345, b=1.5, c=12345), english, GERMAN) == "12.345 1,5 12345"


def test_a_translation_that_names_another_value_falls_back_to_english() -> None:
    assert render(message("Use {limit}.", limit=3), lambda *_: "Nimm {wrong}.", GERMAN) == "Use 3."


@pytest.mark.parametrize("template", ["{secret.__class__}", "{0}", "{", "{limit!x}", "{limit:q}"])
def test_a_stored_template_that_fits_nothing_is_shown_as_it_stands(template: str) -> None:
    assert render(message(template, limit="x"), english, ENGLISH_NUMBERS) == template


@given(messages)
def test_what_was_stored_says_the_same(what: Message) -> None:
    assert from_json(what.template, to_json(what)) == what


@given(messages)
def test_writing_never_raises(what: Message) -> None:
    assert isinstance(str(what), str)


def test_a_reason_stored_before_values_were_kept_is_shown_as_it_stands() -> None:
    assert str(from_json("100 {of} what was", None)) == "100 {of} what was"
