"""The kinds of settings: what a value may be, and how it stands in JSON.

`checked` returns a value as it is kept, `encode` gives it to JSON and `decode` takes it from there; both ways in raise
InvalidRequestError with a sentence that names the setting. Ids are texts in JSON, since readers of JSON in other languages
round numbers beyond 2**53.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, cast

from bot.domain.request import LEFT_OUT_TOO_LONG, clean_prompt, one_line
from bot.errors import InvalidRequestError

MAX_LISTED: Final = 25  # Discord's select holds so many channels, roles or styles
MAX_STYLE_NAME: Final = 100  # characters; the value of a choice
MAX_WORDS, MAX_WORD_LENGTH = 100, 60
MAX_ID: Final = 2**63 - 1  # Discord's snowflakes

_ID_SHAPE = re.compile(r"[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class _Kind:
    """What most kinds do: keep a value as it is, and give it to JSON so."""

    def checked(self, name: str, value: Any) -> Any:
        del name
        return value

    def encode(self, value: Any) -> Any:
        return value


@dataclass(frozen=True, slots=True)
class Number(_Kind):
    """A whole number, or None."""

    low: int
    high: int

    @property
    def is_listed(self) -> bool:
        """Whether every number, and none, can be offered in one list."""
        return self.high - self.low + 2 <= MAX_LISTED

    def checked(self, name: str, value: int | None) -> int | None:
        return None if value is None else _within(name, value, self.low, self.high)

    def decode(self, name: str, value: Any) -> int | None:
        return None if value is None else _whole(name, value)


@dataclass(frozen=True, slots=True)
class Pixels(Number):
    """An amount of pixels, chosen among those of the model's sizes; or None."""

    @property
    def is_listed(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Choice(_Kind):
    """One of an enumeration; with `optional`, or None."""

    options: type[StrEnum]
    optional: bool = False

    def encode(self, value: StrEnum | None) -> str | None:
        return None if value is None else value.value

    def decode(self, name: str, value: Any) -> StrEnum | None:
        if value is None and self.optional:
            return None
        for choice in self.options:
            if value == choice.value:
                return choice
        listed = ", ".join(f"`{choice.value}`" for choice in self.options)
        raise InvalidRequestError("{setting} must be one of {choices}.", setting=_quoted(name), choices=listed)


@dataclass(frozen=True, slots=True)
class Flag(_Kind):
    """Yes or no."""

    def decode(self, name: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise InvalidRequestError("{setting} must be true or false.", setting=_quoted(name))
        return value


@dataclass(frozen=True, slots=True)
class Text(_Kind):
    """Words for a prompt, on one line."""

    def checked(self, name: str, value: str) -> str:
        return clean_prompt(value, too_long=LEFT_OUT_TOO_LONG)

    def decode(self, name: str, value: Any) -> str:
        return _text(name, value)


@dataclass(frozen=True, slots=True)
class Words(_Kind):
    """Words or phrases, each once whatever its case, in their order."""

    def checked(self, name: str, value: Iterable[str]) -> tuple[str, ...]:
        kept: dict[str, str] = {}
        for word in value:
            line = one_line(word)
            if len(line) > MAX_WORD_LENGTH or not any(char.isalnum() for char in line):
                raise InvalidRequestError(
                    "A blocked word can have up to {most} characters and needs a letter or a digit. "
                    "Change `{word}` or leave it out.",
                    most=MAX_WORD_LENGTH,
                    word=line[:MAX_WORD_LENGTH],
                )
            kept.setdefault(line.casefold(), line)
        _check_count(name, kept, MAX_WORDS)
        return tuple(kept.values())

    def encode(self, value: tuple[str, ...]) -> list[str]:
        return list(value)

    def decode(self, name: str, value: Any) -> tuple[str, ...]:
        return tuple(_text(name, item) for item in _list(name, value))


@dataclass(frozen=True, slots=True)
class _Ids(_Kind):
    def checked(self, name: str, value: frozenset[int]) -> frozenset[int]:
        _check_ids(name, value)
        return value

    def encode(self, value: frozenset[int]) -> list[str]:
        return [str(number) for number in sorted(value)]

    def decode(self, name: str, value: Any) -> frozenset[int]:
        return frozenset(_id(name, item) for item in _list(name, value))


@dataclass(frozen=True, slots=True)
class Channels(_Ids):
    """Channels in which pictures can be drawn."""


@dataclass(frozen=True, slots=True)
class Roles(_Ids):
    """Roles of the server, without @everyone."""


@dataclass(frozen=True, slots=True)
class Channel(_Kind):
    """A channel that can be posted in, or None."""

    def checked(self, name: str, value: int | None) -> int | None:
        _check_ids(name, [] if value is None else [value])
        return value

    def encode(self, value: int | None) -> str | None:
        return None if value is None else str(value)

    def decode(self, name: str, value: Any) -> int | None:
        return None if value is None else _id(name, value)


@dataclass(frozen=True, slots=True)
class RoleNumbers(_Kind):
    """Whole numbers by role, in the order of the ids; cannot be changed."""

    low: int
    high: int

    def checked(self, name: str, value: Mapping[int, int]) -> Mapping[int, int]:
        _check_ids(name, value)
        return MappingProxyType({role: _within(name, number, self.low, self.high) for role, number in sorted(value.items())})

    def encode(self, value: Mapping[int, int]) -> dict[str, int]:
        return {str(role_id): number for role_id, number in value.items()}

    def decode(self, name: str, value: Any) -> dict[int, int]:
        if not isinstance(value, dict):
            raise InvalidRequestError("{setting} must be an object of role ids and whole numbers.", setting=_quoted(name))
        given = cast("dict[str, Any]", value)
        return {_id(name, role_id): _whole(name, number) for role_id, number in given.items()}


@dataclass(frozen=True, slots=True)
class Style(_Kind):
    """The name of a style, or None."""

    def checked(self, name: str, value: str | None) -> str | None:
        del name
        return None if value is None else _style(value)

    def decode(self, name: str, value: Any) -> str | None:
        return None if value is None else _text(name, value)


@dataclass(frozen=True, slots=True)
class Styles(_Kind):
    """Names of styles."""

    def checked(self, name: str, value: frozenset[str]) -> frozenset[str]:
        _check_count(name, value)
        return frozenset(_style(style) for style in value)

    def encode(self, value: frozenset[str]) -> list[str]:
        return sorted(value)

    def decode(self, name: str, value: Any) -> frozenset[str]:
        return frozenset(_text(name, item) for item in _list(name, value))


Kind = Number | Pixels | Choice | Flag | Text | Words | Channels | Roles | Channel | RoleNumbers | Style | Styles


def _quoted(name: str) -> str:
    return f"`{name}`"


def _within(name: str, value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise InvalidRequestError(
            "{setting} must be between {low:,} and {high:,}. You gave {given:,}.",
            setting=_quoted(name),
            low=low,
            high=high,
            given=value,
        )
    return value


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_ID:
        raise InvalidRequestError("{setting} must be a whole number.", setting=_quoted(name))
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidRequestError("{setting} must be text.", setting=_quoted(name))
    return value


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidRequestError("{setting} must be a list.", setting=_quoted(name))
    return cast("list[Any]", value)


def _id(name: str, value: Any) -> int:
    if isinstance(value, str) and _ID_SHAPE.fullmatch(value):
        return int(value)
    raise InvalidRequestError('{setting} needs ids in quotes, like `"123456789012345678"`.', setting=_quoted(name))


def _check_ids(name: str, ids: Collection[int]) -> None:
    _check_count(name, ids)
    if not all(1 <= number <= MAX_ID for number in ids):
        raise InvalidRequestError("{setting} has an id that Discord doesn't know. Choose from the list.", setting=_quoted(name))


def _check_count(name: str, values: Collection[object], most: int = MAX_LISTED) -> None:
    if len(values) > most:
        raise InvalidRequestError(
            "{setting} can hold up to {most}, and you gave {given:,}. Leave some out.",
            setting=_quoted(name),
            most=most,
            given=len(values),
        )


def _style(name: str) -> str:
    if not name.strip() or not name.isprintable() or len(name) > MAX_STYLE_NAME:
        raise InvalidRequestError(
            "The name of a style has 1 to {most} visible characters. Choose one from the list.", most=MAX_STYLE_NAME
        )
    return name
