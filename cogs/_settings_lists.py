"""`/settings` groups for settings that are lists: channels, roles, styles, words."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.app_commands import Choice, Range

from bot.chat.cards.markdown import shorten, visible
from bot.domain.guild_settings.edits import assign, exclude, include
from bot.domain.guild_settings.settings import MAX_WORD_LENGTH
from bot.services.guild_settings import GuildSettingsService
from cogs._channels import DrawnIn
from cogs._settings_reply import revise, settings_for_choices

MAX_CHOICES, CHOICE_LENGTH = 25, 100


class AllowedChannels(app_commands.Group, name="channels", description="Where I draw"):
    """An empty list is every channel."""

    def __init__(self, rules: GuildSettingsService) -> None:
        super().__init__()
        self._rules = rules

    @app_commands.command(name="add", description="Let me draw in this channel; with the first one, in no other")
    async def add(self, interaction: discord.Interaction, channel: DrawnIn) -> None:
        await revise(self._rules, interaction, include("allowed_channels", channel))

    @app_commands.command(name="remove", description="Take a channel out of the list; without any, I draw in all of them")
    async def remove(self, interaction: discord.Interaction, channel: DrawnIn) -> None:
        await revise(self._rules, interaction, exclude("allowed_channels", channel))

    @app_commands.command(name="clear", description="Let me draw in every channel")
    async def clear(self, interaction: discord.Interaction) -> None:
        await revise(self._rules, interaction, assign("allowed_channels", []))


class RoleList(app_commands.Group):
    """A list of roles, `setting`."""

    def __init__(self, rules: GuildSettingsService, setting: str, *, name: str, description: str) -> None:
        super().__init__(name=name, description=description)
        self._rules = rules
        self._setting = setting

    @app_commands.command(name="add", description="Put a role on the list")
    async def add(self, interaction: discord.Interaction, role: discord.Role) -> None:
        await revise(self._rules, interaction, include(self._setting, str(role.id)))

    @app_commands.command(name="remove", description="Take a role off the list")
    async def remove(self, interaction: discord.Interaction, role: discord.Role) -> None:
        await revise(self._rules, interaction, exclude(self._setting, str(role.id)))

    @app_commands.command(name="clear", description="Empty the list")
    async def clear(self, interaction: discord.Interaction) -> None:
        await revise(self._rules, interaction, assign(self._setting, []))


class Styles(app_commands.Group, name="styles", description="Which styles members may choose, and the default"):
    """An empty list is every style."""

    def __init__(self, rules: GuildSettingsService) -> None:
        super().__init__()
        self._rules = rules

    @app_commands.command(name="default", description="The style for members who choose none; leave it out for no style")
    async def default(self, interaction: discord.Interaction, style: str | None = None) -> None:
        name = None if style is None else self._rules.style_name(style)
        await revise(self._rules, interaction, assign("default_style", name))

    @app_commands.command(name="allow", description="Let members choose this style; with the first one, no other")
    async def allow(self, interaction: discord.Interaction, style: str) -> None:
        await revise(self._rules, interaction, include("allowed_styles", self._rules.style_name(style)))

    @app_commands.command(name="disallow", description="Take a style off the list; without any, all may be chosen")
    async def disallow(self, interaction: discord.Interaction, style: str) -> None:
        await revise(self._rules, interaction, exclude("allowed_styles", style))

    @app_commands.command(name="allow-all", description="Let members choose every style")
    async def allow_all(self, interaction: discord.Interaction) -> None:
        await revise(self._rules, interaction, assign("allowed_styles", []))

    @default.autocomplete("style")
    @allow.autocomplete("style")
    async def every_style(self, interaction: discord.Interaction, current: str) -> list[Choice[str]]:
        del interaction
        return choices([style.name for style in self._rules.styles], current)

    @disallow.autocomplete("style")
    async def listed_styles(self, interaction: discord.Interaction, current: str) -> list[Choice[str]]:
        settings = await settings_for_choices(self._rules, interaction)
        return choices(sorted(settings.allowed_styles) if settings else [], current)


class BlockedWords(app_commands.Group, name="words", description="Words that may not stand in prompts here"):
    """The rules about minors hold beside them, whatever stands here."""

    def __init__(self, rules: GuildSettingsService) -> None:
        super().__init__()
        self._rules = rules

    @app_commands.command(name="add", description="Refuse prompts with this word or phrase")
    async def add(self, interaction: discord.Interaction, word: Range[str, 1, MAX_WORD_LENGTH]) -> None:
        await revise(self._rules, interaction, include("blocked_words", word))

    @app_commands.command(name="remove", description="Let prompts hold this word or phrase again")
    async def remove(self, interaction: discord.Interaction, word: Range[str, 1, MAX_WORD_LENGTH]) -> None:
        await revise(self._rules, interaction, exclude("blocked_words", word))

    @app_commands.command(name="clear", description="Block no words")
    async def clear(self, interaction: discord.Interaction) -> None:
        await revise(self._rules, interaction, assign("blocked_words", []))

    @remove.autocomplete("word")
    async def listed_words(self, interaction: discord.Interaction, current: str) -> list[Choice[str]]:
        settings = await settings_for_choices(self._rules, interaction)
        return choices(settings.blocked_words if settings else (), current)


def choices(names: list[str] | tuple[str, ...], current: str) -> list[Choice[str]]:
    """Those of `names` that hold what was typed."""
    typed = current.strip().casefold()
    fitting = [name for name in names if typed in name.casefold()]
    return [Choice(name=shorten(visible(name), CHOICE_LENGTH) or "…", value=name) for name in fitting[:MAX_CHOICES]]
