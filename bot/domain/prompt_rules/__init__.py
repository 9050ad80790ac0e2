"""What Pastel refuses to draw by the words of a prompt: a first layer, before the picture itself is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from typing import Self

from bot.domain.prompt_rules.ages import MAJORITY, ages
from bot.domain.prompt_rules.matcher import TermMatcher, unspaced_pattern
from bot.domain.prompt_rules.normalization import Reading, folded, is_one_tag, plain_words, readings
from bot.domain.prompt_rules.terms import COMPANIONS, INNOCENT, TERMS, UNSPACED, Kind
from bot.domain.prompt_rules.young_list import NOBODY, YoungList, shipped_young, terms_of
from bot.errors import NotAllowedError
from bot.messages import Message, message

_BLOCKED = "blocked"


class Rule(StrEnum):
    """Why a prompt is refused, hardest first."""

    MINORS = "minors"  # a minor in a sexual context; no setting lifts it
    SEXUAL = "sexual"
    BLOCKED_WORD = "blocked-word"  # by the server's moderators

    @property
    def sentence(self) -> Message:
        """What the member is told. It never names the word that was found."""
        return _SENTENCES[self]


_SENTENCES = {
    Rule.MINORS: message(
        "I never draw minors in a sexual context, in any server. Remove anything sexual, or anything that suggests someone "
        "underage, and try again."
    ),
    Rule.SEXUAL: message(
        "Nudity and sexual content aren't allowed here. Take them out of your prompt (and don't list clothes under *leave "
        "out*), then try again."
    ),
    Rule.BLOCKED_WORD: message("Your prompt contains a word this server has blocked. Try another subject, or ask a moderator."),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The hardest rule that a prompt breaks, and whether it shows somebody `young`: a child by word, age, body or name."""

    rule: Rule | None
    young: bool


def check_words(
    prompt: str, negative_prompt: str = "", *, adult: bool, blocked_words: Sequence[str] = (), young: YoungList | None = None
) -> bool:
    """Returns `Verdict.young`. Raises NotAllowedError, with a sentence for the member, if `judge` finds a broken rule."""
    verdict = judge(prompt, negative_prompt, adult=adult, blocked_words=blocked_words, young=young)
    if verdict.rule is not None:
        raise NotAllowedError(verdict.rule.sentence)
    return verdict.young


def broken_rule(
    prompt: str, negative_prompt: str = "", *, adult: bool, blocked_words: Sequence[str] = (), young: YoungList | None = None
) -> Rule | None:
    """Returns `Verdict.rule`."""
    return judge(prompt, negative_prompt, adult=adult, blocked_words=blocked_words, young=young).rule


def judge(
    prompt: str, negative_prompt: str = "", *, adult: bool, blocked_words: Sequence[str] = (), young: YoungList | None = None
) -> Verdict:
    """Returns what the rules say. `adult`: sexual content is allowed here, which lifts SEXUAL and nothing else. `young`: who is
    drawn as a child, by default the list that ships.

    The negative prompt may name anything, since it says what to leave out; but leaving out clothes makes a prompt sexual,
    and leaving out grown-up people makes a sexual prompt one about minors.
    """
    shown, left_out = _Words.of(prompt, shipped_young() if young is None else young), _Words.of(negative_prompt)
    return Verdict(_hardest_rule(shown, left_out, adult=adult, blocked_words=tuple(blocked_words)), shown.have_minors)


def _hardest_rule(shown: _Words, left_out: _Words, *, adult: bool, blocked_words: tuple[str, ...]) -> Rule | None:
    if _is_about_minors(shown, left_out):
        return Rule.MINORS
    if not adult and _is_sexual(shown, left_out):
        return Rule.SEXUAL
    if blocked_words and _has_blocked(shown.readings, blocked_words):
        return Rule.BLOCKED_WORD
    return None


@dataclass(frozen=True, slots=True)
class _Words:
    """A prompt as it may be read, the kinds of terms in any of the readings, and whether it has what a YoungList lists."""

    readings: tuple[Reading, ...]
    kinds: frozenset[str]
    listed: bool

    @classmethod
    def of(cls, prompt: str, young: YoungList = NOBODY) -> Self:
        read = readings(prompt)
        found = _found(read, terms_of(young)) if young.rows else frozenset[str]()
        return cls(read, _found(read, _terms()), young.is_met_by(found))

    @property
    def have_minors(self) -> bool:
        return self.listed or Kind.MINOR in self.kinds or any(age < MAJORITY for age in self._ages())

    @property
    def have_adults(self) -> bool:
        return Kind.ADULTHOOD in self.kinds or any(age >= MAJORITY for age in self._ages())

    def _ages(self) -> Iterator[int]:
        return (age for reading in self.readings for age in ages(reading))


def _is_sexual(shown: _Words, left_out: _Words) -> bool:
    return Kind.SEXUAL in shown.kinds or Kind.CLOTHING in left_out.kinds


def _is_about_minors(shown: _Words, left_out: _Words) -> bool:
    if Kind.ALWAYS in shown.kinds:
        return True
    if _is_sexual(shown, left_out):
        return Kind.YOUTH in shown.kinds or shown.have_minors or left_out.have_adults
    return Kind.SUGGESTIVE in shown.kinds and shown.have_minors


def _found(read: Sequence[Reading], lexicon: TermMatcher) -> frozenset[str]:
    """The kinds of the terms in any of the readings, those in harmless phrases apart."""
    return frozenset(kind for reading in read for kind in _kinds_in(reading, lexicon))


def _kinds_in(reading: Reading, lexicon: TermMatcher) -> Iterator[str]:
    hits = list(lexicon.hits(reading))
    harmless = _harmless_places(reading) if hits else frozenset[int]()
    return (hit.kind for hit in hits if not harmless.issuperset(range(hit.start, hit.end)))


def _harmless_places(reading: Reading) -> frozenset[int]:
    """Where harmless phrases stand, letter by letter: a disguised word is never taken for a harmless one."""
    texts = tuple(word.text for word in reading)
    places: set[int] = set()
    for start, text in enumerate(texts):
        for phrase in _innocent().get(text, ()):
            end = start + len(phrase)
            if texts[start:end] == phrase and is_one_tag(reading[start:end]):
                places.update(range(start, end))
    return frozenset(places)


def _has_blocked(read: Sequence[Reading], words: tuple[str, ...]) -> bool:
    lexicon = _blocked(words)
    return any(True for reading in read for _ in lexicon.hits(reading))


@cache
def _terms() -> TermMatcher:
    terms = {kind: _listed(phrases) for kind, phrases in TERMS.items()}
    patterns = {kind: folded(pattern) for kind, pattern in UNSPACED.items()}
    return TermMatcher(terms, unspaced=patterns, companions=tuple(_listed(COMPANIONS)), forgiving=True)


@cache
def _innocent() -> dict[str, list[tuple[str, ...]]]:
    """Harmless phrases by their first word: as they are listed, in the plural, and as one word."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for phrase in _listed(INNOCENT):
        for words in (plain_words(phrase), plain_words(f"{phrase}s")):
            for variant in (words, ("".join(words),)):
                found.setdefault(variant[0], []).append(variant)
    return found


@lru_cache(maxsize=32)  # lists of servers, which change seldom
def _blocked(words: tuple[str, ...]) -> TermMatcher:
    patterns = [pattern for pattern in map(unspaced_pattern, words) if pattern]
    return TermMatcher({_BLOCKED: words}, unspaced={_BLOCKED: "|".join(patterns)} if patterns else None)


def _listed(terms: str) -> Iterator[str]:
    return filter(None, (" ".join(term.split()) for term in terms.split(",")))
