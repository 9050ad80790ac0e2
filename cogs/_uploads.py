"""What somebody attaches: refused by what Discord says of it, before a byte is read; then read within bounds."""

from __future__ import annotations

import asyncio

import aiohttp
import discord

from bot.domain.settings_json import MAX_FILE_BYTES, NO_SETTINGS_FILE
from bot.errors import InvalidRequestError

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 16_800_000  # as the codec, which looks again at what really came
READ_LIMIT = 30.0  # seconds
TYPES = frozenset({"image/png", "image/jpeg", "image/webp"})

UNREADABLE = "I could not fetch your picture from Discord. Please attach it again."
UNREADABLE_FILE = "I could not fetch your file from Discord. Please attach it again."


def check_upload(attachment: discord.Attachment) -> None:
    """Raises InvalidRequestError for what is too large or no picture by Discord's own account."""
    if attachment.size > MAX_BYTES:
        raise InvalidRequestError(
            f"That picture has {attachment.size / 2**20:.1f} MiB; at most {MAX_BYTES // 2**20} MiB are possible. "
            "Make it smaller and try again."
        )
    kind = (attachment.content_type or "").partition(";")[0].strip().lower()
    if kind and kind not in TYPES:
        raise InvalidRequestError("I can start from a PNG, JPEG or WebP picture only. Attach one of these.")
    if (attachment.width or 0) * (attachment.height or 0) > MAX_PIXELS:
        raise InvalidRequestError(
            f"That picture has {attachment.width} × {attachment.height} pixels, which is too many. "
            "Make it smaller and try again."
        )


async def read_upload(attachment: discord.Attachment) -> bytes:
    """The file's bytes. Raises InvalidRequestError when Discord does not hand them out, or more than it said."""
    return await _read(attachment, MAX_BYTES, UNREADABLE)


async def read_settings_file(attachment: discord.Attachment) -> bytes:
    """The bytes of a file of settings. Raises InvalidRequestError for one that is too large, by what Discord says of it."""
    if attachment.size > MAX_FILE_BYTES:
        raise InvalidRequestError(
            f"That file has {attachment.size / 1024:,.0f} KiB; at most {MAX_FILE_BYTES // 1024} KiB are possible. "
            f"{NO_SETTINGS_FILE}"
        )
    return await _read(attachment, MAX_FILE_BYTES, UNREADABLE_FILE)


async def _read(attachment: discord.Attachment, most: int, unreadable: str) -> bytes:
    try:
        async with asyncio.timeout(READ_LIMIT):
            data = await attachment.read()
    except (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError):
        raise InvalidRequestError(unreadable) from None
    if len(data) > most:
        raise InvalidRequestError(unreadable)
    return data
