"""Terms that are found however their letters are drawn out."""

from __future__ import annotations

import pytest

from bot.domain.prompt_rules.matcher import Hit, TermMatcher, unspaced_pattern
from bot.domain.prompt_rules.normalization import readings

ANIMALS = {"bird": ["owl", "barn owl", "robin"], "fish": ["eel", "flying fish"]}
STRICT = TermMatcher(ANIMALS)
FORGIVING = TermMatcher(ANIMALS, forgiving=True, companions=["girl"], unspaced={"bird": "鳥|(?<!魚)梟"})


def kinds(lexicon: TermMatcher, prompt: str) -> set[str]:
    return {hit.kind for reading in readings(prompt) for hit in lexicon.hits(reading)}


def test_a_hit_says_where_the_term_stands() -> None:
    (reading,) = readings("the flying fish swims")
    assert list(STRICT.hits(reading)) == [Hit(1, 3, "fish")]


@pytest.mark.parametrize("written", ["robin", "robins", "robinz", "flying fishes", "flyingfish", "barnowls"])
def test_plurals_and_joined_phrases_are_found(written: str) -> None:
    assert kinds(STRICT, written)


@pytest.mark.parametrize("written", ["robinson", "flying, a fish", "fish", "feels", "owlet", "flying"])
def test_parts_of_terms_and_longer_words_are_not(written: str) -> None:
    assert kinds(STRICT, written) == set()
    assert kinds(FORGIVING, written) == set()


@pytest.mark.parametrize(
    ("written", "strict", "forgiving"), [("robbin", False, True), ("robbbin", True, True), ("el", False, False)]
)
def test_a_doubled_letter_is_forgiven_and_a_tripled_one_always(written: str, strict: bool, forgiving: bool) -> None:
    assert bool(kinds(STRICT, written)) is strict
    assert bool(kinds(FORGIVING, written)) is forgiving


def test_an_i_is_read_as_an_l_only_if_that_is_forgiven() -> None:
    assert kinds(FORGIVING, "eei") == {"fish"}
    assert kinds(STRICT, "eei") == set()


def test_two_terms_or_a_term_and_a_companion_may_be_one_word() -> None:
    assert kinds(FORGIVING, "owleel") == {"bird", "fish"}
    assert kinds(FORGIVING, "owlgirl") == {"bird"}
    assert kinds(STRICT, "owleel") == kinds(STRICT, "owlgirl") == set()


@pytest.mark.parametrize(
    ("written", "is_found"), [("r*bin", True), ("r**in", True), ("r****", False), ("r*t", False), ("*obin", False)]
)
def test_asterisks_hide_letters(written: str, is_found: bool) -> None:
    assert bool(kinds(FORGIVING, written)) is is_found


def test_terms_are_found_among_letters_that_were_spelled_out() -> None:
    assert kinds(FORGIVING, "a r o b i n f l i e s") == {"bird"}
    assert kinds(FORGIVING, "e e l f i n s") == {"fish"}
    assert kinds(FORGIVING, "h e e l e d u p") == set()  # short terms only at the ends
    assert kinds(STRICT, "a r o b i n f l i e s") == set()


def test_writing_without_spaces_is_searched_inside_words() -> None:
    assert kinds(FORGIVING, "青い鳥の歌") == {"bird"}
    assert kinds(FORGIVING, "魚梟") == set()
    assert kinds(STRICT, "青い鳥の歌") == set()


def test_a_phrase_in_such_writing_has_a_pattern_of_its_own() -> None:
    assert unspaced_pattern("鳥") == "鳥"
    assert unspaced_pattern("owl.") is None


def test_a_term_without_letters_is_no_term() -> None:
    assert kinds(TermMatcher({"nothing": ["?!", ""]}), "?! anything") == set()
