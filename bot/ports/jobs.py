"""Who keeps jobs and their queue, and what they answer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.domain.eta import DrawnJob
from bot.domain.image import StoredImage
from bot.domain.job import INTERRUPTED, Job, JobId, NewJob
from bot.domain.quota import Limits, StepsTaken
from bot.messages import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What `JobRepository.add` did: `created` is False when the interaction was seen before."""

    job: Job
    created: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What was found running although nobody runs it."""

    requeued: tuple[JobId, ...]
    failed: tuple[JobId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What ends before a job: how many run or wait, and their work in megapixel-steps; `running` are those among them that run,
    each with its work. `behind` others run and end after it. `paused`: the job waits for its server.
    """

    jobs: int
    work: float
    paused: bool = False
    running: tuple[tuple[JobId, float], ...] = ()
    behind: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The first jobs that wait or run, of `total`."""

    jobs: tuple[Job, ...]
    total: int


class JobRepository(Protocol):
    """Jobs and their pictures on disk. Every method is one transaction.

    Methods that take `attempt` are fenced: they change nothing and return False when the job is no longer RUNNING under
    that attempt. Every move to SUCCEEDED, FAILED or CANCELLED writes the outbox entry and the ledger's posting with it.
    """

    async def add(self, new: NewJob, *, limits: Limits, now: datetime) -> Submission:
        """Store a job, its reservation, its member and its server; a known interaction gives the job it made before.

        The intake that it comes from ends with it; NotFoundError where that was taken back meanwhile.
        It counts as shown where the reply names its message; else it is not claimed until `set_shown`.
        Raises QuotaError when `limits` forbid a new one, NotAllowedError for a member who is blocked in the server.
        """
        ...

    async def check(self, new: NewJob, *, limits: Limits, now: datetime) -> None:
        """Raises what `add` would raise now, and stores nothing; returns for an interaction that was seen before."""
        ...

    async def get(self, job_id: JobId) -> Job | None: ...

    async def images(self, job_id: JobId) -> tuple[StoredImage, ...]: ...

    async def claim(self, *, now: datetime, lease_until: datetime, batch: int, unfetched: Collection[str] = ()) -> Job | None:
        """Take the job whose turn it is: RUNNING, attempt + 1, started now. None when nothing waits, or nothing of it may run.

        Each member has one job running; a member gets another place only when nobody else waits for one and fewer jobs run than
        pictures share a step (`batch`). No more LoRAs are in use at once than are held in memory. Paused servers' jobs wait,
        and those that were shown to nobody yet; jobs that draw with a style of `unfetched` are passed by the others.
        """
        ...

    async def waiting_for(self, styles: Collection[str] | None, *, limit: int) -> tuple[Job, ...]:
        """QUEUED jobs that may be claimed but for their files and name one of these styles (None: all), oldest first."""
        ...

    async def fail_waiting(self, job_id: JobId, reason: Message, *, now: datetime) -> bool:
        """FAILED, from QUEUED, with the sentence to show and the refund; False when it did not wait."""
        ...

    async def extend_lease(self, job_id: JobId, attempt: int, *, lease_until: datetime) -> bool: ...

    async def finish(self, job_id: JobId, attempt: int, images: Sequence[StoredImage], *, now: datetime) -> bool:
        """SUCCEEDED, with its pictures and the charge."""
        ...

    async def fail(self, job_id: JobId, attempt: int, reason: Message, *, now: datetime) -> bool:
        """FAILED, with the sentence to show and the refund."""
        ...

    async def withhold(self, job_id: JobId, attempt: int, *, now: datetime) -> bool:
        """FAILED, because the pictures go too far; refunded FREE_WITHHELD times a day and member, charged from then on."""
        ...

    async def keep_back(self, job_id: JobId, reason: Message, *, now: datetime) -> tuple[str, ...] | None:
        """FAILED in place of SUCCEEDED, with the sentence to show and the whole refund, before anything was shown.

        Returns the keys of the files to remove; None when it is not SUCCEEDED (any more).
        """
        ...

    async def put_back(self, job_id: JobId, attempt: int, *, aborted: bool) -> bool:
        """QUEUED again. `aborted`: a shutdown took it back, which does not count as a try."""
        ...

    async def cancel(self, job_id: JobId, *, now: datetime, taken: StepsTaken | None = None) -> bool:
        """CANCELLED, from QUEUED or RUNNING; False when it was in neither.

        `taken`, where its member cancels: those steps are charged if that attempt holds the job; the rest is refunded.
        """
        ...

    async def cancel_all(self, user_id: int, *, guild_id: int, now: datetime) -> tuple[JobId, ...]:
        """The same for all that a member has waiting in a server, refunded whole, in several transactions; returns which."""
        ...

    async def recover(self, *, now: datetime, expired_only: bool, sentence: Message = INTERRUPTED) -> Recovery:
        """Put RUNNING jobs back, or fail with the sentence those whose tries are used up.

        When a process or its device has died (`expired_only=False`) every RUNNING job is an orphan; later only expired leases
        count. A death is a try of a job that ran alone. Where several ran it counts for none of them, and `claim` lets each
        run by itself from then on, so that one job which kills the process fails and the others are drawn.
        """
        ...

    async def ahead(self, job_id: JobId) -> Ahead | None:
        """None when the job neither waits nor runs."""
        ...

    async def waiting(self, user_id: int, *, limit: int) -> Waiting:
        """A member's QUEUED and RUNNING jobs in queue order."""
        ...

    async def waiting_in(self, guild_id: int, *, limit: int) -> Waiting:
        """The same of a whole server."""
        ...

    async def backlog(self) -> int:
        """How many jobs run, wait where the queue is not paused, or come of files that are being read."""
        ...

    async def counts(self) -> dict[str, int]:
        """Jobs by status."""
        ...

    async def recent(self, limit: int) -> tuple[DrawnJob, ...]:
        """The last finished jobs."""
        ...

    async def line(self, limit: int) -> tuple[Job, ...]:
        """QUEUED jobs of all servers, those first that came first."""
        ...

    async def set_message(self, job_id: JobId, *, channel_id: int, message_id: int) -> None:
        """Where the card is, once Discord said it."""
        ...

    async def unknown_keys(self, keys: Sequence[str]) -> frozenset[str]:
        """Which of the keys belong to no picture and to no upload that a job still needs."""
        ...

    async def owing_an_answer(self) -> tuple[JobId, ...]:
        """Jobs of which nobody knows yet whether their member was shown them, oldest first."""
        ...

    async def set_shown(self, job_id: JobId, *, message_id: int | None, now: datetime) -> bool:
        """Note that the member was shown the job, in a message whose id may not be known; from now on it may be claimed.

        False when that was known before, or the job is gone.
        """
        ...

    async def withdraw(self, job_id: JobId, *, now: datetime) -> bool:
        """CANCELLED with the refund, and nothing to be sent, of a job that nobody was shown; False when somebody was."""
        ...

    async def mark_deleted(self, job_id: JobId, *, by: int, now: datetime) -> tuple[str, ...]:
        """Forget a finished job's pictures and close the report about them; returns the keys of the files to remove, also of
        the upload that it started from unless another job needs it.
        """
        ...
