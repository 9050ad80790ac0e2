"""`/quota`: a member's credits, and moderators' grants."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.app_commands import Range, locale_str
from discord.ext import commands

from bot.chat.client import PastelBot
from bot.chat.replies import actor_of, answer, defer_ephemeral, notice, origin_of
from bot.chat.translation import _
from bot.chat.views.quota import quota_view
from bot.domain.quota import MAX_GRANT, in_credits
from bot.errors import InvalidRequestError
from bot.messages import translatable
from bot.services.quotas import Quotas

NO_BOTS = translatable("Bots can't draw here. Choose a member.")


async def setup(bot: PastelBot) -> None:
    await bot.add_cog(Quota(bot.require(Quotas)))


class Quota(commands.GroupCog, group_name="quota", group_description=locale_str("What you can draw today")):
    """The commands; all answers are for the member's eyes only."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas

    @app_commands.command(name="show", description=locale_str("Show what you have left today, and when it renews"))
    async def show(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        await answer(interaction, quota_view(await self._quotas.balance(origin_of(interaction))))

    @app_commands.command(name="grant", description=locale_str("Give a member credits that don't expire (for moderators)"))
    @app_commands.describe(
        member=locale_str("Who gets them"), credits=locale_str("How many. 1 credit ≈ one 1024 × 1024 picture at 28 steps")
    )
    async def grant(self, interaction: discord.Interaction, member: discord.User, credits: Range[int, 1, MAX_GRANT]) -> None:
        await defer_ephemeral(interaction)
        if member.bot:
            raise InvalidRequestError(NO_BOTS)
        usage = await self._quotas.grant(credits, user_id=member.id, actor=actor_of(interaction), interaction_id=interaction.id)
        await answer(
            interaction,
            notice(_("Done: {member} now has {credits} granted.", member=f"<@{member.id}>", credits=in_credits(usage.granted))),
        )
