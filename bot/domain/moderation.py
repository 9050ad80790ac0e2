"""Blocks: members who may not draw in a server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.request import clean_prompt
from bot.errors import InvalidRequestError

MAX_REASON_LENGTH = 200  # characters
MAX_BLOCK = timedelta(days=3650)


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
    def sentence(self) -> str:
        """What the member is told; the end as Discord shows times to each reader."""
        end = f" until <t:{int(self.ends_at.timestamp())}:f>" if self.ends_at else ""
        reason = f" Their reason: {self.reason}" if self.reason else ""
        return f"The moderators of this server have blocked you from drawing here{end}. Ask them about it.{reason}"


def block_end(now: datetime, duration: timedelta | None) -> datetime | None:
    """When a block of that length ends. Raises InvalidRequestError for one that is over at once, or too long."""
    if duration is None:
        return None
    if not timedelta(0) < duration <= MAX_BLOCK:
        raise InvalidRequestError(f"A block lasts up to {MAX_BLOCK.days:,} days, or has no end. Give another length.")
    return now + duration


def checked_reason(reason: str) -> str:
    """On one line. Raises InvalidRequestError when it is too long."""
    line = clean_prompt(reason, "reason")
    if len(line) > MAX_REASON_LENGTH:
        raise InvalidRequestError(f"A reason has at most {MAX_REASON_LENGTH} characters; yours has {len(line):,}. Shorten it.")
    return line
