"""`/moderation`: commands of a server's moderators about its members and their pictures."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.app_commands import Choice, Range, locale_str
from discord.ext import commands

from bot.chat.cards.markdown import shorten
from bot.chat.client import PastelBot
from bot.chat.limits import OPTION_LENGTH
from bot.chat.member_ranks import server_actor_of
from bot.chat.replies import answer, defer_ephemeral, notice
from bot.chat.translation import _
from bot.chat.views.moderation import MAX_BLOCKS, MAX_JOBS, blocked_notice, blocks_view, jobs_view
from bot.domain.moderation import ENDLESS, MAX_REASON_LENGTH, parse_duration
from bot.errors import InvalidRequestError
from bot.messages import translatable
from bot.services.moderation import Moderation as ModerationService

LENGTHS = {
    translatable("1 hour"): "1h",
    translatable("12 hours"): "12h",
    translatable("1 day"): "1d",
    translatable("3 days"): "3d",
    translatable("1 week"): "1w",
    translatable("30 days"): "30d",
    translatable("Until I lift it"): ENDLESS,
}
MAX_TYPED = OPTION_LENGTH  # characters of a length or a link
REMOVED = translatable("Deleted the message and its pictures.")


async def setup(bot: PastelBot) -> None:
    await bot.add_cog(Moderation(bot.require(ModerationService)))


@app_commands.guild_only()
@app_commands.default_permissions(manage_messages=True)  # a hint for Discord's menu; the service checks every time
class Moderation(
    commands.GroupCog, group_name="moderation", group_description=locale_str("For moderators: blocks and pictures")
):
    """The commands; all answers are for the moderator's eyes only."""

    def __init__(self, moderation: ModerationService) -> None:
        self._moderation = moderation

    @app_commands.command(name="block", description=locale_str("Stop a member from drawing in this server"))
    @app_commands.describe(
        member=locale_str("Who"),
        reason=locale_str("Why. The member is told"),
        duration=locale_str("How long: choose, or type 30m, 12h, 3d or 2w (default: until you lift it)"),
    )
    async def block(
        self,
        interaction: discord.Interaction,
        member: discord.User,
        reason: Range[str, 0, MAX_REASON_LENGTH] = "",
        duration: Range[str, 0, MAX_TYPED] = "",
    ) -> None:
        await defer_ephemeral(interaction)
        blocked = await self._moderation.block(
            server_actor_of(interaction), member.id, reason=reason, duration=parse_duration(duration)
        )
        await answer(interaction, notice(blocked_notice(blocked.block, blocked.cancelled)))

    @block.autocomplete("duration")
    async def durations(self, interaction: discord.Interaction, current: str) -> list[Choice[str]]:
        del interaction
        typed = current.strip()[:MAX_TYPED]
        lengths = [(shorten(_(name), OPTION_LENGTH), value) for name, value in LENGTHS.items()]
        fitting = [
            Choice(name=name, value=value) for name, value in lengths if typed.casefold() in f"{name} {value}".casefold()
        ]
        return fitting if fitting or not _is_length(typed) else [Choice(name=typed, value=typed)]

    @app_commands.command(name="unblock", description=locale_str("Let a member draw again"))
    @app_commands.describe(member=locale_str("Who"))
    async def unblock(self, interaction: discord.Interaction, member: discord.User) -> None:
        await defer_ephemeral(interaction)
        await self._moderation.unblock(server_actor_of(interaction), member.id)
        await answer(interaction, notice(_("{member} can draw in this server again.", member=f"<@{member.id}>")))

    @app_commands.command(name="blocks", description=locale_str("Who can't draw in this server"))
    async def blocks(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        await answer(
            interaction, blocks_view(await self._moderation.blocks(server_actor_of(interaction), limit=MAX_BLOCKS + 1))
        )

    @app_commands.command(name="remove", description=locale_str("Delete one of my messages and its pictures"))
    @app_commands.describe(picture=locale_str("Link of the message, or the job id from Details"))
    async def remove(self, interaction: discord.Interaction, picture: Range[str, 1, MAX_TYPED]) -> None:
        await defer_ephemeral(interaction)
        await self._moderation.remove(server_actor_of(interaction), picture)
        await answer(interaction, notice(_(REMOVED)))

    @app_commands.command(name="jobs", description=locale_str("A member's recent pictures in this server"))
    @app_commands.describe(member=locale_str("Who"))
    async def jobs(self, interaction: discord.Interaction, member: discord.User) -> None:
        await defer_ephemeral(interaction)
        found = await self._moderation.recent_jobs(server_actor_of(interaction), member.id, limit=MAX_JOBS)
        await answer(interaction, jobs_view(member.id, found))


def _is_length(typed: str) -> bool:
    try:
        parse_duration(typed)
    except InvalidRequestError:
        return False
    return True
