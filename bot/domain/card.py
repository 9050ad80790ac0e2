"""The card: what one job's message shows, as a value that needs no Discord."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.image import ImageFile, StoredImage
from bot.domain.job import Job
from bot.domain.progress import Progress
from bot.messages import Message

TIME_OFF = timedelta(seconds=10)
QUARTER = 0.25  # Discord shows minutes beyond the first


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePosition:
    """`ahead` jobs run or wait before this one; `done_at` is None while no speed is known.

    `is_paused`: moderators have stopped the queue of the job's server, so that nothing is known.
    """

    ahead: int
    is_paused: bool = False
    done_at: datetime | None = None

    def has_moved(self, shown: QueuePosition | None, now: datetime) -> bool:
        """Whether a member who reads `shown` (None: unknown) is told something untrue: another place, or a time that is off
        by more than TIME_OFF and QUARTER of what is left. Time that passes and a step of somebody else's change neither.
        """
        if shown is None or (self.ahead, self.is_paused) != (shown.ahead, shown.is_paused):
            return True
        if self.done_at is None or shown.done_at is None:
            return self.done_at is not shown.done_at
        return abs(self.done_at - shown.done_at) > max(TIME_OFF, QUARTER * (self.done_at - now))


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentLink:
    """Where the parent's card is, for "variation of ↗"."""

    user_id: int
    guild_id: int | None
    channel_id: int
    message_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCard:
    """Everything that the card of `job` shows; the job's status decides which of it.

    `files` are the pictures in order (SUCCEEDED, DELIVERED) or one preview (RUNNING). `images` describes the pictures.
    `note` is a sentence for the member that stands beside or in place of the pictures (they are too large to attach).
    """

    job: Job
    model_title: str
    style_titles: tuple[str, ...] = ()
    position: QueuePosition | None = None
    progress: Progress | None = None
    images: tuple[StoredImage, ...] = ()
    files: tuple[ImageFile, ...] = ()
    parent: ParentLink | None = None
    note: Message | None = None
