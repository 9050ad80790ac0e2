"""Moderating: who may, blocks of members who may not draw in a server, and how long a block lasts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from bot.domain.job import Actor
from bot.domain.request import one_line
from bot.errors import InvalidRequestError, NotAllowedError
from bot.messages import Message, counted, message, translatable

MAX_REASON_LENGTH = 200  # characters
MAX_BLOCK = timedelta(days=3650)

ONLY_MODERATORS = translatable("You need the **Manage Messages** or the **Manage Server** permission for that.")
NO_LENGTH = translatable("I don't understand that length. Use `30m`, `12h`, `3d` or `2w`.")
ENDLESS = "forever"  # what stands for a block without an end, beside nothing at all

_UNITS = {
    ("m", "min", "mins", "minute", "minutes"): timedelta(minutes=1),
    ("h", "hour", "hours"): timedelta(hours=1),
    ("d", "day", "days"): timedelta(days=1),
    ("w", "week", "weeks"): timedelta(weeks=1),
}
_UNIT_BY_NAME = {name: unit for names, unit in _UNITS.items() for name in names}
_MAX_TYPED = 40  # characters
_PART = re.compile(r"\s*([0-9]{1,6})\s*([a-z]+)\s*")


class Rank(Enum):
    """What is known of somebody who is to be blocked. UNKNOWN also for those who have left the server."""

    UNKNOWN = auto()
    MEMBER = auto()
    MANAGER = auto()  # may manage the server
    BOT = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A member who may not draw in a server until `ends_at` (None: until a moderator lifts it). Times are UTC."""

    guild_id: int
    user_id: int
    reason: str
    blocked_by: int
    blocked_at: datetime
    ends_at: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it has not run out."""
        return self.ends_at is None or now < self.ends_at

    @property
    def sentence(self) -> Message:
        """What the member is told; the end as Discord shows times to each reader."""
        if self.ends_at is None:
            if not self.reason:
                return message("You can't draw in this server. Questions? Ask a moderator.")
            return message("You can't draw in this server. Questions? Ask a moderator. Reason: {reason}", reason=self.reason)
        end = f"<t:{int(self.ends_at.timestamp())}:f>"
        if not self.reason:
            return message("You can't draw in this server until {end}. Questions? Ask a moderator.", end=end)
        return message(
            "You can't draw in this server until {end}. Questions? Ask a moderator. Reason: {reason}",
            end=end,
            reason=self.reason,
        )


def moderated_guild(actor: Actor) -> int:
    """The server where they ask, if they moderate it. Raises NotAllowedError; nobody moderates a direct message."""
    if actor.guild_id is None or not actor.moderates:
        raise NotAllowedError(ONLY_MODERATORS)
    return actor.guild_id


def parse_duration(text: str) -> timedelta | None:
    """`30m`, `12h`, `3d`, `2w`, `1d 12h`, `3 days`; None for nothing, and for `forever`. Raises InvalidRequestError."""
    left = text.strip().casefold()
    if left in {"", ENDLESS}:
        return None
    if len(left) > _MAX_TYPED:
        raise InvalidRequestError(NO_LENGTH)
    total = timedelta(0)
    while left:
        part = _PART.match(left)
        unit = _UNIT_BY_NAME.get(part[2]) if part else None
        if part is None or unit is None:
            raise InvalidRequestError(NO_LENGTH)
        total += int(part[1]) * unit
        left = left[part.end() :]
    return _checked_length(total)


def block_end(now: datetime, duration: timedelta | None) -> datetime | None:
    """When a block of that length ends. Raises InvalidRequestError for one that is over at once, or too long."""
    return None if duration is None else now + _checked_length(duration)


def _checked_length(duration: timedelta) -> timedelta:
    if not timedelta(0) < duration <= MAX_BLOCK:
        raise InvalidRequestError(
            counted(
                "A block can last up to {count:,} day, or have no end. Choose another length.",
                "A block can last up to {count:,} days, or have no end. Choose another length.",
                MAX_BLOCK.days,
            )
        )
    return duration


def checked_reason(reason: str) -> str:
    """On one line. Raises InvalidRequestError when it is too long."""
    line = one_line(reason)
    if len(line) > MAX_REASON_LENGTH:
        raise InvalidRequestError(
            "A reason can have up to {limit:,} characters, and yours has {length:,}. Shorten it.",
            limit=MAX_REASON_LENGTH,
            length=len(line),
        )
    return line
