"""What the rules read where somebody wrote something else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.prompt_rules.normalization import Gap, folded, readings, spellings, without_syntax


def texts(prompt: str) -> list[list[str]]:
    return [[word.text for word in reading] for reading in readings(prompt)]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Straße", "strasse"),
        ("ＨＡＴ", "hat"),
        ("ⓗⓐⓣ", "hat"),
        ("𝓱𝓪𝓽", "hat"),
        ("🅷🅰🆃", "hat"),
        ("🇭🇦🇹", "hat"),
        ("һат", "hat"),
        ("ΗΑΤ", "hat"),
        ("hát̶", "hat"),
        ("h\u200ba\u00adt\u3164", "hat"),
        ("ʜᴀᴛ", "hat"),
        ("١٦", "16"),
        ("ﾊﾟﾊﾟ", "パパ"),
        ("각", "각"),
    ],
)
def test_look_alikes_become_latin_letters(written: str, read: str) -> None:
    assert folded(written) == read


@given(st.text())
def test_folding_twice_is_folding_once_for_latin_text(text: str) -> None:
    once = folded(text)
    if once.isascii():
        assert folded(once) == once


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("(hat:1.3)", "(hat))"),
        ("hat:1.2, cat", "hat), cat"),
        ("(hat)0.8", "(hat)"),
        ("[hat:2]", "[hat)]"),
        ("<lora:hat:0.8>", " hat)>"),
        ("hat BREAK cat AND dog", "hat  ,  cat  ,  dog"),
        ("BREAKFAST, BRAND", "breakfast, brand"),
        ("18+", " r18 "),
        ("118+", "118+"),
        ("<18", " under 18"),
        ("10,000 years", "10000 years"),
        ("16.5 years, f1.8", "16 years, f1.8"),
    ],
)
def test_the_syntax_of_prompts_is_dropped(written: str, read: str) -> None:
    assert without_syntax(written) == read


@pytest.mark.parametrize("age", ["(age:3)", "age:15)", "(she is:15)", "(15:15)", ":16.5 years"])
def test_an_age_is_not_taken_for_a_weight(age: str) -> None:
    assert any(char.isdigit() for char in without_syntax(age))


@pytest.mark.parametrize(
    ("word", "meant"),
    [("h4t", "hat"), ("1girl", "girl"), ("l0l1", "loll"), ("l0l1", "loli"), ("!hat!", "hat"), ("$a1l", "sail")],
)
def test_digits_and_symbols_may_be_letters(word: str, meant: str) -> None:
    assert meant in spellings(word)


def test_a_number_is_no_word() -> None:
    assert set(spellings("455")) == {"455"}


def test_a_plain_prompt_has_one_reading() -> None:
    assert texts("a red hat, on a cat") == [["a", "red", "hat", "on", "a", "cat"]]


def test_pieces_with_signs_between_them_are_read_as_one_word_too() -> None:
    assert ["panther", "cat"] in texts("pan-th/er, cat")


def test_letters_apart_are_one_word_in_a_tag_and_across_tags() -> None:
    found = texts("h a t, c a t")
    assert ["hat", "cat"] in found
    assert ["hatcat"] in found


def test_pairs_of_letters_are_joined_unless_they_are_words_or_numbers() -> None:
    assert ["panther"] not in texts("pan ther")
    assert ["zebu", "is", "an", "us", "10"] in texts("ze bu is an us 10")


def test_symbols_are_read_both_as_letters_and_as_signs() -> None:
    found = texts("h@t|cat!")
    assert ["h", "t", "cat"] in found
    assert ["h@t|cat!"] in found


def test_gaps_tell_tags_words_and_pieces_apart() -> None:
    (reading, *_) = readings("a cat, hat-box;dog、bird (sea)")
    assert [word.gap for word in reading] == [Gap.TAG, Gap.SPACE, Gap.TAG, Gap.SIGN, Gap.TAG, Gap.TAG, Gap.SPACE]
