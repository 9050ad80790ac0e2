"""What waits and runs, as those see it who ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.domain.card import QueuePosition
from bot.domain.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntry:
    """A waiting or running job and where it stands; a running job has nothing ahead of it."""

    job: Job
    position: QueuePosition


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A server whose jobs are not claimed; who stopped them, and when (UTC)."""

    paused_by: int
    paused_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOverview:
    """The first `entries` of a member's or a server's queue, of `total`; `pause` while the server's stands still."""

    entries: tuple[QueueEntry, ...]
    total: int
    pause: Pause | None = None
