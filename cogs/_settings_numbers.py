"""`/settings` groups for settings that are numbers: allowances, priorities, limits, days."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.app_commands import Choice, Range

from bot.chat.settings.controls import size_choices
from bot.domain.guild_settings.edits import assign, give_role
from bot.domain.guild_settings.settings import MAX_ALLOWANCE, MAX_DAYS, MAX_PIXELS, MAX_PRIORITY, MAX_WAITING, MIN_PIXELS
from bot.domain.request import MAX_IMAGES, MAX_STEPS
from bot.services.guild_settings import GuildSettingsService
from cogs._settings_reply import revise

MAX_CHOICES = 25


class Allowance(app_commands.Group, name="allowance", description="Credits that members may use a day (UTC)"):
    """Everybody's, and those of roles."""

    def __init__(self, rules: GuildSettingsService) -> None:
        super().__init__()
        self._rules = rules

    @app_commands.command(name="everybody", description="Credits a day for each member; leave them out for what my host set")
    async def everybody(self, interaction: discord.Interaction, credits: Range[int, 0, MAX_ALLOWANCE] | None = None) -> None:
        await revise(self._rules, interaction, assign("daily_credits", credits))

    @app_commands.command(name="role", description="Credits a day for members with a role; their largest allowance counts")
    async def role(self, interaction: discord.Interaction, role: discord.Role, credits: Range[int, 0, MAX_ALLOWANCE]) -> None:
        await revise(self._rules, interaction, give_role("role_credits", str(role.id), credits))

    @app_commands.command(name="remove", description="Give a role no credits of its own")
    async def remove(self, interaction: discord.Interaction, role: discord.Role) -> None:
        await revise(self._rules, interaction, give_role("role_credits", str(role.id), None))

    @app_commands.command(name="clear", description="Give no role credits of its own")
    async def clear(self, interaction: discord.Interaction) -> None:
        await revise(self._rules, interaction, assign("role_credits", {}))


class Priority(app_commands.Group, name="priority", description="Whose turn comes more often in this server's queue"):
    """Shares of the queue by role."""

    def __init__(self, rules: GuildSettingsService) -> None:
        super().__init__()
        self._rules = rules

    @app_commands.command(name="role", description="How many turns members with a role get for one of the others")
    async def role(self, interaction: discord.Interaction, role: discord.Role, turns: Range[int, 1, MAX_PRIORITY]) -> None:
        await revise(self._rules, interaction, give_role("role_priorities", str(role.id), turns))

    @app_commands.command(name="remove", description="Give a role no priority")
    async def remove(self, interaction: discord.Interaction, role: discord.Role) -> None:
        await revise(self._rules, interaction, give_role("role_priorities", str(role.id), None))

    @app_commands.command(name="clear", description="Give no role any priority")
    async def clear(self, interaction: discord.Interaction) -> None:
        await revise(self._rules, interaction, assign("role_priorities", {}))


class Limit(app_commands.Group, name="limit", description="The most that one member or one request may have here"):
    """Left out, a number stands for no limit of this server's."""

    def __init__(self, rules: GuildSettingsService) -> None:
        super().__init__()
        self._rules = rules

    @app_commands.command(name="waiting", description="Jobs that a member may have waiting; leave it out for no limit here")
    async def waiting(self, interaction: discord.Interaction, most: Range[int, 1, MAX_WAITING] | None = None) -> None:
        await revise(self._rules, interaction, assign("waiting_jobs", most))

    @app_commands.command(name="size", description="Pixels of a picture; leave it out for no limit here")
    async def size(self, interaction: discord.Interaction, most: Range[int, MIN_PIXELS, MAX_PIXELS] | None = None) -> None:
        await revise(self._rules, interaction, assign("max_pixels", most))

    @size.autocomplete("most")
    async def sizes(self, interaction: discord.Interaction, current: str) -> list[Choice[int]]:
        """What was typed so far decides nothing: there are few sizes, and nobody knows their pixels by heart."""
        del interaction, current
        return [Choice(name=label, value=amount) for label, amount in size_choices(self._rules.profile.sizes)][:MAX_CHOICES]

    @app_commands.command(name="steps", description="Steps of a picture; leave it out for no limit here")
    async def steps(self, interaction: discord.Interaction, most: Range[int, 1, MAX_STEPS] | None = None) -> None:
        await revise(self._rules, interaction, assign("max_steps", most))

    @app_commands.command(name="pictures", description="Pictures at once; leave it out for no limit here")
    async def pictures(self, interaction: discord.Interaction, most: Range[int, 1, MAX_IMAGES] | None = None) -> None:
        await revise(self._rules, interaction, assign("max_images", most))


class Keep(app_commands.Group, name="keep", description="After how many days I delete what I keep"):
    """Left out, a number stands for as long as the host keeps things."""

    def __init__(self, rules: GuildSettingsService) -> None:
        super().__init__()
        self._rules = rules

    @app_commands.command(name="pictures", description="Days that I keep pictures; leave it out for as long as my host allows")
    async def pictures(self, interaction: discord.Interaction, days: Range[int, 1, MAX_DAYS] | None = None) -> None:
        await revise(self._rules, interaction, assign("picture_days", days))

    @app_commands.command(
        name="prompts", description="Days that I keep prompts and their pictures; leave it out for as long as my host allows"
    )
    async def prompts(self, interaction: discord.Interaction, days: Range[int, 1, MAX_DAYS] | None = None) -> None:
        await revise(self._rules, interaction, assign("prompt_days", days))
