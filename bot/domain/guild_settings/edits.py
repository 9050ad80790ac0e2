"""The edits that moderators make to their server's settings. Values come as in JSON and are checked when the edit runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bot.domain.guild_settings.audit_log import Edit
from bot.domain.guild_settings.definitions import SETTINGS
from bot.domain.guild_settings.serialization import from_values, import_text, to_values
from bot.domain.guild_settings.settings import GuildSettings, restored


def assign(name: str, value: Any) -> Edit:
    """Put `value` in the place of what was."""
    return lambda settings: from_values({name: value}, settings)


def include(name: str, item: str) -> Edit:
    """Add one item to a list."""
    return _of_list(name, lambda items: items if item in items else [*items, item])


def exclude(name: str, item: str) -> Edit:
    """Take one item out of a list, whatever its case."""
    return _of_list(name, lambda items: [kept for kept in items if kept.casefold() != item.strip().casefold()])


def give_role(name: str, role_id: str, number: int | None) -> Edit:
    """Give a role its number, or None to take the role out."""

    def edit(settings: GuildSettings) -> GuildSettings:
        numbers = {key: value for key, value in to_values(settings)[name].items() if key != role_id}
        return from_values({name: numbers if number is None else {**numbers, role_id: number}}, settings)

    return edit


def reset(names: Iterable[str] | None = None) -> Edit:
    """Let these settings be as in the beginning; None: all of them."""
    wanted = tuple(SETTINGS if names is None else names)
    return lambda settings: restored(settings, wanted)


def overwrite(file: bytes) -> Edit:
    """Put everything that a file of settings names in the place of what was; all of it or nothing."""
    return lambda settings: import_text(file, settings)


def _of_list(name: str, change: Callable[[list[str]], list[str]]) -> Edit:
    return lambda settings: from_values({name: change(to_values(settings)[name])}, settings)
