"""A server's settings as JSON: in the database, in the trail of changes, and in the files that moderators export and import.

Ids are texts, since readers of JSON in other languages round numbers beyond 2**53.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar, cast

from bot.domain.guild_settings.settings import MAX_ID, SETTING_NAMES, UNCHANGED, GuildSettings
from bot.domain.safety import SafetyLevel, Spoilers
from bot.errors import InvalidRequestError

FORMAT = 1
VERSION = "pastel_settings"  # the key that holds FORMAT
MAX_FILE_BYTES = 64 * 1024
NO_SETTINGS_FILE = "This is no file of Pastel's settings. Attach the JSON file that `/settings export` gives."

_ID_SHAPE = re.compile(r"[1-9][0-9]{0,18}")

Choice = TypeVar("Choice", bound=StrEnum)


def to_values(settings: GuildSettings) -> dict[str, Any]:
    """Every setting by its name, as plain values for JSON."""
    return {name: _CODECS[name].encode(getattr(settings, name)) for name in SETTING_NAMES}


def from_values(values: Mapping[str, Any], base: GuildSettings = UNCHANGED) -> GuildSettings:
    """Read what `to_values` wrote; what is not named stays as in `base`.

    Raises InvalidRequestError, with a sentence, for unknown names and unfit values.
    """
    unknown = [name for name in values if name not in _CODECS]
    if unknown:
        raise InvalidRequestError(
            f"{_names(unknown)}: there {'is no setting' if len(unknown) == 1 else 'are no settings'} of that name. "
            "Correct it, or leave it out."
        )
    decoded: dict[str, Any] = {name: _CODECS[name].decode(name, value) for name, value in values.items()}
    return replace(base, **decoded)


def export_text(settings: GuildSettings) -> str:
    """A file for people to read and to import again."""
    return json.dumps({VERSION: FORMAT, **to_values(settings)}, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def import_text(data: bytes, base: GuildSettings) -> GuildSettings:
    """`base` with what the file says. Raises InvalidRequestError, with a sentence, for anything but a fitting file."""
    if len(data) > MAX_FILE_BYTES:
        raise InvalidRequestError(f"A file of settings has at most {MAX_FILE_BYTES // 1024} KiB. {NO_SETTINGS_FILE}")
    try:
        values: Any = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise InvalidRequestError(NO_SETTINGS_FILE) from None
    if not isinstance(values, dict) or VERSION not in values:
        raise InvalidRequestError(NO_SETTINGS_FILE)
    given = cast("dict[str, Any]", values)
    version = given.pop(VERSION)
    if version is True or version != FORMAT:
        raise InvalidRequestError(
            f"This file is of another version of Pastel. Export it again, or set `{VERSION}` to {FORMAT}."
        )
    return from_values(given, base)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are all different; of two equal ones, nobody knows which was meant."""
    values = dict(pairs)
    if len(values) < len(pairs):
        raise InvalidRequestError("A name stands in this file twice. Leave one of the two out.")
    return values


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _names(names: list[str]) -> str:
    visible = ("".join(char for char in name if char.isprintable() and char != "`")[:40] for name in names[:5])
    shown = ", ".join(f"`{name}`" for name in visible)
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


@dataclass(frozen=True, slots=True, kw_only=True)
class _Codec:
    encode: Callable[[Any], Any]
    decode: Callable[[str, Any], Any]


def _optional(codec: _Codec) -> _Codec:
    return _Codec(
        encode=lambda value: None if value is None else codec.encode(value),
        decode=lambda name, value: None if value is None else codec.decode(name, value),
    )


def _one_of(kind: type[Choice]) -> _Codec:
    def decode(name: str, value: Any) -> Choice:
        for choice in kind:
            if value == choice.value:
                return choice
        raise InvalidRequestError(f"`{name}` is one of {', '.join(f'`{choice.value}`' for choice in kind)}.")

    return _Codec(encode=str, decode=decode)


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_ID:
        raise InvalidRequestError(f"`{name}` must be a whole number.")
    return value


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequestError(f"`{name}` must be true or false.")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidRequestError(f"`{name}` must be a text.")
    return value


def _id(name: str, value: Any) -> int:
    if isinstance(value, str) and _ID_SHAPE.fullmatch(value):
        return int(value)
    raise InvalidRequestError(f'`{name}` names channels and roles by their ids, as texts: `"123456789012345678"`.')


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidRequestError(f"`{name}` must be a list.")
    return cast("list[Any]", value)


def _numbers(name: str, value: Any) -> dict[int, int]:
    if not isinstance(value, dict):
        raise InvalidRequestError(f"`{name}` must be an object with ids of roles as names and whole numbers as values.")
    given = cast("dict[str, Any]", value)
    return {_id(name, role_id): _whole(name, number) for role_id, number in given.items()}


def _encode_ids(ids: frozenset[int]) -> list[str]:
    return [str(number) for number in sorted(ids)]


def _encode_numbers(numbers: Mapping[int, int]) -> dict[str, int]:
    return {str(role_id): number for role_id, number in numbers.items()}


_WHOLE = _Codec(encode=int, decode=_whole)
_TEXT = _Codec(encode=str, decode=_text)
_ID = _Codec(encode=str, decode=_id)
_IDS = _Codec(encode=_encode_ids, decode=lambda name, value: frozenset(_id(name, item) for item in _list(name, value)))
_NUMBERS = _Codec(encode=_encode_numbers, decode=_numbers)
_NAMES = _Codec(encode=sorted, decode=lambda name, value: frozenset(_text(name, item) for item in _list(name, value)))
_WORDS = _Codec(encode=list, decode=lambda name, value: tuple(_text(name, item) for item in _list(name, value)))

_CODECS: Mapping[str, _Codec] = {
    "allowed_channels": _IDS,
    "allowed_roles": _IDS,
    "daily_credits": _optional(_WHOLE),
    "role_credits": _NUMBERS,
    "exempt_roles": _IDS,
    "waiting_jobs": _optional(_WHOLE),
    "role_priorities": _NUMBERS,
    "max_pixels": _optional(_WHOLE),
    "max_steps": _optional(_WHOLE),
    "max_images": _optional(_WHOLE),
    "default_style": _optional(_TEXT),
    "allowed_styles": _NAMES,
    "default_negative_prompt": _TEXT,
    "safety": _one_of(SafetyLevel),
    "blocked_words": _WORDS,
    "report_channel": _optional(_ID),
    "spoilers": _one_of(Spoilers),
    "others_may_reuse": _Codec(encode=bool, decode=_flag),
    "picture_days": _optional(_WHOLE),
    "prompt_days": _optional(_WHOLE),
}
