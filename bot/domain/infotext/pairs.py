"""`Key: value, Key: value`, as A1111 writes them on one line. A value with commas or colons in it is quoted, or is JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

MAX_PAIRS = 200  # and as much between commas that is no pair

# The bound keeps a line without colons from taking squares of its length.
_KEY = re.compile(r"[^\S\n]*(\w[\w /()-]{0,39}):[^\S\n]*")
_QUOTED = re.compile(r'"(?:[^"\\]|\\[\s\S])*"(?=[^\S\n]*(?:[,\n]|\Z))')
_PLAIN = re.compile(r"[^,\n]*")
_JSON = json.JSONDecoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class PairLine:
    """The pairs of a line by key in small letters; of a key that comes twice, the first.

    `strays` counts what stands between commas and is no pair. `quoted` are the places, (start, end), of quoted values and of
    JSON, which may go over several lines.
    """

    pairs: Mapping[str, str]
    strays: int
    quoted: tuple[tuple[int, int], ...]


def read_pairs(line: str) -> Mapping[str, str]:
    """`read_line(line).pairs`."""
    return read_line(line).pairs


def read_line(text: str, start: int = 0) -> PairLine:
    """What stands from `start` on, to the first end of a line outside of quotes. Never raises."""
    pairs: dict[str, str] = {}
    quoted: list[tuple[int, int]] = []
    strays, position = 0, start
    for _ in range(2 * MAX_PAIRS):
        if key := _KEY.match(text, position):
            value, end = _value(text, key.end())
            if "\n" in text[key.end() : end] or text[key.end() : key.end() + 1] in {'"', "[", "{"}:
                quoted.append((key.end(), end))
            pairs.setdefault(key[1].strip().casefold(), value)
            position = end
        rest = _PLAIN.match(text, position)
        strays += rest is not None and not key and bool(rest[0].strip())
        position = rest.end() if rest else len(text)
        if len(pairs) >= MAX_PAIRS or text[position : position + 1] != ",":
            break
        position += 1
    return PairLine(pairs=pairs, strays=strays, quoted=tuple(quoted))


def _value(text: str, position: int) -> tuple[str, int]:
    """One value and where it ends. Some programs write JSON unquoted."""
    if quoted := _QUOTED.match(text, position):
        return _unquoted(quoted[0]), quoted.end()
    if text[position : position + 1] in {"[", "{"}:
        try:
            _, end = _JSON.raw_decode(text, position)
            return text[position:end], end
        except (ValueError, RecursionError):
            pass
    plain = _PLAIN.match(text, position)
    return (plain[0].strip(), plain.end()) if plain else ("", position)


def _unquoted(text: str) -> str:
    try:
        value: object = json.loads(text, strict=False)
    except ValueError:
        return text[1:-1]
    return value if isinstance(value, str) else text[1:-1]
