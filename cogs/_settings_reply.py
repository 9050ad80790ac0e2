"""Answers every command that changes a setting."""

from __future__ import annotations

from bot.chat.replies import Interaction, actor_of, answer, defer_ephemeral
from bot.chat.settings.changes import changed_view
from bot.domain.guild_settings.audit_log import Edit
from bot.domain.guild_settings.settings import GuildSettings
from bot.errors import NotAllowedError
from bot.services.guild_settings import GuildSettingsService


async def revise(rules: GuildSettingsService, interaction: Interaction, edit: Edit) -> None:
    """Changes a setting, and shows the values before and after."""
    await defer_ephemeral(interaction)
    await answer(interaction, changed_view(await rules.revise(actor_of(interaction), edit)))


async def settings_for_choices(rules: GuildSettingsService, interaction: Interaction) -> GuildSettings | None:
    """Returns the settings for the list that appears while a member types; None for those who may not see them."""
    try:
        return await rules.read(actor_of(interaction))
    except NotAllowedError:
        return None
