"""`/moderation`: what those who moderate a server do about its members and their pictures."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.app_commands import Choice, Range
from discord.ext import commands

from bot.chat.client import PastelBot
from bot.chat.member_ranks import server_actor_of
from bot.chat.replies import answer, defer_ephemeral, notice
from bot.chat.views.moderation import MAX_BLOCKS, MAX_JOBS, blocked_notice, blocks_view, jobs_view
from bot.domain.moderation import ENDLESS, MAX_REASON_LENGTH, parse_duration
from bot.errors import InvalidRequestError
from bot.services.moderation import Moderation as ModerationService

LENGTHS = {
    "1 hour": "1h",
    "12 hours": "12h",
    "1 day": "1d",
    "3 days": "3d",
    "1 week": "1w",
    "30 days": "30d",
    "without an end": ENDLESS,
}
MAX_TYPED = 100  # characters of a length or a link; also Discord's limit of a choice
REMOVED = "Removed: the message and its pictures."


async def setup(bot: PastelBot) -> None:
    await bot.add_cog(Moderation(bot.require(ModerationService)))


@app_commands.guild_only()
@app_commands.default_permissions(manage_messages=True)  # a hint for Discord's menu; the service checks every time
class Moderation(commands.GroupCog, group_name="moderation", group_description="For moderators: blocks and pictures"):
    """Everything is for the moderator's eyes only."""

    def __init__(self, moderation: ModerationService) -> None:
        self._moderation = moderation

    @app_commands.command(name="block", description="For moderators: let a member draw nothing in this server")
    @app_commands.describe(
        member="Who",
        reason="Why; the member is told",
        duration="How long: choose, or type 30m, 12h, 3d or 2w (default: until somebody lifts it)",
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
        fitting = [Choice(name=name, value=value) for name, value in LENGTHS.items() if typed.casefold() in f"{name} {value}"]
        return fitting if fitting or not _is_length(typed) else [Choice(name=typed, value=typed)]

    @app_commands.command(name="unblock", description="For moderators: let a member draw again")
    @app_commands.describe(member="Who")
    async def unblock(self, interaction: discord.Interaction, member: discord.User) -> None:
        await defer_ephemeral(interaction)
        await self._moderation.unblock(server_actor_of(interaction), member.id)
        await answer(interaction, notice(f"<@{member.id}> can draw in this server again."))

    @app_commands.command(name="blocks", description="For moderators: who cannot draw in this server")
    async def blocks(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        await answer(
            interaction, blocks_view(await self._moderation.blocks(server_actor_of(interaction), limit=MAX_BLOCKS + 1))
        )

    @app_commands.command(name="remove", description="For moderators: delete a message of mine and its pictures")
    @app_commands.describe(picture="Link of the message, or the job's id from Details")
    async def remove(self, interaction: discord.Interaction, picture: Range[str, 1, MAX_TYPED]) -> None:
        await defer_ephemeral(interaction)
        await self._moderation.remove(server_actor_of(interaction), picture)
        await answer(interaction, notice(REMOVED))

    @app_commands.command(name="jobs", description="For moderators: what a member asked for lately in this server")
    @app_commands.describe(member="Who")
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
