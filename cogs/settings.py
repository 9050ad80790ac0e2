"""`/settings`: moderators' decisions for their server, on a panel and by commands."""

from __future__ import annotations

from typing import cast

import discord
from discord import app_commands
from discord.app_commands import Choice, locale_str
from discord.ext import commands

from bot.chat.client import PastelBot
from bot.chat.replies import actor_of, answer, defer_ephemeral
from bot.chat.settings.changes import all_settings_view, changed_view, export_view, history_view
from bot.chat.settings.pages import GROUP_TEXTS
from bot.chat.settings.text import SETTING_TEXTS
from bot.domain.guild_settings.definitions import Group
from bot.domain.guild_settings.serialization import to_values
from bot.services.guild_settings import GuildSettingsService
from bot.services.uploads import UploadPlaces
from cogs._settings_commands import add_setting_commands
from cogs._settings_panel import Panel
from cogs._uploads import read_settings_file

EVERYTHING = "everything"


async def setup(bot: PastelBot) -> None:
    await bot.add_cog(Settings(bot, bot.require(GuildSettingsService), bot.require(UploadPlaces)))


@app_commands.allowed_contexts(guilds=True, dms=False, private_channels=False)
@app_commands.default_permissions(manage_guild=True)
class Settings(
    commands.GroupCog,
    group_name="settings",
    group_description=locale_str("Server settings for moderators. Start with panel"),
):
    """The commands; all answers are for the moderator only. Discord offers it to them alone; the service checks again."""

    def __init__(self, bot: PastelBot, rules: GuildSettingsService, places: UploadPlaces) -> None:
        self._bot = bot
        self._rules = rules
        self._places = places
        self._panel = Panel(rules)
        add_setting_commands(cast("app_commands.Group", self.app_command), rules)  # None only in cogs that are no group

    async def cog_load(self) -> None:
        self._bot.on_settings(self._panel.used)

    @app_commands.command(name="panel", description=locale_str("See and change everything with menus and forms"))
    @app_commands.describe(page=locale_str("Where to start"))
    @app_commands.choices(
        page=[Choice(name=locale_str(text.heading), value=group.value) for group, text in GROUP_TEXTS.items()]
    )
    async def panel(self, interaction: discord.Interaction, page: str = Group.ACCESS.value) -> None:
        await defer_ephemeral(interaction)
        await self._panel.show(interaction, page)

    @app_commands.command(name="show", description=locale_str("See all settings at a glance"))
    async def show(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        await answer(interaction, all_settings_view(to_values(await self._rules.read(actor_of(interaction)))))

    @app_commands.command(name="history", description=locale_str("See who changed what, and when"))
    async def history(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        await answer(interaction, history_view(await self._rules.history(actor_of(interaction))))

    @app_commands.command(name="export", description=locale_str("Get all settings as a file"))
    async def export(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        view, files = export_view(await self._rules.export(actor_of(interaction)))
        await answer(interaction, view, files)

    @app_commands.command(name="import", description=locale_str("Use the settings from a file, all of them or none"))
    @app_commands.describe(file=locale_str("A file from /settings export. Settings that it leaves out stay as they are"))
    async def import_file(self, interaction: discord.Interaction, file: discord.Attachment) -> None:
        await defer_ephemeral(interaction)
        actor = actor_of(interaction)
        actor.managed_guild()  # nobody else makes us fetch a file; `load` checks again
        async with self._places.take(interaction.user.id):
            revision = await self._rules.load(actor, await read_settings_file(file))
        await answer(interaction, changed_view(revision))

    @app_commands.command(name="reset", description=locale_str("Reset one setting, or all of them"))
    @app_commands.describe(setting=locale_str("Which one"))
    @app_commands.choices(
        setting=[
            *(Choice(name=locale_str(text.title), value=name) for name, text in SETTING_TEXTS.items()),
            Choice(name=locale_str("Everything"), value=EVERYTHING),
        ]
    )
    async def reset(self, interaction: discord.Interaction, setting: str) -> None:
        await defer_ephemeral(interaction)
        name = None if setting == EVERYTHING else setting
        await answer(interaction, changed_view(await self._rules.restore(actor_of(interaction), name)))
