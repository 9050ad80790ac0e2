"""Tells which channels of a server a member can see; reads the cache only, since it runs before the first answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import discord


def sight_of(interaction: discord.Interaction[Any]) -> Callable[[int], bool]:
    """Returns a predicate: can the invoking member see this channel id? Moderators of the whole server see everything."""
    guild, member = interaction.guild, interaction.user

    def sees(channel_id: int) -> bool:
        if guild is None or not isinstance(member, discord.Member):
            return False
        granted = member.guild_permissions
        if granted.manage_messages or granted.manage_guild:
            return True
        channel = guild.get_channel_or_thread(channel_id)
        return channel is not None and _is_seen(channel, member)

    return sees


def _is_seen(channel: discord.Thread | discord.abc.GuildChannel, member: discord.Member) -> bool:
    if not isinstance(channel, discord.Thread):
        return channel.permissions_for(member).view_channel
    if channel.parent is None:
        return False
    granted = channel.permissions_for(member)
    is_open = not channel.is_private() or granted.manage_threads or any(one.id == member.id for one in channel.members)
    return granted.view_channel and is_open
