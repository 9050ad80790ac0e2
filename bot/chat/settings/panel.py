"""Builds the settings panel: a page for each theme, with values and controls. Pure; nothing here talks to Discord.

Discord's limits: 40 components with all that is nested, 4,000 characters of text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from discord import ButtonStyle, SelectOption, ui

from bot.chat.actions import THEME, SettingsPress
from bot.chat.cards.card import PINK
from bot.chat.settings.controls import Offer, select_for
from bot.chat.settings.forms import has_form
from bot.chat.settings.pages import GROUP_TEXTS, HEADING
from bot.chat.settings.text import SETTING_TEXTS
from bot.chat.settings.values import Values, shown, title
from bot.chat.translation import _, rendered
from bot.domain.guild_settings.definitions import SETTINGS, Group, settings_in
from bot.domain.guild_settings.kinds import RoleNumbers
from bot.messages import translatable

Item = ui.Item[Any]

FIRST_ID = 1_000
"""Each select has a unique id, since clients remember choices by it; with ids by Discord, pages would share them."""

HINT = translatable("-# Changes apply right away. `/settings history` shows who changed what.")


def panel(group: Group, values: Values, offer: Offer, notice: str | None = None) -> ui.LayoutView:
    """Returns one page. `notice` says what has just changed, or why it did not."""
    view = ui.LayoutView(timeout=None)
    view.add_item(ui.Container(*_parts(group, values, offer, notice), accent_colour=PINK))
    return view


def _parts(group: Group, values: Values, offer: Offer, notice: str | None) -> Iterator[Item]:
    yield ui.TextDisplay(_(HEADING))
    yield ui.ActionRow(_themes(group))
    if notice:
        yield ui.TextDisplay(notice)
    for name in settings_in(group):
        yield ui.Separator()
        yield from _setting(group, name, values, offer)
    yield ui.Separator()
    yield ui.TextDisplay(_(HINT))


def _themes(current: Group) -> ui.Select[Any]:
    options = [
        SelectOption(
            label=_(text.heading),
            value=group.value,
            emoji=text.emoji,
            description=_(text.summary),
            default=group is current,
        )
        for group, text in GROUP_TEXTS.items()
    ]
    return ui.Select(custom_id=SettingsPress(page=current, setting=THEME).custom_id, options=options)


def _setting(group: Group, name: str, values: Values, offer: Offer) -> Iterator[Item]:
    custom_id = SettingsPress(page=group, setting=name).custom_id
    if has_form(name):
        label = _("Set a role") if isinstance(SETTINGS[name].kind, RoleNumbers) else _("Change")
        button: ui.Button[Any] = ui.Button(label=label, style=ButtonStyle.secondary, custom_id=custom_id)
        yield ui.Section(_text(name, shown(name, values[name])), accessory=button)
        return
    select = select_for(name, custom_id, values, offer)
    yield ui.TextDisplay(_text(name, "" if _says_it(select, values[name]) else shown(name, values[name])))
    if select is not None:
        select.id = FIRST_ID + list(SETTINGS).index(name)
        yield ui.ActionRow(select)


def _says_it(select: Item | None, value: Any) -> bool:
    """Returns whether the select shows the value: as its only choice, or none by its placeholder."""
    return select is not None and (not value or (isinstance(select, ui.Select) and select.max_values == 1))


def _text(name: str, value: str) -> str:
    meaning = SETTING_TEXTS[name].meaning
    line = _("**{title}:** {value}", title=title(name), value=value) if value else f"**{title(name)}**"
    return line if meaning is None else f"{line}\n-# {rendered(meaning)}"
