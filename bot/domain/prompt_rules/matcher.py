"""A set of terms that is found in a reading of a prompt, however their letters are drawn out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from operator import contains
from typing import NamedTuple

from bot.domain.prompt_rules.normalization import MASK, Reading, folded, plain_words, spellings

_REPEATED = re.compile(r"(.)\1+")
_I_FOR_L = str.maketrans("l", "i")  # a capital i and a small l look the same
_MIN_SPELLED, _MAX_SPELLED = 4, 24  # letters of a term that is found among letters that were spelled out
_MIN_SHORTENED = 5  # letters of a term that is found with one letter where it has two; shorter, it is another word
_MIN_HALF = 3  # letters of each half of a compound
_MIN_SHOWN = 2  # letters of a word that asterisks leave
_REMEMBERED = 4_096  # words; more than a prompt has, and most prompts use the same
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


class Hit(NamedTuple):
    """A term of that kind stands at the words from `start` to before `end`."""

    start: int
    end: int
    kind: str


class _Drawn(NamedTuple):
    """A word of a term, with the lengths of its runs of equal letters."""

    word: str
    runs: tuple[int, ...]


class TermMatcher:
    """Words and phrases by kind, in the singular; plurals are found too, and phrases that are written as one word.

    `companions`: words that are written together with a term, as one word; with them two terms may be too.
    `forgiving`: a doubled letter counts as one, and in longer words one as a doubled, an l as an i, and a term is found among
    letters that were spelled out. That is for terms that were checked against a dictionary; otherwise only what is drawn out
    to three letters counts as one.
    `unspaced`: patterns, by kind, for writing without spaces; they are searched for in each word, which is folded.
    """

    def __init__(
        self,
        terms: Mapping[str, Iterable[str]],
        *,
        unspaced: Mapping[str, str] | None = None,
        companions: Collection[str] = (),
        forgiving: bool = False,
    ) -> None:
        self._forgiving = forgiving
        self._terms: dict[str, dict[tuple[str, ...], set[str]]] = {}  # by their first word
        self._drawn: dict[str, list[_Drawn]] = {}  # by the word with each letter once
        self._alike: dict[str, list[str]] = {}  # by the word with an i for each l
        self._masked: dict[tuple[str, int], list[str]] = {}  # by first letter and length
        self._spelled: dict[str, set[str]] = {}
        self._unspaced = [(kind, re.compile(pattern)) for kind, pattern in (unspaced or {}).items()]
        for kind, phrases in terms.items():
            for phrase in phrases:
                self._add(plain_words(phrase), kind)
        alone = [word for word, phrases in self._terms.items() if (word,) in phrases] if companions else []
        self._halves = {self._merged(word): word for word in (*companions, *alone)}
        self._starts = frozenset(half[:_MIN_HALF] for half in self._halves)
        self._read = lru_cache(maxsize=_REMEMBERED)(self._words_of)

    def hits(self, reading: Reading) -> Iterator[Hit]:
        """Every term in the reading."""
        read = [self._read(word.text) for word in reading]
        for start, words in enumerate(read):
            for word in words:
                for term, kinds in self._terms.get(word, {}).items():
                    end = start + len(term)
                    if len(term) == 1 or (end <= len(read) and all(map(contains, read[start:end], term))):
                        yield from (Hit(start, end, kind) for kind in kinds)
        for place, word in enumerate(reading):
            if word.spelled and self._forgiving:
                yield from (Hit(place, place + 1, kind) for kind in self._spelled_in(word.text))
            if not word.text.isascii():
                yield from (Hit(place, place + 1, kind) for kind, pattern in self._unspaced if pattern.search(word.text))

    def _add(self, words: Sequence[str], kind: str) -> None:
        if not words:
            return
        *firsts, last = words
        for ending in _plurals(last):
            for term in {(*firsts, ending), ("".join((*firsts, ending)),)}:
                self._add_term(term, kind)

    def _add_term(self, words: tuple[str, ...], kind: str) -> None:
        kinds = self._terms.setdefault(words[0], {}).setdefault(words, set())
        kinds.add(kind)
        for word in words:
            self._add_word(word)
        if len(words) == 1:
            self._spelled.setdefault(self._merged(words[0]), set()).add(kind)

    def _add_word(self, word: str) -> None:
        alike = self._masked.setdefault((word[0], len(word)), [])
        if word not in alike:
            alike.append(word)
            self._alike.setdefault(self._merged(word), []).append(word)
            self._drawn.setdefault(self._key(word), []).append(_Drawn(word, _runs(word)))

    def _words_of(self, text: str) -> frozenset[str]:
        """The words of terms that this may stand for."""
        return frozenset(word for spelling in spellings(text) for word in self._meant_by(spelling))

    def _meant_by(self, spelling: str) -> Iterator[str]:
        if MASK in spelling:
            yield from self._hidden_in(spelling)
        merged = self._merged(spelling)
        yield from self._alike.get(merged, ())
        drawn = self._drawn.get(self._key(spelling))
        if drawn:
            runs = _runs(spelling)
            yield from (term.word for term in drawn if self._same(runs, term))
        yield from self._halves_of(merged)

    def _same(self, runs: tuple[int, ...], term: _Drawn) -> bool:
        drawn_out = 1 if self._forgiving else 3
        shortened = self._forgiving and len(term.word) >= _MIN_SHORTENED
        return all(
            seen == meant or (seen >= drawn_out and seen > meant) or (shortened and seen < meant)
            for seen, meant in zip(runs, term.runs, strict=True)
        )

    def _halves_of(self, spelling: str) -> Iterator[str]:
        if spelling[:_MIN_HALF] in self._starts:
            for end in range(_MIN_HALF, len(spelling) - _MIN_HALF + 1):
                first, second = self._halves.get(spelling[:end]), self._halves.get(spelling[end:])
                if first and second:
                    yield from (first, second)

    def _hidden_in(self, spelling: str) -> Iterator[str]:
        if len(spelling) - spelling.count(MASK) >= _MIN_SHOWN:
            for word in self._masked.get((spelling[0], len(spelling)), ()):
                if all(seen in (MASK, meant) for seen, meant in zip(spelling, word, strict=True)):
                    yield word

    def _spelled_in(self, text: str) -> Iterator[str]:
        """The kinds of terms among letters whose words are not parted; short ones only where a word must begin or end."""
        for letters in {self._merged(spelling) for spelling in spellings(text)}:
            for start in range(len(letters)):
                for end in range(start + _MIN_SPELLED, min(start + _MAX_SPELLED, len(letters)) + 1):
                    yield from self._spelled.get(letters[start:end], ())
            if len(letters) >= _MIN_SPELLED + 2:
                for edge in (letters[: _MIN_SPELLED - 1], letters[1 - _MIN_SPELLED :]):
                    yield from self._spelled.get(edge, ())

    def _key(self, word: str) -> str:
        return self._merged(_REPEATED.sub(r"\1", word))

    def _merged(self, word: str) -> str:
        return word.translate(_I_FOR_L) if self._forgiving else word


def unspaced_pattern(phrase: str) -> str | None:
    """What finds the phrase inside a longer word, if it is written in letters of a language without spaces."""
    text = folded(phrase)
    return re.escape(text) if _UNSPACED.search(text) else None


def _runs(word: str) -> tuple[int, ...]:
    return tuple(len(list(group)) for _, group in groupby(word))


def _plurals(word: str) -> set[str]:
    """The word and what may be its plurals."""
    forms = {word, word + "s", word + "z"}
    if word.endswith(("s", "x", "z", "ch", "sh")):
        forms.add(word + "es")
    return forms
