r"""The syntax for weights that A1111 introduced, read: which words of a prompt count how much.

(tag)          x 1.1; ((tag)) x 1.21, and so on
[tag]          / 1.1
(tag:1.3)      x 1.3; brackets within brackets multiply
\( \) \[ \] \\ the sign itself, as in suisei \(1st costume\)
BREAK          what follows is encoded apart, as if it were a prompt of its own

A bracket without a partner is a sign like any other, such as in :) or in an unfinished (tag. Of A1111's syntax, [from:to:0.5],
[a|b] and AND are not known: their signs and words are shown to the model as they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MIN_WEIGHT, MAX_WEIGHT = 0.0, 2.0  # 0 takes the words out; what lies beyond 2 spoils pictures
CHUNK_TOKENS = 75  # CLIP reads 77 at once, of which two mark the start and the end
MAX_CHUNKS = 3  # parts between BREAKs, or what one part fills
MAX_TOKENS = MAX_CHUNKS * CHUNK_TOKENS

_STEP = 1.1
_DIGITS = 4  # of a weight, so that ([tag]) weighs exactly 1
_LARGEST = 1e6  # what a product is held to on its way: thousands of brackets must not make it infinite
_DEEPEST = 200  # square brackets, likewise
_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_SYNTAX = re.compile(rf"\\[()\[\]\\]|[()\[\]]|:\s*(?P<number>{_NUMBER})\s*\)|\bBREAK\b")
_BREAK = "BREAK"


@dataclass(frozen=True, slots=True)
class Fragment:
    """Some of a prompt's text as the model is to see it, and its weight: 1 changes nothing."""

    text: str
    weight: float = 1.0


Part = tuple[Fragment, ...]


def parse(prompt: str) -> tuple[Part, ...]:
    """What stands between BREAKs, blank parts apart, each as fragments of which neighbours differ in weight. Never raises."""
    parts: list[list[Fragment]] = [[]]
    product, lowered, position = 1.0, 0, 0
    outer: list[float] = []  # the products outside of the open round brackets
    for match, factor in _syntax(prompt):
        _append(parts[-1], prompt[position : match.start()], product, lowered)
        position = match.end()
        sign = match[0]
        if sign == _BREAK:
            parts.append([])
        elif sign[0] == "\\":
            _append(parts[-1], sign[1], product, lowered)
        elif sign == "(":
            outer.append(product)
            product = min(product * factor, _LARGEST)
        elif sign[-1] == ")":
            product = outer.pop()
        else:
            lowered += 1 if sign == "[" else -1
    _append(parts[-1], prompt[position:], product, lowered)
    return tuple(tuple(part) for part in parts if any(fragment.text.strip() for fragment in part))


def plain_text(parts: Sequence[Part]) -> str | None:
    """The text of a prompt in which no weight differs from 1 and no BREAK parts anything; else None."""
    if len(parts) > 1 or any(fragment.weight != 1 and fragment.text.strip() for part in parts for fragment in part):
        return None
    return "".join(fragment.text for part in parts for fragment in part)


def without_numbers(prompt: str) -> str:
    """The prompt without the numbers that count as weights; everything else, brackets too, stays."""
    numbers = [match for match, _ in _syntax(prompt) if match["number"]]
    starts = (0, *(match.end() - 1 for match in numbers))
    ends = (*(match.start() for match in numbers), len(prompt))
    return "".join(prompt[start:end] for start, end in zip(starts, ends, strict=True))


def _syntax(prompt: str) -> Iterator[tuple[re.Match[str], float]]:
    """What of the prompt is syntax, in order, with the factor of a bracket that opens."""
    found = list(_SYNTAX.finditer(prompt))
    closed = _closed(found)
    closing = set(closed.values())
    for index, match in enumerate(found):
        if index in closed:
            yield match, _factor(found[closed[index]])
        elif index in closing or (match[0] not in {"(", "[", ")", "]"} and not match["number"]):
            yield match, 1.0


def _closed(found: Sequence[re.Match[str]]) -> dict[int, int]:
    """The brackets that open, by index, each with the index of its partner. Round and square ones may overlap."""
    partners: dict[int, int] = {}
    unclosed: dict[str, list[int]] = {")": [], "]": []}
    for index, match in enumerate(found):
        sign = match[0]
        if sign in {"(", "["}:
            unclosed[")" if sign == "(" else "]"].append(index)
        elif sign[0] != "\\" and (opened := unclosed.get(sign[-1])):
            partners[opened.pop()] = index
    return partners


def _factor(closing: re.Match[str]) -> float:
    return max(float(closing["number"]), 0.0) if closing["number"] else _STEP


def _append(part: list[Fragment], text: str, product: float, lowered: int) -> None:
    if not text:
        return
    weight = min(max(round(product / _STEP ** min(lowered, _DEEPEST), _DIGITS), MIN_WEIGHT), MAX_WEIGHT)
    if part and part[-1].weight == weight:
        text = part.pop().text + text
    part.append(Fragment(text, weight))
