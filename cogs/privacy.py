"""`/privacy`: shows, exports and deletes what is stored of a member."""

from __future__ import annotations

from contextlib import aclosing

import discord
from discord import app_commands
from discord.app_commands import locale_str
from discord.ext import commands

from bot.chat.actions import ERASE, Press
from bot.chat.client import PastelBot
from bot.chat.replies import NOBODY, Interaction, actor_of, answer, defer_ephemeral, defer_silently, notice
from bot.chat.views.privacy import asked_by, export_view, outcome, privacy_view, question_view
from bot.services.privacy import Privacy as PrivacyService


async def setup(bot: PastelBot) -> None:
    await bot.add_cog(Privacy(bot, bot.require(PrivacyService)))


class Privacy(commands.GroupCog, group_name="privacy", group_description=locale_str("What I keep about you")):
    """The commands; all answers are for the member's eyes only, and about themselves only."""

    def __init__(self, bot: PastelBot, privacy: PrivacyService) -> None:
        self._bot = bot
        self._privacy = privacy

    async def cog_load(self) -> None:
        self._bot.on_action(ERASE, self.erase)

    @app_commands.command(name="show", description=locale_str("What I keep about you, for how long, and who can see it"))
    async def show(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        guild_id = interaction.guild_id
        holdings = await self._privacy.holdings(interaction.user.id)
        times = await self._privacy.times(guild_id)
        await answer(interaction, privacy_view(holdings, times, in_server=guild_id is not None))

    @app_commands.command(name="export", description=locale_str("Everything I keep about you, as a file"))
    async def export(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        answered = False
        async with aclosing(self._privacy.export(interaction.user.id, max_bytes=interaction.filesize_limit)) as files:
            async for file in files:
                view, attachments = export_view(file, is_first=not answered)
                if not answered:
                    await answer(interaction, view, attachments)
                else:
                    view.stop()
                    await interaction.followup.send(view=view, files=list(attachments), ephemeral=True, allowed_mentions=NOBODY)
                answered = True

    @app_commands.command(name="delete", description=locale_str("Delete everything I keep about you (asks first)"))
    async def delete(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        holdings = await self._privacy.holdings(interaction.user.id)
        await answer(interaction, question_view(interaction.user.id, holdings))

    async def erase(self, interaction: Interaction, press: Press) -> None:
        """Erases after a press of the confirmation, whose message is replaced, so that nobody presses it twice."""
        await defer_silently(interaction)
        erased = await self._privacy.erase(asked_by(press), actor_of(interaction))
        await answer(interaction, notice(outcome(erased)))
