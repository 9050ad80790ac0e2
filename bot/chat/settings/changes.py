"""What changed in a server's settings, as messages: after a change, the history, all settings, and the file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, cast

import discord
from discord import ButtonStyle, ui

from bot.chat.cards.card import GREY, PINK
from bot.chat.settings.items import HISTORY, SettingsPress
from bot.chat.settings.text import Theme, names_of, shown, title
from bot.domain.guild_settings.audit_log import Change, Revision, TrailEntry, TrailPage

FILE_NAME = "pastel-settings.json"
NOTHING_CHANGED = "Nothing changed: it was so already."
NO_HISTORY = "Nobody has changed a setting of this server yet. `/settings panel` is the place to begin."
EXPORTED = (
    "All settings of this server; `/settings import` takes them back. "
    "Channels and roles stand in it by their ids, so for another server leave those lines out."
)
SEE_CHANGES = "-# `/settings history` shows who changed what, `/settings reset` takes it back"
MANY = 6  # items before and after; from here on, what came and went is easier to read
MAX_LINES = 3_400  # characters; Discord takes 4,000 in one message, and the rest of it needs some
ROOM_IN_LINE, ROOM_IN_HISTORY, ROOM_IN_LIST = 200, 100, 110


def change_lines(changes: Sequence[Change], room: int = MAX_LINES) -> str:
    """A line for each setting that changed, before → after; as many as there is room for."""
    lines: list[str] = []
    for change in changes:
        line = f"**{title(change.setting)}:** {before_and_after(change, ROOM_IN_LINE)}"
        if lines and len("\n".join([*lines, line])) > room:
            return "\n".join([*lines, f"-# and {len(changes) - len(lines)} more; see `/settings history`"])
        lines.append(line)
    return "\n".join(lines)


def before_and_after(change: Change, room: int) -> str:
    """Both values; of long lists, what was added and what was removed."""
    before, after = _items(change.before), _items(change.after)
    if before is None or after is None or len(before) + len(after) < MANY:
        return f"{shown(change.setting, change.before, room)} → {shown(change.setting, change.after, room)}"
    added, removed = _without(change.after, change.before), _without(change.before, change.after)
    parts = [f"added {shown(change.setting, added, room)}"] if added else []
    parts += [f"removed {shown(change.setting, removed, room)}"] if removed else []
    return f"{len(before)} → {len(after)} ({'; '.join(parts)})"


def changed_view(revision: Revision) -> ui.LayoutView:
    """The answer to a command that changes something."""
    if not revision.changes:
        return _view(ui.TextDisplay(NOTHING_CHANGED), colour=GREY)
    return _view(ui.TextDisplay(change_lines(revision.changes)), ui.TextDisplay(SEE_CHANGES))


def all_settings_view(values: dict[str, Any]) -> ui.LayoutView:
    """Every setting in a line, by theme."""
    parts: list[ui.Item[Any]] = [ui.TextDisplay("## Settings of this server")]
    for theme in Theme:
        lines = [f"**{title(name)}:** {shown(name, values[name], ROOM_IN_LIST)}" for name in names_of(theme)]
        parts.append(ui.TextDisplay("\n".join([f"### {theme.emoji} {theme.heading}", *lines])))
    return _view(*parts)


def history_view(page: TrailPage) -> ui.LayoutView:
    """Who changed what, and when; newest first, with a button that goes on."""
    if not page.entries:
        return _view(ui.TextDisplay(NO_HISTORY), colour=GREY)
    parts: list[ui.Item[Any]] = [ui.TextDisplay("## What changed"), *map(_told, page.entries)]
    if page.older_than is not None:
        custom_id = SettingsPress(page=HISTORY, setting=str(page.older_than)).custom_id
        parts.append(ui.ActionRow(ui.Button(label="Older", style=ButtonStyle.secondary, custom_id=custom_id)))
    return _view(*parts)


def export_view(text: str) -> tuple[ui.LayoutView, tuple[discord.File, ...]]:
    """The settings as a file."""
    file = discord.File(io.BytesIO(text.encode()), filename=FILE_NAME)
    return _view(ui.TextDisplay(EXPORTED), ui.File(file)), (file,)


def _told(entry: TrailEntry) -> ui.TextDisplay[Any]:
    line = f"**{title(entry.change.setting)}:** {before_and_after(entry.change, ROOM_IN_HISTORY)}"
    return ui.TextDisplay(f"{line}\n-# by <@{entry.changed_by}> {discord.utils.format_dt(entry.changed_at, 'f')}")


def _items(value: Any) -> list[Any] | None:
    """What a list holds, or an object, by its names; None for anything else."""
    if isinstance(value, dict):
        return list(cast("dict[str, Any]", value))
    return cast("list[Any]", value) if isinstance(value, list) else None


def _without(value: Any, other: Any) -> Any:
    """What stands in the one list or object and not so in the other."""
    if isinstance(value, dict):
        given, old = cast("dict[str, Any]", value), cast("dict[str, Any]", other)
        return {key: item for key, item in given.items() if old.get(key) != item}
    return [item for item in cast("list[Any]", value) if item not in other]


def _view(*parts: ui.Item[Any], colour: int = PINK) -> ui.LayoutView:
    view = ui.LayoutView(timeout=None)
    view.add_item(ui.Container(*parts, accent_colour=colour))
    return view
