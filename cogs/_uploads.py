"""What somebody attaches: refused by what Discord says of it, before a byte is read; then read within bounds."""

from __future__ import annotations

import asyncio

import aiohttp
import discord

from bot.chat.attachments import READ_LIMIT, UNREADABLE
from bot.domain.guild_settings.serialization import MAX_FILE_BYTES
from bot.domain.image import MAX_UPLOAD_BYTES, MAX_UPLOAD_PIXELS
from bot.errors import InvalidRequestError
from bot.messages import translatable

TYPES = frozenset({"image/png", "image/jpeg", "image/webp"})

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
MAX_TEXT_BYTES = 300_000  # 50,000 characters, which is as much of a picture's text as is read at all
TEXT_LIMIT = 1.5  # seconds; what is read this way decides about a first answer

UNREADABLE_TEXT = translatable("I couldn't get the settings from Discord. Use **Read settings** on the picture again.")
NO_PICTURE = translatable("There's no PNG, JPEG or WebP picture in that message.")
UNREADABLE_FILE = translatable("I couldn't get your file from Discord. Please attach it again.")


def picture_in(message: discord.Message) -> discord.Attachment:
    """The first picture of a message, or of the message that it forwards. Raises InvalidRequestError where there is none."""
    forwarded = (attachment for snapshot in message.message_snapshots for attachment in snapshot.attachments)
    picture = next((attachment for attachment in (*message.attachments, *forwarded) if _is_picture(attachment)), None)
    if picture is None:
        raise InvalidRequestError(NO_PICTURE)
    return picture


def check_upload(attachment: discord.Attachment) -> None:
    """Raises InvalidRequestError for what is too large or no picture by Discord's own account."""
    if attachment.size > MAX_UPLOAD_BYTES:
        raise InvalidRequestError(
            "That picture is {size:.1f} MiB, and I can take up to {limit} MiB. Make it smaller and try again.",
            size=attachment.size / 2**20,
            limit=MAX_UPLOAD_BYTES // 2**20,
        )
    kind = _kind(attachment)
    if kind and kind not in TYPES:
        raise InvalidRequestError("I can only start from a PNG, JPEG or WebP picture. Attach one of those.")
    if (attachment.width or 0) * (attachment.height or 0) > MAX_UPLOAD_PIXELS:
        raise InvalidRequestError(
            "That picture has {width} × {height} pixels, which is too many. Make it smaller and try again.",
            width=attachment.width or 0,
            height=attachment.height or 0,
        )


async def read_upload(attachment: discord.Attachment) -> bytes:
    """The file's bytes. Raises InvalidRequestError when Discord does not hand them out, or more than it said."""
    return await _read(attachment, MAX_UPLOAD_BYTES, UNREADABLE)


async def read_found_text(attachment: discord.Attachment) -> str:
    """A picture's text that was too long to be quoted. Raises InvalidRequestError."""
    data = await _read(attachment, MAX_TEXT_BYTES, UNREADABLE_TEXT, seconds=TEXT_LIMIT)
    return data.decode(errors="replace")


async def read_settings_file(attachment: discord.Attachment) -> bytes:
    """The bytes of a file of settings. Raises InvalidRequestError for one that is too large, by what Discord says of it."""
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
    """By what Discord says of it, or else by its name."""
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
