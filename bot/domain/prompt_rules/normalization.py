"""Prompts as the rules read them: plain Latin letters, without disguise and without the syntax of prompts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from bot.domain.prompt_rules.homoglyphs import homoglyphs
from bot.domain.prompt_weights import without_numbers

_INVISIBLE = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # blank, but letters or symbols by their category
_VOICED = frozenset("\u3099\u309a")  # make another kana; all other marks are decoration or leave the letter what it is
# Each begins with what it looks for and looks back from there: a pattern that begins by looking back is tried everywhere.
_WEIGHT = re.compile(  # (tag:1.3), tag:1.3, (tag)1.3; not (age:3), and nothing that is more likely an age than a weight
    r":(?<!age:)(?<!ages:)(?<!aged:)\s*[-+]?(?:[0-3](?=\s*[)\]}>])|[0-3]?\.\d+(?=\s*(?:[,)\]}>]|$)))"
    r"|\)[-+]?[0-3]?\.\d+"
)
_ADDRESS = re.compile(r"<\s*(?:lora|lyco|lycoris|hypernet)\s*:", re.IGNORECASE)
_LORA = re.compile(r"<[^<>]{0,200}>")
_JOINING_WORDS = re.compile(r"(?:BREAK|AND)(?<!\wBREAK)(?<!\wAND)(?!\w)")  # syntax in capitals only
_ADULTS_ONLY = re.compile(r"18(?<!\d18)\s*\+")
_LESS_THAN = re.compile(r"<(?=\s*\d)")
_NUMBER_IN_BRACKETS = re.compile(r"\(\s*(\d{1,2})\s*\)")  # Anna (30)
_THOUSANDS = re.compile(r",(?<=\d,)(?=\d{3}(?!\d))")
_FRACTION = re.compile(r"[.,](?<=\d.)\d{1,2}(?=[\s_-]*y)")

MASK = "*"  # hides a letter
_SYMBOLS = f"@$!|{MASK}"  # written for letters; everywhere else they only part words
_LEET = str.maketrans("0345678$29@", "oeasgtbszga")
_EITHER = str.maketrans("1!|", "iii"), str.maketrans("1!|", "lll")
_PLAIN_WORD = re.compile(r"[^\W_]+")
_SYMBOL_WORD = re.compile(rf"(?:[^\W_]|[{re.escape(_SYMBOLS)}])+")
_TAG_END = re.compile(r"[,;\n\u3001\u3002]")
_SPACE = re.compile(r"\s")
_SHORT_WORDS = " am an as at be by do go he if in is it me my no of on or so to up us we "


class Gap(IntEnum):
    """What parts a word from the one before it."""

    SIGN = 0  # a hyphen, a bracket, ...; the word may be a piece of the one before
    SPACE = 1
    TAG = 2  # a comma: another tag begins


class Word(NamedTuple):
    """A word in one reading of a prompt. `spelled`: put together from single letters, so that its ends are a guess."""

    text: str
    gap: Gap
    spelled: bool = False


Reading = tuple[Word, ...]


def readings(prompt: str) -> tuple[Reading, ...]:
    """The ways in which somebody may read the prompt; a rule is broken when it is broken in one of them."""
    # what the model takes for a weight is none of its words, although it may look like an age: n(u:7)de
    whole = _LORA.sub("", prompt)  # a word may go on behind it: n<lora:x:1>ude
    texts = dict.fromkeys(map(without_syntax, (prompt, without_numbers(prompt), whole)))
    bases = [_words(text, _PLAIN_WORD) for text in texts]
    bases += [_words(text, _SYMBOL_WORD) for text in texts if any(symbol in text for symbol in _SYMBOLS)]
    return tuple(reading for base in bases for reading in _variants(base))


def folded(text: str) -> str:
    """Latin small letters for everything that looks like one; no marks, no invisible characters, digits as 0 to 9."""
    if text.isascii():
        return text.casefold()
    parts = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text))
    seen = "".join(_digit(char) for char in parts if _is_seen(char))
    return unicodedata.normalize("NFC", seen.translate(homoglyphs()).casefold())


def without_syntax(prompt: str) -> str:
    """Folded, and without weights, the address of a LoRA and the joining words; brackets stay, since they part words."""
    text = _JOINING_WORDS.sub(" , ", unicodedata.normalize("NFKC", prompt))
    text = folded(_ADDRESS.sub(" ", text))
    text = _LESS_THAN.sub(" under ", _ADULTS_ONLY.sub(" r18 ", _WEIGHT.sub(")", text)))
    text = _NUMBER_IN_BRACKETS.sub(r", \1, ", text)
    return _FRACTION.sub("", _THOUSANDS.sub("", text))


def plain_words(text: str) -> tuple[str, ...]:
    """The words of a term, as `readings` has them."""
    return tuple(_PLAIN_WORD.findall(folded(text)))


def spellings(word: str) -> Iterator[str]:
    """What a word with digits or symbols may stand for: as it is, without a count, and with letters for them."""
    yield word
    if not word.isalpha():
        bare = word.strip(_SYMBOLS)
        for part in {word, bare, bare.strip("0123456789")} - {""}:
            yield part
            yield from in_letters(part)


def in_letters(word: str) -> set[str]:
    """A word with letters for its digits and symbols; a number alone stays one."""
    return {word} if word.isdigit() else {word.translate(_LEET).translate(either) for either in _EITHER}


def _variants(words: Reading) -> Iterator[Reading]:
    """The words as they stand, and what is found by putting pieces together."""
    glued, in_tags, across_tags = _glued(words), _spelled_out(words, Gap.SPACE), _spelled_out(words, Gap.TAG)
    yield words
    if len(glued) < len(words):
        yield glued
    if len(in_tags) < len(words):
        yield in_tags
    if len(across_tags) < len(in_tags):
        yield across_tags
    for joined in (_joined_to_pieces(words, before=True), _joined_to_pieces(words, before=False)):
        if len(joined) < len(words):
            yield joined


def _words(text: str, pattern: re.Pattern[str]) -> Reading:
    words: list[Word] = []
    end = 0
    for match in pattern.finditer(text):
        start = match.start()
        words.append(Word(match[0], _gap(text[end:start]) if words else Gap.TAG))
        end = match.end()
    return tuple(words)


def _gap(between: str) -> Gap:
    if between == " ":
        return Gap.SPACE
    if _TAG_END.search(between):
        return Gap.TAG
    return Gap.SPACE if _SPACE.search(between) else Gap.SIGN


def is_one_tag(words: Reading) -> bool:
    """Whether no comma stands between the words."""
    return all(word.gap is not Gap.TAG for word in words[1:])


def _glued(words: Reading) -> Reading:
    """Pieces with nothing but signs between them as one word: hen-tai, nu(de)."""
    joined: list[Word] = []
    for word in words:
        if word.gap is Gap.SIGN:
            joined[-1] = Word(joined[-1].text + word.text, joined[-1].gap)
        else:
            joined.append(word)
    return tuple(joined)


def _spelled_out(words: Reading, widest: Gap) -> Reading:
    """Neighbouring letters, or pairs of letters, as one word where no gap is wider than `widest`."""
    joined: list[Word] = []
    run: list[Word] = []
    for word in words:
        if run and not (_is_piece(word) and word.gap <= widest):
            joined.append(_as_one(run))
            run = []
        if _is_piece(word):
            run.append(word)
        else:
            joined.append(word)
    return (*joined, _as_one(run)) if run else tuple(joined)


def _joined_to_pieces(words: Reading, *, before: bool) -> Reading:
    """Each word in one with the letter or two that stand alone `before` it, or behind it: n ude, na ked, nud e."""
    joined: list[Word] = []
    taken = False
    for word in words:
        last = joined[-1] if joined else None
        if last is not None and not taken and word.gap is Gap.SPACE:
            piece, whole = (last, word) if before else (word, last)
            if _is_loose(piece) and len(whole.text) > 2:
                joined[-1] = Word(last.text + word.text, last.gap)
                taken = True
                continue
        joined.append(word)
        taken = False
    return tuple(joined)


def _is_loose(word: Word) -> bool:
    """Whether it is a piece that means nothing by itself."""
    return _is_piece(word) and word.text.isalpha() and word.text not in {"a", "i"}


def _is_piece(word: Word) -> bool:
    return len(word.text) == 1 or (len(word.text) == 2 and not (f" {word.text} " in _SHORT_WORDS or word.text.isdigit()))


def _as_one(run: list[Word]) -> Word:
    if len(run) == 1:
        return run[0]
    return Word("".join(word.text for word in run), run[0].gap, spelled=all(len(word.text) == 1 for word in run))


def _digit(char: str) -> str:
    value = unicodedata.decimal(char, None)
    return char if value is None else str(value)


def _is_seen(char: str) -> bool:
    category = unicodedata.category(char)
    return char in _VOICED or not (category in {"Mn", "Me", "Cf"} or char in _INVISIBLE)
