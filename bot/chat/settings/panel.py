"""The settings panel: a page for each theme, its values, and what changes them. Pure; nothing here talks to Discord.

Discord's limits: 40 components with all that is nested, 4,000 characters of text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from discord import ButtonStyle, SelectOption, ui

from bot.chat.cards.card import PINK
from bot.chat.settings.controls import Offer, Values, select_for
from bot.chat.settings.forms import FORM_SETTINGS, ROLE_NUMBERS
from bot.chat.settings.items import THEME, SettingsPress
from bot.chat.settings.text import SETTING_TEXTS, Theme, names_of, shown
from bot.domain.guild_settings.settings import SETTING_NAMES

Item = ui.Item[Any]

FIRST_ID = 1_000
"""Each select has an id of its own, since clients remember by it what was chosen; left to Discord, pages would share them."""

HEADING = "## Settings of this server"
HINT = "-# A change holds at once. `/settings history` shows who changed what."


def panel(theme: Theme, values: Values, offer: Offer, notice: str | None = None) -> ui.LayoutView:
    """One page. `notice` says what has just changed, or why it did not."""
    view = ui.LayoutView(timeout=None)
    view.add_item(ui.Container(*_parts(theme, values, offer, notice), accent_colour=PINK))
    return view


def _parts(theme: Theme, values: Values, offer: Offer, notice: str | None) -> Iterator[Item]:
    yield ui.TextDisplay(HEADING)
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
    if name in FORM_SETTINGS:
        label = "Set a role" if name in ROLE_NUMBERS else "Change"
        button: ui.Button[Any] = ui.Button(label=label, style=ButtonStyle.secondary, custom_id=custom_id)
        yield ui.Section(_text(name, shown(name, values[name])), accessory=button)
        return
    select = select_for(name, custom_id, values, offer)
    yield ui.TextDisplay(_text(name, "" if _says_it(select, values[name]) else shown(name, values[name])))
    if select is not None:
        select.id = FIRST_ID + SETTING_NAMES.index(name)
        yield ui.ActionRow(select)


def _says_it(select: Item | None, value: Any) -> bool:
    """Whether the select shows the value: its only choice, or by its placeholder that there is none."""
    return select is not None and (not value or (isinstance(select, ui.Select) and select.max_values == 1))


def _text(name: str, value: str) -> str:
    text = SETTING_TEXTS[name]
    line = f"**{text.title}:** {value}" if value else f"**{text.title}**"
    return f"{line}\n-# {text.meaning}" if text.meaning else line
