"""How a moderator names a picture: by a link to its message, by the message's id, or by the job's."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.domain.guild_settings.kinds import MAX_ID
from bot.domain.job import JobId, is_job_id
from bot.errors import InvalidRequestError
from bot.messages import translatable

NO_REFERENCE = translatable("Paste the message's link (right-click it, **Copy Message Link**) or the job id from **Details**.")

_LINK = re.compile(r"https://(?:ptb\.|canary\.)?discord(?:app)?\.com/channels/([0-9]{1,20})/([0-9]{1,20})/([0-9]{1,20})/?")
_MESSAGE_ID = re.compile(r"[0-9]{17,20}")  # a job's id has 16 digits


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReference:
    """A message; server and channel are None where only its id was given."""

    message_id: int
    channel_id: int | None = None
    guild_id: int | None = None


def parse_picture(text: str) -> JobId | MessageReference:
    """What a moderator typed. Raises InvalidRequestError."""
    typed = text.strip().strip("<>")  # Discord shows no preview of a link in angle brackets, so people write them
    if is_job_id(typed.casefold()):
        return typed.casefold()
    if link := _LINK.fullmatch(typed):
        guild_id, channel_id, message_id = (_snowflake(digits) for digits in link.groups())
        return MessageReference(message_id=message_id, channel_id=channel_id, guild_id=guild_id)
    if _MESSAGE_ID.fullmatch(typed):
        return MessageReference(message_id=_snowflake(typed))
    raise InvalidRequestError(NO_REFERENCE)


def _snowflake(digits: str) -> int:
    number = int(digits)
    if number > MAX_ID:
        raise InvalidRequestError(NO_REFERENCE)
    return number
