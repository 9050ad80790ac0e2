"""A1111's syntax for weights, and that nothing else is taken for it."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.prompt_weights import MAX_WEIGHT, MIN_WEIGHT, Fragment, parse, plain_text, without_numbers

SIGNS = "()[]\\:.+-0123456789 ,"
SYNTAX = st.lists(
    st.sampled_from([*SIGNS, "BREAK", "tag", "\\(", "\\)", ":1.2)", "(hat:0.5)", "((", "))", "[[", "]]"]), max_size=40
).map("".join)
PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="()[]\\"), max_size=60).filter(lambda text: "BREAK" not in text)


def fragments(prompt: str) -> list[tuple[str, float]]:
    """Of a prompt without BREAK."""
    (part,) = parse(prompt)
    return [(fragment.text, fragment.weight) for fragment in part]


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        ("hat", [("hat", 1)]),
        ("(hat)", [("hat", 1.1)]),
        ("((hat))", [("hat", 1.21)]),
        ("[hat]", [("hat", 0.9091)]),
        ("(hat:1.3)", [("hat", 1.3)]),
        ("(hat:.5)", [("hat", 0.5)]),
        ("(hat : +1.25 )", [("hat ", 1.25)]),
        ("a (b (c:1.2) d:1.5) e", [("a ", 1), ("b ", 1.5), ("c", 1.8), (" d", 1.5), (" e", 1)]),
        ("[(hat)]", [("hat", 1)]),
        ("(long hair:1.2), hat", [("long hair", 1.2), (", hat", 1)]),
        ("(ratio 16:9)", [("ratio 16", 2)]),
    ],
)
def test_brackets_weigh_what_they_hold(prompt: str, read: list[tuple[str, float]]) -> None:
    assert fragments(prompt) == [(text, pytest.approx(weight)) for text, weight in read]


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        (r"suisei \(1st costume\)", "suisei (1st costume)"),
        (r"\[hat\]", "[hat]"),
        (r"\\", "\\"),
        (r"\m/ \o/", r"\m/ \o/"),
        (r"\(hat:1.2\)", "(hat:1.2)"),
    ],
)
def test_a_backslash_makes_a_bracket_a_plain_sign(prompt: str, text: str) -> None:
    assert fragments(prompt) == [(text, 1)]


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        (":) ;) :( (", [(":) ;) :( (", 1)]),
        ("((hat)", [("(", 1), ("hat", 1.1)]),
        ("hat:1.2)", [("hat:1.2)", 1)]),
        ("[hat", [("[hat", 1)]),
        ("hat] (cat", [("hat] (cat", 1)]),
        ("(hat:1.2", [("(hat:1.2", 1)]),
        ("(hat:1.2.3)", [("hat:1.2.3", 1.1)]),
        ("(hat:big)", [("hat:big", 1.1)]),
        ("[hat:2]", [("hat:2", 0.9091)]),
    ],
)
def test_what_is_not_whole_is_plain_text(prompt: str, read: list[tuple[str, float]]) -> None:
    assert fragments(prompt) == read


@pytest.mark.parametrize(
    ("number", "weight"), [("9", MAX_WEIGHT), ("-1", MIN_WEIGHT), ("0", MIN_WEIGHT), ("9" * 400, MAX_WEIGHT)]
)
def test_weights_are_held_to_a_sane_range(number: str, weight: float) -> None:
    assert fragments(f"(hat:{number})") == [("hat", weight)]


def test_even_what_a_thousand_brackets_raise_weighs_nothing_at_0() -> None:
    assert fragments("(" * 9_000 + "(hat:0)" + ")" * 9_000) == [("hat", 0)]


def test_break_parts_a_prompt_and_brackets_reach_across_it() -> None:
    assert parse("hat BREAK (cat, BREAK dog:1.5)") == (
        (Fragment("hat ", 1),),
        (Fragment(" ", 1), Fragment("cat, ", 1.5)),
        (Fragment(" dog", 1.5),),
    )


@pytest.mark.parametrize("prompt", ["BREAKFAST", "break", "DAYBREAK", "a_BREAK_b"])
def test_break_is_a_word_in_capitals(prompt: str) -> None:
    assert fragments(prompt) == [(prompt, 1)]


@pytest.mark.parametrize("prompt", ["", "  ", "BREAK", "() [ ] BREAK (:1.2)"])
def test_blank_parts_are_left_out(prompt: str) -> None:
    assert parse(prompt) == ()


@given(PLAIN)
def test_text_without_syntax_is_left_as_it_is(text: str) -> None:
    assert plain_text(parse(text)) == (text if text.strip() else "")


@given(SYNTAX | st.text())
def test_reading_never_fails_and_neighbours_differ_in_weight(prompt: str) -> None:
    for part in parse(prompt):
        assert all(MIN_WEIGHT <= fragment.weight <= MAX_WEIGHT and fragment.text for fragment in part)
        assert all(left.weight != right.weight for left, right in pairwise(part))


@given(SYNTAX | st.text())
def test_no_letter_is_lost_or_made_up(prompt: str) -> None:
    read = "".join(fragment.text for part in parse(prompt) for fragment in part)

    assert re.sub(r"[\W\d]", "", read) == re.sub(r"[\W\d]|\bBREAK\b", "", prompt)


@given(PLAIN.filter(str.strip), st.integers(0, 7), st.integers(0, 7), st.floats(0.5, 1.5).map(lambda number: round(number, 2)))
def test_nesting_multiplies(text: str, rounds: int, squares: int, number: float) -> None:
    prompt = "(" * rounds + "[" * squares + f"({text} :{number})" + "]" * squares + ")" * rounds
    expected = min(number * 1.1 ** (rounds - squares), MAX_WEIGHT)

    assert fragments(prompt) == [(f"{text} ", pytest.approx(expected, abs=1e-4))]


@given(SYNTAX)
def test_escaping_every_sign_gives_the_prompt_back(prompt: str) -> None:
    prompt = prompt.replace("BREAK", "")
    escaped = re.sub(r"([()\[\]\\])", r"\\\1", prompt)

    assert plain_text(parse(escaped)) == (prompt if prompt.strip() else "")


@pytest.mark.parametrize("prompt", ["(" * 20_000 + "x" + ")" * 20_000, "[" * 20_000 + "x" + "]" * 20_000, ":" + " " * 20_000])
def test_a_monstrous_prompt_is_read_at_once(prompt: str) -> None:
    assert len(parse(prompt)) == 1


@pytest.mark.parametrize(
    ("prompt", "bare"),
    [
        ("a (hat:4.25) b", "a (hat) b"),
        ("n(u:7)d(e:12)", "n(u)d(e)"),
        ("hat:4) (cat:5", "hat:4) (cat:5"),
        (r"\(hat:4\)", r"\(hat:4\)"),
        ("((a:2):3)", "((a))"),
    ],
)
def test_the_numbers_that_count_as_weights_can_be_taken_out(prompt: str, bare: str) -> None:
    assert without_numbers(prompt) == bare
