"""Fetches what members attached, from Discord, within bounds."""

from __future__ import annotations

import asyncio
from typing import Final

import aiohttp
import discord

from bot.domain.image import MAX_UPLOAD_BYTES
from bot.errors import InvalidRequestError
from bot.messages import translatable

READ_LIMIT: Final = 30.0  # seconds
UNREADABLE = translatable("I couldn't get your picture from Discord. Try again, or attach it once more.")


class DiscordAttachments:
    """Implements services.intakes.AttachmentGateway with a logged-in client."""

    def __init__(self, client: discord.Client) -> None:
        self._client = client

    async def fetch(self, url: str) -> bytes:
        try:
            async with asyncio.timeout(READ_LIMIT):
                data = await self._client.http.get_from_cdn(url)
        except (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError, RuntimeError):
            raise InvalidRequestError(UNREADABLE) from None
        if len(data) > MAX_UPLOAD_BYTES:
            raise InvalidRequestError(UNREADABLE)
        return data
