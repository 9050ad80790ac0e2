"""What is known of a member, how long it is kept, and what becomes of it when they want it gone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.domain.image import StoredImage
from bot.domain.intake import Intake
from bot.domain.job import Job, JobId, ReplyTarget
from bot.domain.moderation import Block
from bot.domain.preferences import Preferences
from bot.domain.quota import Account, EntryKind
from bot.domain.request import GenerationRequest

REMOVED = GenerationRequest(
    profile="", prompt="(deleted)", width=8, height=8, num_inference_steps=1, guidance_scale=1.0, seed=0
)
"""What a job asked for, once that was removed: the same for everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepingTimes:
    """After how many days a server's pictures and words are removed; None: they are kept.

    Words go with their pictures, since each file of a picture says what it was drawn from.
    """

    picture_days: int | None = None
    word_days: int | None = None

    def __post_init__(self) -> None:
        days = [days for days in (self.picture_days, self.word_days) if days is not None]
        object.__setattr__(self, "picture_days", min(days, default=None))

    def within(self, longest: KeepingTimes) -> KeepingTimes:
        """The shorter of both, for each."""
        return KeepingTimes(
            picture_days=_shorter(self.picture_days, longest.picture_days),
            word_days=_shorter(self.word_days, longest.word_days),
        )


def _shorter(days: int | None, longest: int | None) -> int | None:
    return min((given for given in (days, longest) if given is not None), default=None)


FOR_GOOD = KeepingTimes()
"""Where neither the server nor the host has decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """How much is stored of a member: requests whose words are still there, pictures, blocks against them."""

    requests: int = 0
    pictures: int = 0
    blocks: int = 0
    has_defaults: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Jobs whose pictures are to be removed, and the addresses of the files that nobody else needs."""

    job_ids: tuple[JobId, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """A member's wish that everything goes which was stored until then: jobs `up_to` a place in the order of arrival."""

    id: int
    user_id: int
    requested_at: datetime
    up_to: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCard:
    """Where a job's message stands in Discord."""

    job_id: JobId
    reply: ReplyTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptJob:
    """A job with its pictures. `removed_at` says since when its words are gone; `came_of_own`: its parent is the member's."""

    job: Job
    images: tuple[StoredImage, ...] = ()
    removed_at: datetime | None = None
    came_of_own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """A posting of the ledger as its member may see it: not who granted what."""

    posted_at: datetime
    kind: EntryKind
    account: Account
    day: int
    guild_id: int | None
    job_id: JobId | None
    granted: int
    reserved: int
    spent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PastBlock:
    """A block of the member, and when it was lifted."""

    block: Block
    lifted_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnReport:
    """What the member told moderators about a picture, and not whose it was."""

    guild_id: int
    job_id: JobId
    reason: str
    reported_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberData:
    """A page of what is stored of one member, each in the order of its coming; the first one has what there is one of."""

    user_id: int
    first_seen_at: datetime | None = None
    defaults: Preferences | None = None
    intakes: tuple[Intake, ...] = ()
    jobs: tuple[KeptJob, ...] = ()
    postings: tuple[LedgerEntry, ...] = ()
    blocks: tuple[PastBlock, ...] = ()
    reports: tuple[OwnReport, ...] = ()
    deletions: tuple[datetime, ...] = ()
