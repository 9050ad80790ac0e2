"""Delivery as values: what waits to be shown, what went wrong, and when to try again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from bot.domain.job import JobId

MAX_BACKOFF = timedelta(seconds=60)
PATIENCE = 24 * 60  # tries that a card gets, some 60 s apart: a day, longer than Discord's outages, by nobody's clock


class DeliveryFault(StrEnum):
    """What a refusal of Discord means for delivery (codes: docs of Discord, topics/opcodes-and-status-codes)."""

    ALREADY_ANSWERED = "already_answered"  # 40060, of a first answer: it is there, by an earlier try
    TOKEN_DEAD = "token_dead"  # 50027, 10015, 401 on a webhook route: use the channel route
    MESSAGE_GONE = "message_gone"  # 10008: post once
    CHANNEL_GONE = "channel_gone"  # 10003: nowhere to go
    FORBIDDEN = "forbidden"  # 50001, 50013, 403: refusals count towards a ban, so repeat it rarely
    THREAD_CLOSED = "thread_closed"  # 50083 archived, 160005 locked: whoever may opens it
    TOO_LARGE = "too_large"  # 413, 40005: smaller files
    RATE_LIMITED = "rate_limited"  # 429
    UNAVAILABLE = "unavailable"  # 5xx, resets, timeouts: the outcome is unknown
    REFUSED = "refused"  # any other 4xx: a bug of ours


NOT_LET_IN = frozenset({DeliveryFault.FORBIDDEN, DeliveryFault.CHANNEL_GONE})
"""What Discord says of a place that we may not enter: of one that we may not see, it says that it is gone."""

SEARCH_MARGIN = timedelta(minutes=5)  # by which a lost card is looked for earlier: Discord's own clocks may differ

REFUSED_HERE = frozenset(
    {
        DeliveryFault.TOKEN_DEAD,
        DeliveryFault.MESSAGE_GONE,
        DeliveryFault.CHANNEL_GONE,
        DeliveryFault.FORBIDDEN,
        DeliveryFault.THREAD_CLOSED,
    }
)
"""What Discord says of an answer that came too late, or in a place where it takes none: no mistake of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenAnswer:
    """The first answer to an interaction, as Discord has it. `is_private`: only the member who asked sees it."""

    message_id: int
    is_private: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEntry:
    """A finished job whose card is not shown yet. `post_started_at` is set before a post is tried, for good.

    `edits_only`: a backup brought it back, so its card may be there already, and none is posted.
    """

    job_id: JobId
    created_at: datetime
    next_attempt_at: datetime
    attempts: int = 0
    post_started_at: datetime | None = None
    last_fault: DeliveryFault | None = None
    edits_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A wait by the wall clock, which may be set back meanwhile: at a time before it began it is over."""

    since: datetime
    until: datetime

    @classmethod
    def of(cls, length: timedelta, *, since: datetime) -> Self:
        """Returns the wait of that length which begins at `since`."""
        return cls(since=since, until=since + length)

    def holds(self, now: datetime) -> bool:
        return self.since <= now < self.until

    def left(self, now: datetime) -> float:
        """Returns seconds until it is over; 0 when it is."""
        return (self.until - now).total_seconds() if self.holds(now) else 0.0


def backoff(attempts: int, jitter: float) -> timedelta:
    """2^n seconds up to MAX_BACKOFF, times 0.9 to 1.1; `jitter` is 0 to 1."""
    seconds = min(2.0 ** min(attempts, 16), MAX_BACKOFF.total_seconds())
    return timedelta(seconds=seconds * (0.9 + 0.2 * jitter))
