"""A job: one request on its way through the queue, as ids and values only."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from bot.domain.language import Language
from bot.domain.request import GenerationRequest
from bot.domain.safety import STRICTEST, Showing
from bot.domain.sampler import Sampler
from bot.errors import NotAllowedError
from bot.messages import Message, message, translatable

MAX_ATTEMPTS = 3  # a job that killed the process three times is poison
INTERRUPTED = message(
    "I was interrupted {count} times while drawing this, so I gave up. You weren't charged. "
    "Try fewer pictures or a smaller size.",
    count=MAX_ATTEMPTS,
)
TOKEN_LIFE = timedelta(minutes=14)  # Discord says 15; one is kept back for clocks and retries
DISCORD_EPOCH = datetime(2015, 1, 1, tzinfo=UTC)  # from where ids count
FIRST_ID = 1 << 22  # that holds a time

ONLY_MANAGERS = translatable("You need the **Manage Server** permission for that.")

JobId = str
"""16 hexadecimal digits. Also Discord's nonce for a posted result (at most 25 characters there)."""

_JOB_ID = re.compile(r"[0-9a-f]{16}")


def is_job_id(text: str) -> bool:
    """Returns whether the text has the shape of a JobId."""
    return _JOB_ID.fullmatch(text) is not None


class JobStatus(StrEnum):
    """Where a job stands. Everything from DELIVERED on is final."""

    QUEUED = "queued"  # on disk, waiting for a worker
    RUNNING = "running"  # claimed under a lease
    SUCCEEDED = "succeeded"  # pictures are on disk, the card is not yet shown
    DELIVERED = "delivered"  # the member sees the pictures
    FAILED = "failed"  # a reason is kept, and shown by the outbox
    CANCELLED = "cancelled"  # by its owner or a moderator
    UNDELIVERABLE = "undeliverable"  # pictures exist, Discord has nowhere to put them

    @property
    def is_final(self) -> bool:
        return not ALLOWED_MOVES[self]

    @property
    def is_waiting(self) -> bool:
        """Whether Cancel still does something."""
        return self in {JobStatus.QUEUED, JobStatus.RUNNING}


