"""Asks Discord who moderates a server, and which rights a member has there."""

from __future__ import annotations

import asyncio
from typing import Final

import aiohttp
import discord

from bot.chat.replies import Interaction
from bot.domain.job import Actor
from bot.domain.moderation import Rank

CALL_LIMIT: Final = 10.0  # seconds


class DiscordMemberRanks:
    """Implements moderation.MemberRankGateway. One request a question: without the members intent the cache has nobody."""

    def __init__(self, client: discord.Client) -> None:
        self._client = client

    async def rank(self, guild_id: int, user_id: int) -> Rank:
        if self._client.user is not None and user_id == self._client.user.id:
            return Rank.BOT
        guild = self._client.get_guild(guild_id)
        if guild is None:
            return Rank.UNKNOWN
        if user_id == guild.owner_id:
            return Rank.MANAGER
        try:
            async with asyncio.timeout(CALL_LIMIT):
                member = await guild.fetch_member(user_id)
        except (discord.DiscordException, aiohttp.ClientError, OSError):  # OSError: no answer in time, too
            return Rank.UNKNOWN
        if member.bot:
            return Rank.BOT
        return Rank.MANAGER if member.guild_permissions.manage_guild else Rank.MEMBER


def server_actor_of(interaction: Interaction) -> Actor:
    """Returns the invoking member, with the rights that their roles give them in the whole server.

    A right to manage messages in one channel alone does not reach the others, so unlike `replies.actor_of`, this looks at no
    channel. Roles that the cache does not know give nothing.
    """
    user = interaction.user
    if interaction.guild_id is None or not isinstance(user, discord.Member):
        return Actor(user_id=user.id)
    granted = user.guild_permissions
    return Actor(
        user_id=user.id,
        guild_id=interaction.guild_id,
        manages_messages=granted.manage_messages,
        manages_guild=granted.manage_guild,
    )
