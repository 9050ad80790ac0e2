"""Names and words of bodies that say that a child is drawn, and whether a prompt has them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from bot.domain.lexicon import Lexicon
from bot.domain.normalised import plain_words

_AND = " + "


@dataclass(frozen=True, slots=True)
class YoungList:
    """Rows of terms; a row counts in a prompt that has all of its terms, wherever they stand."""

    rows: frozenset[frozenset[str]] = frozenset()

    def is_met_by(self, found: frozenset[str]) -> bool:
        """Whether the terms that `terms_of` found fulfil a row."""
        return any(row <= found for row in self.rows)

    def __or__(self, other: YoungList) -> YoungList:
        return YoungList(self.rows | other.rows)


NOBODY = YoungList()


def character(name: str, series: str, *, alone: bool) -> YoungList:
    """Rows for a character. `alone`: the name says who it is without its series; one of two words also does turned round."""
    if not alone:
        return YoungList(frozenset({frozenset({name, series})}))
    words = plain_words(name)
    names = {name, " ".join(reversed(words))} if len(words) == 2 else {name}
    return YoungList(frozenset(frozenset({each}) for each in names))


def body(words: str) -> YoungList:
    """A row out of terms that are parted by plus signs: `petite + flat chest`. Raises ValueError where one is empty."""
    terms = frozenset(term.strip() for term in words.split(_AND.strip()))
    if not all(map(plain_words, terms)):
        raise ValueError("terms must have letters, and stand between plus signs: petite + flat chest")
    return YoungList(frozenset({terms}))


@lru_cache(maxsize=4)  # one list a process; tests have some
def terms_of(young: YoungList) -> Lexicon:
    """What finds the list's terms; the kind of a hit is the term itself."""
    return Lexicon({term: (term,) for row in young.rows for term in row}, forgiving=True)
