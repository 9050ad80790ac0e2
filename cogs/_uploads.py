"""Reads attachments: refuses by what Discord says of them, before a byte is read; then reads within bounds."""

from __future__ import annotations

import asyncio

import aiohttp
import discord

from bot.chat.attachments import MAX_BYTES, READ_LIMIT, UNREADABLE
from bot.domain.guild_settings.serialization import MAX_FILE_BYTES
from bot.errors import InvalidRequestError
from bot.messages import translatable

MAX_PIXELS = 16_800_000  # the codec's limit; the codec checks again what was downloaded
TYPES = frozenset({"image/png", "image/jpeg", "image/webp"})

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
MAX_TEXT_BYTES = 300_000  # 50,000 characters, the most of a picture's text that is read
TEXT_LIMIT = 1.5  # seconds; the first answer depends on such a read

UNREADABLE_TEXT = translatable("I couldn't get the settings from Discord. Use **Read settings** on the picture again.")
NO_PICTURE = translatable("There's no PNG, JPEG or WebP picture in that message.")
UNREADABLE_FILE = translatable("I couldn't get your file from Discord. Please attach it again.")


def picture_in(message: discord.Message) -> discord.Attachment:
    """Returns the first picture of a message, or of the message it forwards. Raises InvalidRequestError without any."""
    forwarded = (attachment for snapshot in message.message_snapshots for attachment in snapshot.attachments)
    picture = next((attachment for attachment in (*message.attachments, *forwarded) if _is_picture(attachment)), None)
    if picture is None:
        raise InvalidRequestError(NO_PICTURE)
    return picture


def check_upload(attachment: discord.Attachment) -> None:
    """Raises InvalidRequestError for a file that is too large or no picture, by what Discord says of it."""
    if attachment.size > MAX_BYTES:
        raise InvalidRequestError(
            "That picture is {size:.1f} MiB, and I can take up to {limit} MiB. Make it smaller and try again.",
            size=attachment.size / 2**20,
            limit=MAX_BYTES // 2**20,
        )
    kind = _kind(attachment)
    if kind and kind not in TYPES:
        raise InvalidRequestError("I can only start from a PNG, JPEG or WebP picture. Attach one of those.")
    if (attachment.width or 0) * (attachment.height or 0) > MAX_PIXELS:
        raise InvalidRequestError(
            "That picture has {width} × {height} pixels, which is too many. Make it smaller and try again.",
            width=attachment.width or 0,
            height=attachment.height or 0,
        )


async def read_upload(attachment: discord.Attachment) -> bytes:
    """Returns the file's bytes. Raises InvalidRequestError when Discord sends none, or more than it said."""
    return await _read(attachment, MAX_BYTES, UNREADABLE)


async def read_found_text(attachment: discord.Attachment) -> str:
    """Returns a picture's text that was too long to be quoted. Raises InvalidRequestError."""
    data = await _read(attachment, MAX_TEXT_BYTES, UNREADABLE_TEXT, seconds=TEXT_LIMIT)
    return data.decode(errors="replace")


async def read_settings_file(attachment: discord.Attachment) -> bytes:
    """Returns the bytes of a file of settings. Raises InvalidRequestError for one that Discord says is too large."""
    if attachment.size > MAX_FILE_BYTES:
        raise InvalidRequestError(
            "That file is {size:,.0f} KiB, and a settings file is {most} KiB at most. "
            "Attach the JSON file that `/settings export` gives you.",
            size=attachment.size / 1024,
            most=MAX_FILE_BYTES // 1024,
        )
    return await _read(attachment, MAX_FILE_BYTES, UNREADABLE_FILE)


def _kind(attachment: discord.Attachment) -> str:
    return (attachment.content_type or "").partition(";")[0].strip().lower()


def _is_picture(attachment: discord.Attachment) -> bool:
    """Returns whether it is a picture, by what Discord says of it, or else by its name."""
    return _kind(attachment) in TYPES or (not _kind(attachment) and attachment.filename.lower().endswith(ENDINGS))


async def _read(attachment: discord.Attachment, most: int, unreadable: str, *, seconds: float = READ_LIMIT) -> bytes:
    try:
        async with asyncio.timeout(seconds):
            data = await attachment.read()
    except (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError):
        raise InvalidRequestError(unreadable) from None
    if len(data) > most:
        raise InvalidRequestError(unreadable)
    return data
