"""How long delivery goes on with a card: what comes after each refusal of Discord's."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from bot.domain.delivery import MAX_BACKOFF, NOT_LET_IN, PATIENCE, DeliveryFault, OutboxEntry, backoff
from bot.domain.job import Job
from bot.ports import MessengerError

MAX_REFUSALS: Final = 3  # tries at what Discord calls our own mistake
STEADY: Final = 12  # tries after which even short rate limits are waited out with the pauses that PATIENCE counts on
BLOCKED_PAUSE: Final = 60.0  # seconds between probes while Discord refuses everything

SHUT_OUT: Final = NOT_LET_IN | {DeliveryFault.THREAD_CLOSED}


def next_try(entry: OutboxEntry, error: MessengerError, *, may_open: bool, now: datetime, jitter: float) -> datetime | None:
    """When delivery looks at the card again after `error`; None is never. `jitter` is 0 to 1.

    `may_open`: it is shut out of a place that somebody may open. The patience is counted in tries: no clock is asked.
    """
    if entry.attempts + 1 >= PATIENCE or (error.fault in SHUT_OUT and not may_open):
        return None
    if entry.edits_only and error.fault is DeliveryFault.MESSAGE_GONE:
        return None
    pause = backoff(entry.attempts, jitter)
    match error.fault:
        case DeliveryFault.RATE_LIMITED:
            named = timedelta(seconds=BLOCKED_PAUSE if error.retry_after is None else max(1.0, error.retry_after))
            told = min(named, MAX_BACKOFF)
            return now + (told if entry.attempts < STEADY else max(told, pause))
        case DeliveryFault.UNAVAILABLE:
            return now + max(pause, timedelta(seconds=error.retry_after or 0))
        case _ if may_open:
            return now + pause
        case _:
            last = entry.last_fault is error.fault and entry.attempts + 1 >= MAX_REFUSALS
            return None if last else now + pause


def may_open_again(job: Job, fault: DeliveryFault) -> bool:
    """Whether somebody in the server may let us in again. Of a thread that we may not see, Discord says too that it is gone."""
    if job.origin.guild_id is None:
        return False
    in_thread = job.origin.place is not None and job.origin.place.parent_id is not None
    return fault in SHUT_OUT and (in_thread or fault is not DeliveryFault.CHANNEL_GONE)