ALLOWED_MOVES: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.CANCELLED, JobStatus.FAILED}),
    JobStatus.RUNNING: frozenset({JobStatus.QUEUED, JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.SUCCEEDED: frozenset({JobStatus.DELIVERED, JobStatus.UNDELIVERABLE, JobStatus.FAILED}),  # rules were tightened
    JobStatus.DELIVERED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
    JobStatus.UNDELIVERABLE: frozenset(),
}


class Relation(StrEnum):
    """How a job came out of its parent. The database knows each as a row of `relations`."""

    REROLL = "reroll"
    VARIATION = "variation"
    REMIX = "remix"
    UPSCALE = "upscale"


class Visibility(StrEnum):
    """Who may see a job's card. The database knows each as a row of `visibilities`."""

    PUBLIC = "public"


class VariationStrength(StrEnum):
    """How far a variation may go."""

    SUBTLE = "subtle"
    STRONG = "strong"

    def share(self, sampler: Sampler) -> float:
        """Of the way from the picture's noise to another seed's (slerp), with what the picture is drawn with."""
        return sampler.subtle if self is VariationStrength.SUBTLE else sampler.strong


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """Provenance. `image_index` is the parent's picture (from 0) that a variation or an upscale started from."""

    job_id: JobId
    relation: Relation
    image_index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where somebody asks, as Discord says. A thread has its channel's `parent_id`, and is age-restricted as its channel is."""

    channel_id: int
    parent_id: int | None = None
    age_restricted: bool = False


def made_at(discord_id: int, *, otherwise: datetime) -> datetime:
    """Returns when Discord made that id, by its clock: the bits above the lowest 22 are milliseconds since 2015 (developer
    documentation, reference, snowflakes). `otherwise` for a number below FIRST_ID, which holds no time, as a terminal's.
    """
    return otherwise if discord_id < FIRST_ID else DISCORD_EPOCH + timedelta(milliseconds=discord_id >> 22)


def id_made_at(time: datetime) -> int:
    """Returns the lowest id that Discord can make at that time; 0 for a time before there was Discord."""
    return max(0, int((time - DISCORD_EPOCH) / timedelta(milliseconds=1))) << 22


def _sees_nothing(channel_id: int) -> bool:
    del channel_id
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who asked, and the event that carried it; `interaction_id` is unique, so a replayed event is one job.

    `role_ids`, `place` and `sight` decide what the member may do at this moment. Only the place is kept with a job, for rules
    that are tightened while it waits. Without a place nothing is allowed. `sight` says of a channel of the server whether they
    can see it, or moderate the server; False where that is not known. `language` is that of a public card there.
    """

    interaction_id: int
    user_id: int
    guild_id: int | None = None  # None in a DM
    role_ids: frozenset[int] = field(default=frozenset(), compare=False)
    place: Place | None = field(default=None, compare=False)
    sight: Callable[[int], bool] = field(default=_sees_nothing, compare=False, repr=False)
    language: Language | None = field(default=None, compare=False)

    def asked_at(self, received_at: datetime) -> datetime:
        """When they asked, by Discord's clock, which nobody here can step; `received_at` where no Discord was asked."""
        return made_at(self.interaction_id, otherwise=received_at)

    def sees(self, channel_id: int) -> bool:
        """Whether they may know what stands in a channel of the server. Who sees a thread sees its channel."""
        here = self.place is not None and channel_id in {self.place.channel_id, self.place.parent_id}
        return here or self.sight(channel_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyTarget:
    """The message that the card lives in.

    `channel_id` is the channel or thread; `message_id` is None until Discord said it. `token` is the interaction's and
    works until `token_expires_at`; it is a secret and never printed. `upload_limit` is bytes a file
    (Discord's attachment_size_limit for this interaction).
    """

    channel_id: int
    message_id: int | None = None
    application_id: int = 0
    token: str | None = field(default=None, repr=False)
    token_expires_at: datetime | None = None
    upload_limit: int = 10 * 1024 * 1024

    def token_lives(self, now: datetime) -> bool:
        return self.token is not None and self.token_expires_at is not None and now < self.token_expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job about to be stored. `from_intake`: it was written down when it was asked for, and only counts if it still is.

    Without a `language` its card speaks English.
    """

    request: GenerationRequest
    origin: Origin
    reply: ReplyTarget
    parent: Parent | None = None
    showing: Showing = STRICTEST
    language: Language | None = None
    visibility: Visibility = Visibility.PUBLIC
    from_intake: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A stored job. Times are UTC.

    `attempt` counts claims and is the fence: a worker's writes carry it and change nothing once another claimed the job.
    `aborts` counts the claims that a shutdown took back; they are not held against the job.
    `failure` is the sentence that the member sees, in the `language` of the card (None: English). `price` is what was reserved
    for it, in credits, and `paid` what it cost in the end; None while it waits or runs. `shown_at` is when the card was the
    interaction's answer, or turned out to be; until then nobody may have been shown the job, so it is neither drawn nor posted.
    `weight` is the member's share of the engine when the job came.
    """

    id: JobId
    status: JobStatus
    request: GenerationRequest
    origin: Origin
    reply: ReplyTarget
    price: int
    parent: Parent | None = None
    showing: Showing = STRICTEST
    language: Language | None = None
    visibility: Visibility = Visibility.PUBLIC
    attempt: int = 0
    aborts: int = 0
    failure: Message | None = None
    weight: float = 1.0
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    lease_until: datetime | None = None
    shown_at: datetime | None = None
    deleted_at: datetime | None = None
    paid: int | None = None

    @property
    def asked_at(self) -> datetime:
        """When it was asked for, by Discord's clock."""
        return self.origin.asked_at(self.created_at)

    @property
    def tries(self) -> int:
        """Attempts that count towards MAX_ATTEMPTS."""
        return self.attempt - self.aborts

    @property
    def seconds(self) -> float | None:
        """How long the last attempt took, once it ended."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Whoever presses a button, with the rights that we looked up ourselves.

    `only_in` is set where they may manage the messages of that one channel, and not of the whole server.
    """

    user_id: int
    guild_id: int | None = None
    manages_messages: bool = False
    manages_guild: bool = False
    only_in: int | None = None

    def owns(self, job: Job) -> bool:
        return self.user_id == job.origin.user_id

    @property
    def moderates(self) -> bool:
        """Whether they moderate the server where they ask, or one channel of it."""
        return self.guild_id is not None and (self.manages_messages or self.manages_guild)

    def managed_guild(self) -> int:
        """The server where they ask, if they manage it. Raises NotAllowedError."""
        if self.guild_id is None or not self.manages_guild:
            raise NotAllowedError(ONLY_MANAGERS)
        return self.guild_id

    def may_remove(self, job: Job) -> bool:
        """Cancel and delete belong to the owner, and to moderators of the job's own server, or of its channel alone."""
        here = self.moderates and self.guild_id == job.origin.guild_id
        return self.owns(job) or (here and (self.manages_guild or self.only_in in {None, job.reply.channel_id}))


def new_job_id() -> JobId:
    """A fresh random id."""
    return secrets.token_hex(8)
