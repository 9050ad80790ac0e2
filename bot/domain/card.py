"""The card: what one job's message shows, as a value that needs no Discord."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.domain.image import ImageFile, StoredImage
from bot.domain.job import Job
from bot.domain.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePosition:
    """`ahead` jobs run or wait before this one; `starts_at` and `done_at` are None until a speed was measured.

    `is_paused`: moderators have stopped the queue of the job's server, so that nothing is known.
    """

    ahead: int
    is_paused: bool = False
    starts_at: datetime | None = None
    done_at: datetime | None = None


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
    note: str | None = None
