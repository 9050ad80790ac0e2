"""`/settings`: what moderators decide for their server, on a panel and by commands."""

from __future__ import annotations

from typing import cast

import discord
from discord import app_commands
from discord.app_commands import Choice, Range
from discord.ext import commands

from bot.chat.client import PastelBot
from bot.chat.replies import actor_of, answer, defer_ephemeral
from bot.chat.settings.changes import all_settings_view, changed_view, export_view, history_view
from bot.chat.settings.text import REUSE_NAMES, SAFETY_NAMES, SETTING_TEXTS, SPOILER_NAMES, Theme
from bot.domain.guild_settings.edits import assign
from bot.domain.guild_settings.serialization import to_values
from bot.domain.request import MAX_PROMPT_LENGTH
from bot.services.guild_settings import GuildSettingsService
from bot.services.uploads import UploadPlaces
from cogs._channels import PostedIn
from cogs._settings_lists import AllowedChannels, BlockedWords, RoleList, Styles
from cogs._settings_numbers import Allowance, Keep, Limit, Priority
from cogs._settings_panel import Panel
from cogs._settings_reply import revise
from cogs._uploads import read_settings_file

EVERYTHING = "everything"


async def setup(bot: PastelBot) -> None:
    await bot.add_cog(Settings(bot, bot.require(GuildSettingsService), bot.require(UploadPlaces)))


@app_commands.allowed_contexts(guilds=True, dms=False, private_channels=False)
@app_commands.default_permissions(manage_guild=True)
class Settings(
    commands.GroupCog, group_name="settings", group_description="For moderators: the rules of this server; begin with panel"
):
    """Everything is for the moderator's eyes only. Discord shows it to them alone, and the service checks them again."""

    def __init__(self, bot: PastelBot, rules: GuildSettingsService, places: UploadPlaces) -> None:
        self._bot = bot
        self._rules = rules
        self._places = places
        self._panel = Panel(rules)
        groups = (
            AllowedChannels(rules),
            RoleList(rules, "allowed_roles", name="roles", description="Who may draw; nobody on the list is everybody"),
            Allowance(rules),
            RoleList(rules, "exempt_roles", name="exempt", description="Roles without a daily limit of this server"),
            Priority(rules),
            Limit(rules),
            Styles(rules),
            BlockedWords(rules),
            Keep(rules),
        )
        command = cast("app_commands.Group", self.app_command)  # None only in cogs that are no group
        for group in groups:
            command.add_command(group)

    async def cog_load(self) -> None:
        self._bot.on_settings(self._panel.used)

    @app_commands.command(name="panel", description="Look at and change everything with menus and forms")
    @app_commands.describe(page="Where to begin")
    @app_commands.choices(page=[Choice(name=theme.heading, value=theme.value) for theme in Theme])
    async def panel(self, interaction: discord.Interaction, page: str = Theme.ACCESS.value) -> None:
        await defer_ephemeral(interaction)
        await self._panel.show(interaction, page)

    @app_commands.command(name="show", description="Show all settings at a glance")
    async def show(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        await answer(interaction, all_settings_view(to_values(await self._rules.read(actor_of(interaction)))))

    @app_commands.command(name="history", description="Show who changed what, and when")
    async def history(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        await answer(interaction, history_view(await self._rules.history(actor_of(interaction))))

    @app_commands.command(name="export", description="Get all settings as a file")
    async def export(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        view, files = export_view(await self._rules.export(actor_of(interaction)))
        await answer(interaction, view, files)

    @app_commands.command(name="import", description="Take over a file of settings, all of it or nothing")
    @app_commands.describe(file="A file that /settings export gave, changed or not; what it does not name stays")
    async def import_file(self, interaction: discord.Interaction, file: discord.Attachment) -> None:
        await defer_ephemeral(interaction)
        actor = actor_of(interaction)
        actor.managed_guild()  # nobody else makes us fetch a file; `load` checks it for itself
        async with self._places.take(interaction.user.id):
            revision = await self._rules.load(actor, await read_settings_file(file))
        await answer(interaction, changed_view(revision))

    @app_commands.command(name="reset", description="Let a setting, or everything, be as in the beginning")
    @app_commands.describe(setting="Which one")
    @app_commands.choices(
        setting=[
            *(Choice(name=text.title, value=name) for name, text in SETTING_TEXTS.items()),
            Choice(name="Everything", value=EVERYTHING),
        ]
    )
    async def reset(self, interaction: discord.Interaction, setting: str) -> None:
        await defer_ephemeral(interaction)
        name = None if setting == EVERYTHING else setting
        await answer(interaction, changed_view(await self._rules.restore(actor_of(interaction), name)))

    @app_commands.command(name="negative-prompt", description="What to leave out for members who say nothing about it")
    @app_commands.describe(text="Tags, such as lowres, bad hands; leave it out for nothing")
    async def negative_prompt(self, interaction: discord.Interaction, text: Range[str, 0, MAX_PROMPT_LENGTH] = "") -> None:
        await revise(self._rules, interaction, assign("default_negative_prompt", text))

    @app_commands.command(name="safety", description="How far pictures may go")
    @app_commands.choices(level=[Choice(name=label, value=value) for value, label in SAFETY_NAMES.items()])
    async def safety(self, interaction: discord.Interaction, level: str) -> None:
        await revise(self._rules, interaction, assign("safety", level))

    @app_commands.command(name="spoilers", description="Which pictures are hidden behind a click")
    @app_commands.choices(pictures=[Choice(name=label, value=value) for value, label in SPOILER_NAMES.items()])
    async def spoilers(self, interaction: discord.Interaction, pictures: str) -> None:
        await revise(self._rules, interaction, assign("spoilers", pictures))

    @app_commands.command(name="reuse", description="Who may reroll, vary and remix a picture")
    @app_commands.choices(who=[Choice(name=label, value=value) for value, label in REUSE_NAMES.items()])
    async def reuse(self, interaction: discord.Interaction, who: str) -> None:
        await revise(self._rules, interaction, assign("others_may_reuse", who == str(True)))

    @app_commands.command(name="reports", description="Where I post what members report; leave it out for nowhere")
    async def reports(self, interaction: discord.Interaction, channel: PostedIn | None = None) -> None:
        await revise(self._rules, interaction, assign("report_channel", channel))
