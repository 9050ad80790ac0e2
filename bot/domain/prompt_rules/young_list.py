"""Names and words of bodies that say that a child is drawn, and whether a prompt has them."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from bot.domain.prompt_rules.matcher import TermMatcher
from bot.domain.prompt_rules.normalization import plain_words

SHIPPED = Path(__file__).resolve().parents[3] / "data" / "safety"
_CHARACTER = re.compile(r"(?P<name>[^()]+) \((?P<series>[^()]+)\)")  # as Danbooru writes it
_ALONE = {"yes": True, "no": False}


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


@cache
def shipped_young() -> YoungList:
    """The rows that ship. Raises ValueError for a bad one: there is no rule about minors without its list."""
    problems: list[str] = []
    young = read_young(SHIPPED, problems)
    if problems or not young.rows:
        raise ValueError("; ".join(problems) or f"{SHIPPED} is missing")
    return young


def read_young(folder: Path, problems: list[str]) -> YoungList:
    """The rows of `characters.csv` and `bodies.csv` in `folder`; a missing file has none.

    Adds one line to `problems` for each row that says nothing.
    """
    characters = _read(folder / "characters.csv", ("character", "alone"), _character, problems)
    return characters | _read(folder / "bodies.csv", ("words",), _body, problems)


def character(name: str, series: str, *, alone: bool) -> YoungList:
    """Rows for a character. `alone`: the name says who it is without its series; one of two words also does turned round."""
    if not alone:
        return YoungList(frozenset({frozenset({name, series})}))
    words = plain_words(name)
    names = {name, " ".join(reversed(words))} if len(words) == 2 else {name}
    return YoungList(frozenset(frozenset({each}) for each in names))


def body(words: str) -> YoungList:
    """A row out of terms that are parted by plus signs: `petite + flat chest`. Raises ValueError where one is empty."""
    terms = frozenset(term.strip() for term in words.split("+"))
    if not all(map(plain_words, terms)):
        raise ValueError("terms must have letters, and stand between plus signs: petite + flat chest")
    return YoungList(frozenset({terms}))


@lru_cache(maxsize=4)  # one list a process; tests have some
def terms_of(young: YoungList) -> TermMatcher:
    """What finds the list's terms; the kind of a hit is the term itself."""
    return TermMatcher({term: (term,) for row in young.rows for term in row}, forgiving=True)


def _read(path: Path, columns: tuple[str, ...], parse: Callable[[dict[str, str]], YoungList], problems: list[str]) -> YoungList:
    rows: set[frozenset[str]] = set()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # a spreadsheet writes a mark at the start
            for line, row in _lines(file, columns):
                try:
                    rows |= parse(row).rows
                except ValueError as error:
                    problems.append(f"{path}: line {line}: {error}")
    except FileNotFoundError:
        return NOBODY
    except (OSError, ValueError, csv.Error) as error:  # ValueError: UTF-8 and the first line
        problems.append(f"{path}: {str(error).splitlines()[0]}")
    return YoungList(frozenset(rows))


def _lines(file: Iterable[str], columns: tuple[str, ...]) -> Iterable[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(file)
    if tuple(reader.fieldnames or ()) != columns:
        raise ValueError(f"the first line must be {','.join(columns)!r}")
    return ((reader.line_num, row) for row in reader)


def _character(row: dict[str, str]) -> YoungList:
    named = _CHARACTER.fullmatch((row["character"] or "").strip())
    alone = _ALONE.get((row["alone"] or "").strip())
    if named is None or alone is None or len(row) > 2:  # more values than columns stand under a key of their own
        raise ValueError("must look like 'name (series),yes' or 'name (series),no'; no: only beside its series")
    return character(named["name"].strip(), named["series"].strip(), alone=alone)


def _body(row: dict[str, str]) -> YoungList:
    return body(row["words"] or "")
