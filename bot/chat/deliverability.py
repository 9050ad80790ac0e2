"""Checks, before a request is accepted, that its pictures can be shown where the member asks.

After the interaction's token has expired, results are shown with the bot's own rights.
"""

from __future__ import annotations

from typing import Final

import discord

from bot.chat.replies import Interaction
from bot.chat.translation import _
from bot.errors import NotAllowedError
from bot.messages import translatable

PERMISSIONS: Final = {
    "view_channel": translatable("View Channel"),
    "send_messages": translatable("Send Messages"),
    "send_messages_in_threads": translatable("Send Messages in Threads"),
    "attach_files": translatable("Attach Files"),
}
NOT_IN_SERVER: Final = translatable(
    "This server has my commands but not me, so I can't post pictures here. Ask a moderator to add me again, as a bot."
)
NOT_IN_THREAD: Final = translatable(
    "I'm not in this private thread, so I can't post pictures here. Mention me (type @ and my name) to add me, then try again."
)
NOT_ALLOWED: Final = translatable("I can't post pictures in this channel. A moderator can allow me to: {permissions}.")


def require_reach(interaction: Interaction) -> None:
    """Raises NotAllowedError naming the rights that the bot lacks here to show a result. The first answer needs none."""
    if interaction.guild_id is None:
        return
    guild = interaction.client.get_guild(interaction.guild_id)
    if guild is None:  # with the guilds intent, the cache has every server that the bot is in
        raise NotAllowedError(NOT_IN_SERVER)
    granted, channel = interaction.app_permissions, interaction.channel
    if granted.administrator:
        return
    in_thread = isinstance(channel, discord.Thread)
    needed = ("view_channel", "send_messages_in_threads" if in_thread else "send_messages", "attach_files")
    missing = [PERMISSIONS[name] for name in needed if not getattr(granted, name)]
    if missing:
        raise NotAllowedError(NOT_ALLOWED, permissions=", ".join(f"**{_(name)}**" for name in missing))
    if isinstance(channel, discord.Thread) and channel.is_private():
        known = guild.get_thread(channel.id)
        if known is None or known.me is None:
            raise NotAllowedError(NOT_IN_THREAD)
