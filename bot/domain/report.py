"""Reports: what members tell the moderators of their server about a picture, and what came of it.

A report holds ids and its reporters' reasons; prompt and pictures are read from the job when they are shown, so that what is
deleted there is in no report either.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from bot.domain.image import ImageFile
from bot.domain.job import Job, JobId
from bot.domain.request import one_line
from bot.domain.safety import Rating
from bot.errors import InvalidRequestError

MAX_REPORT_LENGTH = 300  # characters of a reporter's reason
MAX_REPORTS = 5  # of one member within REPORT_WINDOW, over all servers
REPORT_WINDOW = timedelta(hours=1)


class Outcome(StrEnum):
    """How a report ended."""

    REMOVED = "removed"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """One member's word about a picture; `reason` may be empty, and is once the member had their data deleted."""

    reporter_id: int
    reason: str
    reported_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a moderator did, and when."""

    by: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportMessage:
    """Where a report is shown to the moderators."""

    channel_id: int
    message_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that was said about one job until moderators removed its pictures or dismissed it; one is open at a time.

    `message` is None until it was shown. A block of the author closes nothing: the picture is still there. `version` counts
    what the message has to show, `shown_version` is what it shows; neither is part of what the report says.
    """

    id: int
    job_id: JobId
    guild_id: int
    complaints: tuple[Complaint, ...]
    message: ReportMessage | None = None
    blocked: Step | None = None
    outcome: Outcome | None = None
    closed: Step | None = None
    version: int = field(default=0, compare=False)
    shown_version: int = field(default=0, compare=False)

    @property
    def is_open(self) -> bool:
        return self.outcome is None

    @property
    def is_outdated(self) -> bool:
        """Whether its message shows something else."""
        return self.message is not None and self.shown_version < self.version

    @property
    def may_block(self) -> bool:
        """Whether blocking the author is still something to do."""
        return self.blocked is None and self.outcome is not Outcome.DISMISSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """What became of a complaint: `is_new` is False when the same member had reported the picture before."""

    report: Report
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportNotice:
    """What moderators are shown: the report, its job, and copies of the pictures while it is open.

    `is_kept_back`: there are pictures, but they may be for adults, and the channel is not age-restricted.
    """

    report: Report
    job: Job
    pictures: tuple[ImageFile, ...] = ()
    is_kept_back: bool = False

    def fitting(self, *, age_restricted: bool) -> Self:
        """The same without pictures for adults where those do not belong."""
        if age_restricted or not self.pictures or not self.job.showing.rating.is_beyond(Rating.SENSITIVE):
            return self
        return replace(self, pictures=(), is_kept_back=True)


def checked_report(reason: str) -> str:
    """On one line. Raises InvalidRequestError when it is too long."""
    line = one_line(reason)
    if len(line) > MAX_REPORT_LENGTH:
        raise InvalidRequestError(
            "A reason can have up to {limit:,} characters, and yours has {length:,}. Shorten it and report again.",
            limit=MAX_REPORT_LENGTH,
            length=len(line),
        )
    return line
