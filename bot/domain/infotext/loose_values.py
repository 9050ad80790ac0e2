"""Values in strangers' texts and JSON, which may be anything: read by value, or not at all. Nothing here raises."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import isfinite
from typing import Any, cast

MAX_TEXT = 64  # characters; Python's own float has no limit
MAX_WHOLE = 10**20

_SIZE = re.compile(r"\(?\s*([0-9]{1,5})\s*[,x×]\s*([0-9]{1,5})\s*\)?")
_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?")


def whole(text: str) -> int | None:
    """None for everything but digits."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 20 else None


def number(text: str) -> float | None:
    """None for everything but digits with or without a fraction."""
    return float(text) if _NUMBER.fullmatch(text) else None


def to_size(text: str) -> tuple[int, int] | None:
    """Width and height as "832x1216", "832 × 1216" or "(832, 1216)"; None for the rest, and for a side of 0."""
    found = _SIZE.fullmatch(text.strip())
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    return (width, height) if width and height else None


def to_float(text: str) -> float | None:
    """Whatever Python's float takes, infinities and NaN apart; None for the rest."""
    if len(text) > MAX_TEXT:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def to_whole(value: object) -> int | None:
    """A value of JSON: a whole number from 0 on, also in quotes or with a fraction of nothing; else None."""
    if isinstance(value, str):
        return whole(value.strip())
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_WHOLE else None


def to_number(value: object) -> float | None:
    """A value of JSON: any finite number, also in quotes; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, int) and abs(value) >= MAX_WHOLE:
        return None
    return to_float(str(value))


def to_object(value: object) -> Mapping[str, Any]:
    """An object of JSON; an empty one for everything else."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def to_list(value: object) -> list[Any]:
    """A list of JSON; an empty one for everything else."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def loaded(text: str) -> object:
    """What JSON says; None where it is none, is nested too deep for Python, or has numbers too long for it."""
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
