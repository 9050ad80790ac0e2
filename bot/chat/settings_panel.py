"""The settings panel: a page for each theme, its values, and what changes them. Pure; nothing here talks to Discord.

Discord's limits: 40 components with all that is nested, 4,000 characters of text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from discord import ButtonStyle, SelectOption, ui

from bot.chat.cards import PINK
from bot.chat.settings_controls import Offer, Values, select_for
from bot.chat.settings_forms import FORM_SETTINGS, ROLE_NUMBERS
from bot.chat.settings_items import THEME, SettingsPress
from bot.chat.settings_text import SETTING_TEXTS, Theme, names_of, shown

Item = ui.Item[Any]

HINT = "-# A change holds at once. `/settings history` shows who changed what."


def panel(theme: Theme, values: Values, offer: Offer, notice: str | None = None) -> ui.LayoutView:
    """One page. `notice` says what has just changed, or why it did not."""
    view = ui.LayoutView(timeout=None)
    view.add_item(ui.Container(*_parts(theme, values, offer, notice), accent_colour=PINK))
    return view


def _parts(theme: Theme, values: Values, offer: Offer, notice: str | None) -> Iterator[Item]:
    yield ui.TextDisplay(f"## {theme.emoji} {theme.heading}")
    yield ui.ActionRow(_themes(theme))
    if notice:
        yield ui.TextDisplay(notice)
    for name in names_of(theme):
        yield ui.Separator()
        yield from _setting(theme, name, values, offer)
    yield ui.Separator()
    yield ui.TextDisplay(HINT)


def _themes(current: Theme) -> ui.Select[Any]:
    options = [
        SelectOption(
            label=theme.heading, value=theme.value, emoji=theme.emoji, description=theme.summary, default=theme is current
        )
        for theme in Theme
    ]
    return ui.Select(custom_id=SettingsPress(page=current, setting=THEME).custom_id, options=options)


def _setting(theme: Theme, name: str, values: Values, offer: Offer) -> Iterator[Item]:
    custom_id = SettingsPress(page=theme, setting=name).custom_id
    text = _text(name, values[name])
    if name in FORM_SETTINGS:
        label = "Set a role" if name in ROLE_NUMBERS else "Change"
        button: ui.Button[Any] = ui.Button(label=label, style=ButtonStyle.secondary, custom_id=custom_id)
        yield ui.Section(text, accessory=button)
        return
    yield ui.TextDisplay(text)
    select = select_for(name, custom_id, values, offer)
    if select is not None:
        yield ui.ActionRow(select)


def _text(name: str, value: Any) -> str:
    meaning = SETTING_TEXTS[name].meaning
    line = f"**{SETTING_TEXTS[name].title}:** {shown(name, value)}"
    return f"{line}\n-# {meaning}" if meaning else line
