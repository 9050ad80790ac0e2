"""Handles the settings panel: turns pages, opens forms, changes settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import discord

from bot.chat.actions import HISTORY, THEME, SettingsPress
from bot.chat.replies import Interaction, actor_of, answer, defer_silently, show_form
from bot.chat.settings.changes import NOTHING_CHANGED, change_lines, history_view
from bot.chat.settings.controls import Offer, chosen_edit
from bot.chat.settings.forms import setting_form, submitted_edit
from bot.chat.settings.panel import panel
from bot.chat.settings.values import in_words
from bot.chat.translation import _
from bot.domain.guild_settings.audit_log import Edit, Revision
from bot.domain.guild_settings.definitions import Group
from bot.domain.guild_settings.serialization import to_values
from bot.errors import InvalidRequestError
from bot.services.guild_settings import GuildSettingsService

NOTICE_LENGTH = 700  # characters beside a page's own


class Panel:
    """Handles presses on the panel. A custom id is untrusted: the service checks the member's rights each time."""

    def __init__(self, rules: GuildSettingsService) -> None:
        self._rules = rules

    async def show(self, interaction: Interaction, page: str, notice: str | None = None) -> None:
        """Replace the answer by a page; an unknown page means the first."""
        group = Group(page) if page in set(Group) else Group.ACCESS
        values = to_values(await self._rules.read(actor_of(interaction)))
        await answer(interaction, panel(group, values, self._offer(interaction), notice))

    async def used(self, interaction: Interaction, press: SettingsPress) -> None:
        """Handle a used select, a pressed button, or a submitted form."""
        is_form = interaction.type is discord.InteractionType.modal_submit
        data = cast("dict[str, Any]", interaction.data)
        if press.page == HISTORY:
            await self._older(interaction, press)
        elif press.setting == THEME:
            await defer_silently(interaction)
            await self.show(interaction, next(iter(data.get("values", [])), press.page))
        elif is_form:
            await self._change(interaction, press, lambda: submitted_edit(press.setting, interaction))
        elif data.get("component_type") == discord.ComponentType.button.value:
            values = to_values(await self._rules.read(actor_of(interaction)))
            await show_form(interaction, setting_form(press, values))
        else:
            chosen = [str(value) for value in data.get("values", [])]
            await self._change(interaction, press, lambda: chosen_edit(press.setting, chosen))

    async def _change(self, interaction: Interaction, press: SettingsPress, edit: Callable[[], Edit]) -> None:
        """Change a setting; a refusal is shown on the panel, with the current values."""
        await defer_silently(interaction)
        try:
            notice = _told(await self._rules.revise(actor_of(interaction), edit()))
        except InvalidRequestError as error:
            notice = _("⚠️ {problem}", problem=in_words(error.sentence))
        await self.show(interaction, press.page, notice)

    async def _older(self, interaction: Interaction, press: SettingsPress) -> None:
        await defer_silently(interaction)
        older_than = int(press.setting) if press.setting.isdecimal() else None
        await answer(interaction, history_view(await self._rules.history(actor_of(interaction), older_than=older_than)))

    def _offer(self, interaction: Interaction) -> Offer:
        guild = interaction.guild
        known = [*guild.channels, *guild.threads, *guild.roles] if guild else []
        return Offer(styles=self._rules.styles, sizes=self._rules.profile.sizes, known=frozenset(item.id for item in known))


def _told(revision: Revision) -> str:
    if not revision.changes:
        return _(NOTHING_CHANGED)
    return f"✅ {change_lines(revision.changes, NOTICE_LENGTH)}"
