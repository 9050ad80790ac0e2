"""Messages about a server's settings: after a change, the history, all settings, and the file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, cast

import discord
from discord import ButtonStyle, ui

from bot.chat.actions import HISTORY, SettingsPress
from bot.chat.cards.card import GREY, PINK
from bot.chat.settings.pages import GROUP_TEXTS, HEADING
from bot.chat.settings.values import Values, shown, title
from bot.chat.translation import _, plural
from bot.domain.guild_settings.audit_log import Change, Revision, TrailEntry, TrailPage
from bot.domain.guild_settings.definitions import settings_in
from bot.messages import translatable

FILE_NAME = "pastel-settings.json"
NOTHING_CHANGED = translatable("Nothing to change: that's already set.")
NO_HISTORY = translatable("Nobody has changed a setting of this server yet. Start with `/settings panel`.")
EXPORTED = translatable(
    "These are all the settings of this server. `/settings import` takes them back. "
    "Channels and roles are stored by their ids, so leave those lines out for another server."
)
SEE_CHANGES = translatable("-# `/settings history` shows who changed what, `/settings reset` takes it back")
MANY = 6  # items before and after; longer lists show what was added and removed
MAX_LINES = 3_400  # characters; Discord takes 4,000 in one message, and its other parts need some
ROOM_IN_LINE, ROOM_IN_HISTORY, ROOM_IN_LIST = 200, 100, 110


def change_lines(changes: Sequence[Change], room: int = MAX_LINES) -> str:
    """Returns a line for each setting that changed, before → after; as many as there is room for."""
    lines: list[str] = []
    for change in changes:
        line = change_line(change, ROOM_IN_LINE)
        if lines and len("\n".join([*lines, line])) > room:
            left = len(changes) - len(lines)
            more = plural("-# and {count} more; see `/settings history`", "-# and {count} more; see `/settings history`", left)
            return "\n".join([*lines, more])
        lines.append(line)
    return "\n".join(lines)


def change_line(change: Change, room: int) -> str:
    """Returns both values; of long lists, what was added and what was removed."""
    name, called = change.setting, title(change.setting)
    before, after = _items(change.before), _items(change.after)
    if before is None or after is None or len(before) + len(after) < MANY:
        values = {"before": shown(name, change.before, room), "after": shown(name, change.after, room)}
        return _("**{title}:** {before} → {after}", title=called, **values)
    added, removed = _without(change.after, change.before), _without(change.before, change.after)
    counts = {"title": called, "before": len(before), "after": len(after)}
    if not removed:
        return _("**{title}:** {before} → {after} (added {added})", added=shown(name, added, room), **counts)
    if not added:
        return _("**{title}:** {before} → {after} (removed {removed})", removed=shown(name, removed, room), **counts)
    return _(
        "**{title}:** {before} → {after} (added {added}; removed {removed})",
        added=shown(name, added, room),
        removed=shown(name, removed, room),
        **counts,
    )


def changed_view(revision: Revision) -> ui.LayoutView:
    """Returns the answer to a command that changes something."""
    if not revision.changes:
        return _view(ui.TextDisplay(_(NOTHING_CHANGED)), colour=GREY)
    return _view(ui.TextDisplay(change_lines(revision.changes)), ui.TextDisplay(_(SEE_CHANGES)))


def all_settings_view(values: Values) -> ui.LayoutView:
    """Returns every setting in a line, by page."""
    parts: list[ui.Item[Any]] = [ui.TextDisplay(_(HEADING))]
    for group, text in GROUP_TEXTS.items():
        lines = [
            _("**{title}:** {value}", title=title(name), value=shown(name, values[name], ROOM_IN_LIST))
            for name in settings_in(group)
        ]
        parts.append(ui.TextDisplay("\n".join([f"### {text.emoji} {_(text.heading)}", *lines])))
    return _view(*parts)


def history_view(page: TrailPage) -> ui.LayoutView:
    """Returns who changed what, and when; newest first, with a button for older changes."""
    if not page.entries:
        return _view(ui.TextDisplay(_(NO_HISTORY)), colour=GREY)
    parts: list[ui.Item[Any]] = [ui.TextDisplay(_("## What changed")), *map(_told, page.entries)]
    if page.older_than is not None:
        custom_id = SettingsPress(page=HISTORY, setting=str(page.older_than)).custom_id
        parts.append(ui.ActionRow(ui.Button(label=_("Older"), style=ButtonStyle.secondary, custom_id=custom_id)))
    return _view(*parts)


def export_view(text: str) -> tuple[ui.LayoutView, tuple[discord.File, ...]]:
    """Returns the settings as a file."""
    file = discord.File(io.BytesIO(text.encode()), filename=FILE_NAME)
    return _view(ui.TextDisplay(_(EXPORTED)), ui.File(file)), (file,)


def _told(entry: TrailEntry) -> ui.TextDisplay[Any]:
    member, when = f"<@{entry.changed_by}>", discord.utils.format_dt(entry.changed_at, "f")
    by = _("-# by {member} {when}", member=member, when=when)
    return ui.TextDisplay(f"{change_line(entry.change, ROOM_IN_HISTORY)}\n{by}")


def _items(value: Any) -> list[Any] | None:
    """Returns the items of a list, or the names of an object; None for anything else."""
    if isinstance(value, dict):
        return list(cast("dict[str, Any]", value))
    return cast("list[Any]", value) if isinstance(value, list) else None


def _without(value: Any, other: Any) -> Any:
    """Returns the part of one list or object that is missing or different in the other."""
    if isinstance(value, dict):
        given, old = cast("dict[str, Any]", value), cast("dict[str, Any]", other)
        return {key: item for key, item in given.items() if old.get(key) != item}
    return [item for item in cast("list[Any]", value) if item not in other]


def _view(*parts: ui.Item[Any], colour: int = PINK) -> ui.LayoutView:
    view = ui.LayoutView(timeout=None)
    view.add_item(ui.Container(*parts, accent_colour=colour))
    return view
