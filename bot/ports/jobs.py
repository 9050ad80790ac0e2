"""The port that keeps jobs and their queue, and the values that it returns."""

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
    """The result of `JobRepository.add`; `created` is False when the interaction was seen before."""

    job: Job
    created: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """The jobs that were found RUNNING although no worker runs them."""

    requeued: tuple[JobId, ...]
    failed: tuple[JobId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """The jobs that end before a job: how many run or wait, and their work in megapixel-steps; `running` is the work of each of
    them that runs. `behind` others run and end after it. `paused`: the job waits for its server.
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
    """Keeps jobs and their pictures on disk. Every method is one transaction.

    Methods that take `attempt` are fenced: they change nothing and return False when the job is no longer RUNNING under
    that attempt. Every move to SUCCEEDED, FAILED or CANCELLED writes the outbox entry and the ledger's posting with it.
    """

    async def add(self, new: NewJob, *, limits: Limits, now: datetime) -> Submission:
        """Store a job, its reservation, member and server; for a known interaction, return the job it made before.

        Ends the intake that it comes from. It counts as shown where the reply names its message; else it is not claimed until
        `set_shown`. Raises NotFoundError where the intake was taken back meanwhile, QuotaError when `limits` forbid a new
        job, NotAllowedError for a member who is blocked in the server.
        """
        ...

    async def check(self, new: NewJob, *, limits: Limits, now: datetime) -> None:
        """Raise what `add` would raise now, but store nothing; an interaction that was seen before raises nothing."""
        ...

    async def get(self, job_id: JobId) -> Job | None: ...

    async def images(self, job_id: JobId) -> tuple[StoredImage, ...]: ...

    async def claim(self, *, now: datetime, lease_until: datetime, batch: int, unfetched: Collection[str] = ()) -> Job | None:
        """Mark the next job RUNNING, attempt + 1, started now, and return it; None when no waiting job may run.

        Each member has one job running; a member gets another place only when nobody else waits for one and fewer jobs run than
        pictures share a step (`batch`). No more LoRAs are in use at once than fit in memory. Jobs of paused servers wait,
        and so do jobs that nobody was shown yet; other jobs overtake those that use a style of `unfetched`.
        """
        ...

    async def waiting_for(self, styles: Collection[str] | None, *, limit: int) -> tuple[Job, ...]:
        """Return QUEUED jobs with one of these styles (None: any) that wait for nothing but files, oldest first."""
        ...

    async def fail_waiting(self, job_id: JobId, reason: Message, *, now: datetime) -> bool:
        """Mark a QUEUED job FAILED, with the sentence to show and the refund; return False when it was not QUEUED."""
        ...

    async def extend_lease(self, job_id: JobId, attempt: int, *, lease_until: datetime) -> bool: ...

    async def finish(self, job_id: JobId, attempt: int, images: Sequence[StoredImage], *, now: datetime) -> bool:
        """Mark the job SUCCEEDED, store its pictures and post the charge."""
        ...

    async def fail(self, job_id: JobId, attempt: int, reason: Message, *, now: datetime) -> bool:
        """Mark the job FAILED, with the sentence to show and the refund."""
        ...

    async def withhold(self, job_id: JobId, attempt: int, *, now: datetime) -> bool:
        """Mark the job FAILED: its pictures go too far. Refunds FREE_WITHHELD a day and member, charges the others."""
        ...

    async def keep_back(self, job_id: JobId, reason: Message, *, now: datetime) -> tuple[str, ...] | None:
        """Mark a SUCCEEDED job FAILED before it was shown, with the sentence to show and the whole refund.

        Returns the keys of the files to remove; None when it is not SUCCEEDED (any more).
        """
        ...

    async def put_back(self, job_id: JobId, attempt: int, *, aborted: bool) -> bool:
        """Mark the job QUEUED again. `aborted`: a shutdown took it back, which does not count as a try."""
        ...

    async def cancel(self, job_id: JobId, *, now: datetime, taken: StepsTaken | None = None) -> bool:
        """Mark a QUEUED or RUNNING job CANCELLED; return False when it was neither.

        `taken` (its member cancels): those steps are charged if that attempt still has the job; the rest is refunded.
        """
        ...

    async def cancel_all(self, user_id: int, *, guild_id: int, now: datetime) -> tuple[JobId, ...]:
        """Cancel a member's waiting jobs in a server, in several transactions; refund them whole and return their ids."""
        ...

    async def recover(self, *, now: datetime, expired_only: bool, sentence: Message = INTERRUPTED) -> Recovery:
        """Put RUNNING jobs back on the queue, or fail, with the sentence, those whose tries are used up.

        When a process or its device has died (`expired_only=False`), every RUNNING job is an orphan; later only those with
        expired leases. The death counts as a try of a job that ran alone. Where several ran, it counts for none, and `claim`
        runs each alone from then on, so that a job which kills the process fails and the others are drawn.
        """
        ...

    async def ahead(self, job_id: JobId) -> Ahead | None:
        """Return what ends before the job; None when it neither waits nor runs."""
        ...

    async def waiting(self, user_id: int, *, limit: int) -> Waiting:
        """Return a member's QUEUED and RUNNING jobs in queue order."""
        ...

    async def waiting_in(self, guild_id: int, *, limit: int) -> Waiting:
        """Return a server's QUEUED and RUNNING jobs in queue order."""
        ...

    async def backlog(self) -> int:
        """Return how many jobs run, wait in a queue that is not paused, or come from files that are being read."""
        ...

    async def counts(self) -> dict[str, int]:
        """Return the number of jobs by status."""
        ...

    async def recent(self, limit: int) -> tuple[DrawnJob, ...]:
        """Return the jobs that finished last."""
        ...

    async def line(self, limit: int) -> tuple[Job, ...]:
        """Return QUEUED jobs of all servers, oldest first."""
        ...

    async def set_message(self, job_id: JobId, *, channel_id: int, message_id: int) -> None:
        """Store the place of the card, once Discord has told it."""
        ...

    async def unknown_keys(self, keys: Sequence[str]) -> frozenset[str]:
        """Return those of the keys that belong to no picture and to no upload that a job still needs."""
        ...

    async def owing_an_answer(self) -> tuple[JobId, ...]:
        """Return the jobs of which it is unknown whether their member was shown them, oldest first."""
        ...

    async def set_shown(self, job_id: JobId, *, message_id: int | None, now: datetime) -> bool:
        """Record that the member was shown the job (the message's id may be unknown); it may be claimed from now on.

        Returns False when that was known before, or the job is gone.
        """
        ...

    async def withdraw(self, job_id: JobId, *, now: datetime) -> bool:
        """Cancel and refund a job that nobody was shown, and send nothing; return False when somebody was shown it."""
        ...

    async def mark_deleted(self, job_id: JobId, *, by: int, now: datetime) -> tuple[str, ...]:
        """Forget a finished job's pictures and close the report about them; returns the keys of the files to remove, also of
        the upload that it started from unless another job needs it.
        """
        ...
