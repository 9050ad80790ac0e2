"""The ages that a prompt names, in figures or in words."""

from __future__ import annotations

import re
from functools import cache

from bot.domain.prompt_rules.matcher import TermMatcher
from bot.domain.prompt_rules.normalization import MASK, Gap, Reading, Word, folded, in_letters

MAJORITY = 18  # years

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SYNONYMS = {
    "years": "year, years, yr, yrs",
    "months": "month, months, week, weeks, day, days",
    "old": "old, olds",
    "age": "age, aged, ages",
    "under": "under, below, beneath",
    "100": "hundred",
    "1000": "thousand",
}
_AROUND = (  # read however they are disguised, so that the patterns below find them
    "about, almost, and, are, around, barely, before, birthday, boy, but, even, girl, grade, he, is, just, less, nearly, "
    "not, of, looks, look, looking, only, she, shes, hes, sub, than, the, they, turn, turned, turning, who, yet, yo, "
    "young, younger, anos, ans, anni, jahre, winters, summers, springs"
)
_TRIPLED = re.compile(r"([a-z])\1{2,}")

_JOINED = re.compile(r"([a-z]{2,9})(\d{1,5})|(\d{2,5})([a-z]+)|([a-z]{3,9}?)(yo|years?old)")  # age16, 16anos, sixteenyo
_IN_FIGURES = re.compile(r"(?=[lio]*\d)([\dlio]{1,3})(y|y[o0]+|yrs?|years?|(?:yr|year)s?old)?")  # l6, 1O: letters for figures
_YO = re.compile(r"y[o0]+")
_FIGURES = str.maketrans("lio", "110")
_WRITTEN_APART = re.compile(r"(\d)0- (\d)\b")  # twenty five

_END = r"(?= ,|$)"
_YEARS_OLD = r"(?:y ?[o0]s?(?![a-z0-9])|(?:y|yr|year)s? ?(?:old(?!er)|of ?age|young))"
_OTHER_YEARS = "ans|años|anni|anos|jahren?(?: ?alt)?|jaar|лет|года?|歳|才|岁|歲|살|세"
_HARDLY = "(?:(?:only|just|barely|about|around) ?)?"
_BELOW = "under|below|younger ?than|less ?than|not|not ?yet|not ?even|nearly|almost|before"


def ages(reading: Reading) -> frozenset[int]:
    """In whole years; "under 18" counts as 17."""
    text = _in_figures(reading)
    if not any(char.isdecimal() for char in text) and text.isascii():
        return frozenset()
    found = {int(age) for pattern in _patterns() for match in pattern.finditer(text) for age in match.groups() if age}
    return frozenset(found | ({MAJORITY - 1} if _below_majority().search(text) else set()))


def _in_figures(reading: Reading) -> str:
    """The reading as a line of plain words, with figures for numbers and a comma of its own between tags."""
    words: list[str] = []
    for word in reading:
        words += [","] if word.gap is Gap.TAG else []
        words += map(_plain, _words_in_letters().findall(word.text) if word.spelled else [word.text])
    return _WRITTEN_APART.sub(r"\1\2", " ".join(words).removeprefix(", ")).replace("0- ", "0 ").removesuffix("-")


def _plain(word: str) -> str:
    if MASK in word and len(word) <= len("six"):
        return word  # s*x is no age
    figures = _IN_FIGURES.fullmatch(word)
    if figures and word[0].isdigit():
        return _corrected(figures)
    for letters in in_letters(word):
        if meaning := _meaning(letters):
            return meaning
    joined = _JOINED.fullmatch(word)
    parts = [part for part in joined.groups() if part] if joined else []
    if any(map(_meaning, parts)):
        return " ".join(_meaning(part) or part for part in parts)
    return _corrected(figures) if figures else _TRIPLED.sub(r"\1", word)


def _meaning(word: str) -> str | None:
    meanings = {hit.kind for hit in _age_words().hits((Word(word, Gap.TAG),))}
    return max(meanings, key=lambda meaning: (len(meaning), meaning), default=None)


def _corrected(figures: re.Match[str]) -> str:
    return figures[1].translate(_FIGURES) + _YO.sub("yo", figures[2] or "")


@cache
def _words_in_letters() -> re.Pattern[str]:
    """Finds the words among letters that were spelled out without a space between words, and what stands between them."""
    words = sorted((word for group in _vocabulary().values() for word in group), key=len, reverse=True)
    parted = (word.replace("ty", "ty(?!ears|rs)") for word in words)  # eight years, not eighty ears
    return re.compile(rf"{'|'.join(parted)}|\d+|.")


@cache
def _age_words() -> TermMatcher:
    return TermMatcher(_vocabulary(), forgiving=True)


def _vocabulary() -> dict[str, list[str]]:
    """Words by what they mean for an age."""
    numbers = {str(value): [word] for value, word in enumerate(_ONES.split())}
    ordinals = {f"{value}th": [word] for value, word in enumerate(_ORDINALS.split(), start=1)}
    tens = {f"{value}0-": [word] for value, word in enumerate(_TENS.split(), start=2)}
    synonyms = {meaning: words.split(", ") for meaning, words in _SYNONYMS.items()}
    themselves = {word: [word] for word in _AROUND.split(", ")}
    return numbers | ordinals | tens | synonyms | themselves


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    """Each has an age, or two, as its groups; spaces may be missing where letters were written apart."""
    sources = (
        rf"(?:\b(1\d) (?:to |and |or )?(?=\d\d\b))?(?<!\d)(\d{{1,5}}) ?{_YEARS_OLD}",
        rf"(?<![a-z\d])(\d{{1,5}}) ?(?:y|yr|year)s?{_END}",
        rf"(?<!\d)(\d{{1,5}}) ?(?:{folded(_OTHER_YEARS)})(?![a-z])",
        rf"(?:\b|girl|boy)age[ds]? ?(?:of ?|is ?)?{_HARDLY}(\d{{1,5}})",
        rf"\b(?:she|he|they|who|i)s? ?(?:is|are|am|s|m|re)? ?{_HARDLY}(\d{{1,2}})(?= ,|$| and\b| but\b)",
        rf"(?:girl|boy)s? ?(?:is|are|of)? ?{_HARDLY}(1\d){_END}",
        rf"\b(?:only|just|barely|looks?|looking|turn|turns|turned|turning|sweet) ?(\d{{1,2}}){_END}",
        r"(?<!\d)(\d{1,2}) ?(?:s ?t|n ?d|r ?d|t ?h) ?birthday",
        rf"(?:^|, )([6-9]|1\d){_END}",  # a tag of its own; a smaller number is rather a count
    )
    return tuple(map(re.compile, sources))


@cache
def _below_majority() -> re.Pattern[str]:
    sources = (
        rf"\b(?:{_BELOW}) ?(?:the ?)?(?:age ?)?(?:of ?)?(?:{MAJORITY}(?!\d)|1?\d{_END})",
        rf"\b(?:u|sub) ?{MAJORITY}(?!\d)",
        r"\d ?(?:month|week|day)s? ?old",
        r"\b1?\d ?(?:winter|summer|spring)s ?old",
        r"\b1?\d ?(?:s ?t|n ?d|r ?d|t ?h) ?grade|\bgrade ?1?\d\b",
        r"(?<![十百千万二三四五六七八九])(?:十[一二三四五六七]?|[一二三四五六七八九])[歳才岁歲]",
    )
    return re.compile("|".join(sources))
