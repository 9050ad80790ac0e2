"""Prompts that are refused, and prompts that are not: both kinds of error are counted."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.guild_settings.kinds import MAX_WORDS
from bot.domain.prompt_rules import Rule, broken_rule, check_words
from bot.domain.request import MAX_PROMPT_LENGTH
from bot.errors import NotAllowedError
from tests.domain.disguises import DISGUISES
from tests.domain.prompt_corpus import (
    ALLOWED,
    REFUSED_MINORS,
    REFUSED_MINORS_DISGUISED,
    REFUSED_SEXUAL,
    REFUSED_SEXUAL_DISGUISED,
    Case,
)

ENOUGH = 300  # prompts of a kind, so that a rate means something
TOLERATED = 0.01  # of errors, but for the rule about minors, which tolerates none
ABOUT_MINORS = (*REFUSED_MINORS, *REFUSED_MINORS_DISGUISED)
SEXUAL = (*REFUSED_SEXUAL, *REFUSED_SEXUAL_DISGUISED)
CASES = st.sampled_from((*ALLOWED, *ABOUT_MINORS, *SEXUAL))
BRACKETS = st.sampled_from([("(", ")"), ("((", "))"), ("[", "]"), ("{", "}"), ("", ""), ("(", ":1.2)"), (r"\(", r"\)")])
PIECES = st.sampled_from(
    ["{}", "{}", "{}", "({})", "[{}]", "({}:1.2)", "({}:7)", "({}: 12.5 )", "(({}:3):-4)", "{}(:99)", "{}[]"]
)
SPACES = st.sampled_from(["", " ", "   ", "\n", "\t"])
ANYTHING = st.text(st.characters(exclude_categories=()), max_size=60)  # lone surrogates too


def verdict(case: Case, *, adult: bool = False) -> Rule | None:
    return broken_rule(case.prompt, case.negative_prompt, adult=adult)


def rate(errors: Sequence[Case], cases: Sequence[Case], what: str) -> float:
    """The share of errors; both numbers are printed, for those who change the lists."""
    print(f"{what}: {len(errors)} of {len(cases)} wrong", *errors[:10], sep="\n  ")
    assert len(cases) >= ENOUGH
    return len(errors) / len(cases)


def test_harmless_prompts_pass() -> None:
    wrong = [case for case in ALLOWED if verdict(case) is not None]

    assert rate(wrong, ALLOWED, "allowed") <= TOLERATED


@pytest.mark.parametrize("adult", [False, True])
def test_no_prompt_about_minors_passes_whatever_a_server_allows(adult: bool) -> None:
    wrong = [case for case in ABOUT_MINORS if verdict(case, adult=adult) is not Rule.MINORS]

    assert rate(wrong, ABOUT_MINORS, f"minors, adult={adult}") == 0


def test_sexual_prompts_are_refused_where_adult_content_is_not_allowed() -> None:
    wrong = [case for case in SEXUAL if verdict(case) is not Rule.SEXUAL]

    assert rate(wrong, SEXUAL, "sexual") <= TOLERATED


def test_prompts_about_adults_pass_where_adult_content_is_allowed() -> None:
    cases = (*ALLOWED, *SEXUAL)
    wrong = [case for case in cases if verdict(case, adult=True) is not None]

    assert rate(wrong, cases, "adults") <= TOLERATED


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_disguise_lets_nothing_about_minors_through(disguise: str) -> None:
    cases = [Case(DISGUISES[disguise](case.prompt), case.negative_prompt) for case in REFUSED_MINORS if case.disguisable]
    wrong = [case for case in cases if verdict(case, adult=True) is not Rule.MINORS]

    assert len(cases) >= 250
    assert wrong == []


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_disguise_lets_nothing_sexual_through(disguise: str) -> None:
    cases = [Case(DISGUISES[disguise](case.prompt), case.negative_prompt) for case in REFUSED_SEXUAL if case.disguisable]
    wrong = [case for case in cases if verdict(case) is None]

    assert len(cases) >= 250
    assert wrong == []


@given(st.sampled_from(ABOUT_MINORS), st.sampled_from(ALLOWED))
@settings(deadline=None)
def test_harmless_words_around_do_not_help(refused: Case, harmless: Case) -> None:
    hidden = Case(f"{harmless.prompt}, {refused.prompt}, {harmless.prompt}", refused.negative_prompt)

    assert verdict(hidden, adult=True) is Rule.MINORS


@given(st.data(), CASES, st.booleans())
@settings(deadline=None)
def test_white_space_and_brackets_around_tags_change_no_verdict(data: st.DataObject, case: Case, adult: bool) -> None:
    tags: list[str] = []
    for tag in case.prompt.split(", "):
        before, after = data.draw(BRACKETS)
        tags.append(data.draw(SPACES) + before + tag + after + data.draw(SPACES))

    assert verdict(Case(", ".join(tags), case.negative_prompt), adult=adult) is verdict(case, adult=adult)


@pytest.mark.parametrize(
    "prompt", ["n(u:7)de", "(n:4)(u:5)(de:9)", "nu(:9)de", "nu(de:12.50)", "((n:2):9)u[d]e", r"n\\u(d:-4)e"]
)
def test_a_word_in_pieces_of_different_weights_is_read_as_the_word(prompt: str) -> None:
    assert broken_rule(f"1girl, {prompt}", adult=False) is Rule.SEXUAL


@pytest.mark.parametrize("prompt", ["nud e", "n ude", "na ked", "nak ed", "pus sy", "nakd", "pusy", "niple", "n<lora:x:1>ude"])
def test_a_word_that_is_parted_or_short_of_a_letter_is_read_as_the_word(prompt: str) -> None:
    assert broken_rule(f"1girl, {prompt}, garden", adult=False) is Rule.SEXUAL


@pytest.mark.parametrize(
    "prompt", ["the pen is red", "plan b, class x", "a rousing cheer", "put a hat on", "vitamin c, u turn"]
)
def test_letters_and_short_words_beside_others_say_nothing(prompt: str) -> None:
    assert broken_rule(prompt, adult=False) is None


@given(st.data(), st.sampled_from([case for case in REFUSED_SEXUAL if case.disguisable]))
@settings(deadline=None)
def test_no_weights_inside_of_words_let_anything_through(data: st.DataObject, case: Case) -> None:
    """Each piece of a word in brackets of its own, with any number that the model would take for a weight."""
    pieces = [data.draw(PIECES).format(letter) if letter.isalpha() else letter for letter in case.prompt]

    assert verdict(Case("".join(pieces), case.negative_prompt)) is not None


@given(ANYTHING, ANYTHING, st.booleans(), st.lists(ANYTHING, max_size=3))
@settings(deadline=None)
def test_no_text_makes_the_rules_stumble(prompt: str, negative_prompt: str, adult: bool, blocked: list[str]) -> None:
    found = broken_rule(prompt, negative_prompt, adult=adult, blocked_words=blocked)

    assert found is None or isinstance(found, Rule)


@pytest.mark.parametrize("prompt", ["loli", "child, swimsuit, beach", "16 years old, classroom", "young girl, flowers", "teen"])
def test_minors_alone_may_be_drawn(prompt: str) -> None:
    assert broken_rule(prompt, adult=True) is None


@pytest.mark.parametrize("suggestive", ["cleavage", "lingerie", "panties", "sexy pose", "large breasts", "underwear"])
def test_what_is_merely_suggestive_is_refused_beside_a_minor_only(suggestive: str) -> None:
    assert broken_rule(f"1girl, {suggestive}", adult=False) is None
    assert broken_rule(f"1girl, school uniform, {suggestive}", adult=False) is None
    assert broken_rule(f"child, {suggestive}", adult=True) is Rule.MINORS
    assert broken_rule(f"15 years old, {suggestive}", adult=True) is Rule.MINORS


def test_the_negative_prompt_may_name_what_to_leave_out() -> None:
    assert broken_rule("1girl, garden", "nude, nsfw, loli, child, teen", adult=False) is None
    assert broken_rule("1girl, nude", "loli, child, underage", adult=True) is None


@pytest.mark.parametrize("left_out", ["adult", "mature", "aged up", "25 years old", "a.d.u.l.t", "4dult"])
def test_leaving_out_grown_up_people_makes_a_sexual_prompt_one_about_minors(left_out: str) -> None:
    assert broken_rule("1girl, nude", left_out, adult=True) is Rule.MINORS
    assert broken_rule("1girl, dress", left_out, adult=True) is None


def test_leaving_out_minors_of_a_certain_age_is_no_offence() -> None:
    assert broken_rule("1girl, nude", "16 years old", adult=True) is None


@pytest.mark.parametrize("left_out", ["clothes", "clothing", "censored", "c l o t h e s", "clothe5"])
def test_leaving_out_clothes_makes_a_prompt_sexual(left_out: str) -> None:
    assert broken_rule("1girl", left_out, adult=False) is Rule.SEXUAL
    assert broken_rule("1girl", left_out, adult=True) is None
    assert broken_rule("child", left_out, adult=True) is Rule.MINORS
    assert broken_rule("1girl", f"adult, {left_out}", adult=True) is Rule.MINORS


@pytest.mark.parametrize(
    "prompt",
    [
        "Spider, web",
        "spiders",
        "SPIDER",
        "sp1der",
        "s p i d e r",
        "s.p.i.d.e.r",
        "spiiider",
        "ѕріdеr",
        "(spider:1.3)",
        "spi-der",
    ],
)
def test_a_blocked_word_is_found_however_it_is_written(prompt: str) -> None:
    assert broken_rule(prompt, adult=True, blocked_words=["spider"]) is Rule.BLOCKED_WORD


@pytest.mark.parametrize("prompt", ["spiderweb, attic", "good dog", "all, illness", "a spied rat"])
def test_a_blocked_word_is_found_as_a_whole_word_only(prompt: str) -> None:
    assert broken_rule(prompt, adult=True, blocked_words=["spider", "god", "Ali", "ill"]) is None


@pytest.mark.parametrize(
    "prompt", ["big foot", "big_foot in the wood", "Big Foot", "bigfoot", "big-foot", "big feet, big foots"]
)
def test_a_blocked_phrase_is_found_in_one_piece(prompt: str) -> None:
    assert broken_rule(prompt, adult=True, blocked_words=["Big Foot"]) is Rule.BLOCKED_WORD
    assert broken_rule("foot, big", adult=True, blocked_words=["big foot"]) is None


def test_a_blocked_word_in_writing_without_spaces_is_found_inside_a_sentence() -> None:
    assert broken_rule("可愛い猫の絵", adult=True, blocked_words=["dog", "猫"]) is Rule.BLOCKED_WORD
    assert broken_rule("可愛い犬の絵", adult=True, blocked_words=["dog", "猫"]) is None


def test_a_blocked_word_may_have_figures() -> None:
    assert broken_rule("1girl, hat", adult=True, blocked_words=["1girl"]) is Rule.BLOCKED_WORD
    assert broken_rule("2girls, hat", adult=True, blocked_words=["1girl"]) is None
    assert broken_rule("2girls, hat", adult=True, blocked_words=["girls"]) is Rule.BLOCKED_WORD


def test_a_blocked_word_may_be_left_out_by_the_negative_prompt() -> None:
    assert broken_rule("1girl", "spider", adult=True, blocked_words=["spider"]) is None


@pytest.mark.parametrize("empty", ["", " ", "\u3164", "?!"])
def test_a_blocked_word_without_letters_blocks_nothing(empty: str) -> None:
    assert broken_rule("1girl, hat", adult=True, blocked_words=[empty]) is None


def test_the_hardest_rule_comes_first() -> None:
    assert broken_rule("child, nude, spider", adult=False, blocked_words=["spider"]) is Rule.MINORS
    assert broken_rule("1girl, nude, spider", adult=False, blocked_words=["spider"]) is Rule.SEXUAL
    assert broken_rule("1girl, nude, spider", adult=True, blocked_words=["spider"]) is Rule.BLOCKED_WORD


@pytest.mark.parametrize("prompt", ["loll, nude", "l0ll, nude", "lol!, nude", "kiddd, nude", "b@by doll, topless"])
def test_a_disguised_word_is_never_taken_for_a_harmless_one(prompt: str) -> None:
    assert broken_rule(prompt, adult=True) is Rule.MINORS


def test_a_harmless_phrase_excuses_nothing_beside_it() -> None:
    assert broken_rule("moby dick, whale", adult=False) is None
    assert broken_rule("moby, dick", adult=False) is Rule.SEXUAL
    assert broken_rule("moby dick, dick", adult=False) is Rule.SEXUAL
    assert broken_rule("baby blue, baby, nude", adult=True) is Rule.MINORS


@pytest.mark.parametrize(
    ("prompt", "rule"), [("child, nude", Rule.MINORS), ("1girl, nude", Rule.SEXUAL), ("a zebra", Rule.BLOCKED_WORD)]
)
def test_a_refusal_names_the_rule_and_never_the_word(prompt: str, rule: Rule) -> None:
    with pytest.raises(NotAllowedError) as refusal:
        check_words(prompt, adult=False, blocked_words=["zebra"])

    said = str(refusal.value)
    assert said == str(rule.sentence)
    assert not [word for word in prompt.removeprefix("a ").split(", ") if word in said.casefold()]
    assert said.endswith(".")
    assert not {"child", "nude", "zebra"} & set(said.casefold().replace(".", "").split())


def test_an_allowed_prompt_is_let_through_in_silence() -> None:
    check_words("1girl, green hair, beanie, night", "lowres, bad anatomy", adult=False, blocked_words=["zebra"])


@pytest.mark.parametrize("words", ["1girl, long hair, (dress:1.2), school_uniform, sunset, ", "nude, 16:9, year 2024, 25yo, "])
def test_the_longest_prompt_is_checked_at_once(words: str) -> None:
    prompt = (words * MAX_PROMPT_LENGTH)[:MAX_PROMPT_LENGTH]
    blocked = [f"word{number}" for number in range(MAX_WORDS)]
    broken_rule(prompt, adult=True, blocked_words=blocked)  # the lists are read once

    def seconds() -> float:
        start = time.process_time()
        broken_rule(prompt, prompt, adult=True, blocked_words=blocked)
        return time.process_time() - start

    assert min(seconds() for _ in range(10)) < 0.05  # much more than it needs; a pattern that runs wild takes seconds
