"""Shows reports in servers' report channels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import discord

from bot.chat.faults import Route, as_messenger_errors
from bot.chat.replies import NOBODY, is_age_restricted
from bot.chat.translation import _
from bot.chat.views.report import render_report
from bot.domain.delivery import DeliveryFault
from bot.domain.report import ReportMessage, ReportNotice
from bot.messages import translatable
from bot.ports import MessengerError

# In this order: without the first, Discord counts the others as missing too; without the second, the third.
POSTING_RIGHTS: Final = {
    "view_channel": translatable("View Channel"),
    "send_messages": translatable("Send Messages"),
    "attach_files": translatable("Attach Files"),
}
CALL_LIMIT: Final = 90.0  # seconds; as for cards, four pictures over a slow line take a while


class DiscordReportMessages:
    """Implements services.report_display.ReportGateway with a logged-in client."""

    def __init__(self, client: discord.Client) -> None:
        self._client = client

    def lacking_right(self, guild_id: int, channel_id: int) -> str | None:
        guild = self._client.get_guild(guild_id)
        if guild is None:
            return None
        channel = guild.get_channel(channel_id)  # the cache also has channels that we may not see
        granted = discord.Permissions.none() if channel is None else channel.permissions_for(guild.me)
        return next((_(name) for right, name in POSTING_RIGHTS.items() if not getattr(granted, right)), None)

    async def post(self, channel_id: int, notice: ReportNotice) -> int:
        async with _call():
            channel = await self._channel(channel_id)
            if channel.guild.id != notice.report.guild_id:  # settings can be imported, so it may be another server's
                raise MessengerError(DeliveryFault.CHANNEL_GONE, "a channel of another server")
            rendered = render_report(notice.fitting(age_restricted=is_age_restricted(channel)))
            message = await self._client.get_partial_messageable(channel_id).send(
                view=rendered.view,
                files=rendered.files,
                nonce=f"report-{notice.report.id}",  # repeated within minutes, it gives the existing message
                allowed_mentions=NOBODY,
            )
        return message.id

    async def edit(self, message: ReportMessage, notice: ReportNotice) -> None:
        found = self._client.get_partial_messageable(message.channel_id).get_partial_message(message.message_id)
        async with _call():
            age_restricted = bool(notice.pictures) and is_age_restricted(await self._channel(message.channel_id))
            rendered = render_report(notice.fitting(age_restricted=age_restricted))
            await found.edit(view=rendered.view, attachments=rendered.files, allowed_mentions=NOBODY)

    async def _channel(self, channel_id: int) -> discord.Thread | discord.abc.GuildChannel:
        """Returns the channel. Raises MessengerError where it is not a server's."""
        channel = self._client.get_channel(channel_id) or await self._client.fetch_channel(channel_id)
        if not isinstance(channel, discord.Thread | discord.abc.GuildChannel):
            raise MessengerError(DeliveryFault.CHANNEL_GONE, "a channel of no server")
        return channel


@asynccontextmanager
async def _call() -> AsyncGenerator[None]:
    with as_messenger_errors(Route.BOT):
        async with asyncio.timeout(CALL_LIMIT):
            yield
