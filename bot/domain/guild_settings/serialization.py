"""A server's settings as JSON: in the database, in the trail of changes, and in the files that moderators export and import."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, cast

from bot.domain.guild_settings.definitions import SETTINGS
from bot.domain.guild_settings.settings import GuildSettings
from bot.errors import InvalidRequestError
from bot.messages import Message, counted, translatable

FORMAT: Final = 1
VERSION: Final = "pastel_settings"  # the key that holds FORMAT
MAX_FILE_BYTES: Final = 64 * 1024
NO_SETTINGS_FILE: Final = translatable(
    "That isn't a Pastel settings file. Attach the JSON file that `/settings export` gives you."
)
MAX_NAMED: Final = 5


def to_values(settings: GuildSettings) -> dict[str, Any]:
    """Returns every setting by its name, as plain values for JSON."""
    return {name: setting.kind.encode(getattr(settings, name)) for name, setting in SETTINGS.items()}


def from_values(values: Mapping[str, Any], base: GuildSettings) -> GuildSettings:
    """Returns what `to_values` wrote; what is not named stays as in `base`.

    Raises InvalidRequestError, with a sentence, for unknown names and unfit values.
    """
    if unknown := [name for name in values if name not in SETTINGS]:
        raise InvalidRequestError(
            counted(
                "{names} isn't a setting. Correct it, or leave it out.",
                "{names} aren't settings. Correct them, or leave them out.",
                len(unknown),
                names=_names(unknown),
            )
        )
    decoded: dict[str, Any] = {name: SETTINGS[name].kind.decode(name, value) for name, value in values.items()}
    return replace(base, **decoded)


def export_text(settings: GuildSettings) -> str:
    """Returns a file for people to read and to import again."""
    return json.dumps({VERSION: FORMAT, **to_values(settings)}, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def import_text(data: bytes, base: GuildSettings) -> GuildSettings:
    """Returns `base` with what the file says. Raises InvalidRequestError, with a sentence, for anything but a fitting file."""
    if len(data) > MAX_FILE_BYTES:
        raise InvalidRequestError(
            "A settings file is {most} KiB at most. Attach the JSON file that `/settings export` gives you.",
            most=MAX_FILE_BYTES // 1024,
        )
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
            "This file is from another version of Pastel. Export it again, or set `{key}` to {version}.",
            key=VERSION,
            version=FORMAT,
        )
    return from_values(given, base)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns an object whose keys are all different; of two equal ones, nobody knows which was meant."""
    values = dict(pairs)
    if len(values) < len(pairs):
        raise InvalidRequestError("This file has the same setting twice. Delete one of the two.")
    return values


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _names(names: list[str]) -> str | Message:
    visible = ("".join(char for char in name if char.isprintable() and char != "`")[:40] for name in names[:MAX_NAMED])
    shown, more = ", ".join(f"`{name}`" for name in visible), len(names) - MAX_NAMED
    return counted("{items} and {count} more", "{items} and {count} more", more, items=shown) if more > 0 else shown
