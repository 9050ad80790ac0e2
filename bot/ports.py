"""What the layers ask of one another. Adapters implement these; services know nothing else of them.

All coroutines run on the event loop and do not block it. Times are UTC and aware.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.domain.card import JobCard
from bot.domain.delivery import DeliveryFault, OutboxEntry
from bot.domain.image import GenerationResult, ImageFile, StoredImage, Upload
from bot.domain.job import Job, JobId, NewJob, Origin, ReplyTarget
from bot.domain.progress import Progress
from bot.domain.quota import Limits
from bot.domain.request import GenerationRequest
from bot.domain.safety import Rating
from bot.errors import PastelError

OnProgress = Callable[[Progress], None]


class Clock(Protocol):
    """The time, so that tests can set it."""

    def now(self) -> datetime:
        """UTC, aware."""
        ...


class ImageGenerator(Protocol):
    """Draws pictures. Owns its thread; `close` returns when the thread has let go, or cannot be made to."""

    @property
    def capacity(self) -> int:
        """How many requests may be in `generate` at once."""
        ...

    @property
    def ready(self) -> bool:
        """Whether the weights are loaded and the last thing that happened was not a fault of the device."""
        ...

    async def load(self) -> None:
        """Read the weights (seconds to minutes). Raises ModelError."""
        ...

    async def generate(
        self, request: GenerationRequest, *, init_image: bytes | None, on_progress: OnProgress
    ) -> GenerationResult:
        """Draw all pictures of the request; loads first if that has not happened.

        `init_image` is the PNG that img2img starts from. `on_progress` is called on the event loop. Cancelling the awaiting
        task stops the drawing within one step; the coroutine ends only when the thread has let go.
        Raises GenerationError (a sentence for the member), ModelError, GeneratorDeadError.
        """
        ...

    async def close(self) -> None: ...


class PictureClassifier(Protocol):
    """Says what pictures show. Owns its thread, as the generator does; `load` (seconds to minutes) raises ModelError."""

    async def load(self) -> None: ...

    async def ratings(self, pictures: Sequence[bytes]) -> tuple[Rating, ...]:
        """One rating for each PNG file; loads first if that has not happened. Raises on any fault, never guesses."""
        ...

    async def close(self) -> None: ...


class ImageCodec(Protocol):
    """Makes files smaller; reads PNG, JPEG and WebP of up to 10 MiB and 16.8 megapixels, else InvalidRequestError."""

    async def read_upload(self, data: bytes, *, width: int, height: int) -> Upload:
        """Check a member's file and fit it into `width` x `height` (cover, centred crop)."""
        ...

    async def read_parameters(self, data: bytes) -> str | None:
        """What the file says of how it was made, as A1111 writes it. Raises for too long a text as well."""
        ...

    async def fit(self, file: ImageFile, max_bytes: int) -> ImageFile:
        """The same picture in at most `max_bytes`: unchanged if it fits, else WebP, then smaller; keeps its metadata."""
        ...


class ImageStore(Protocol):
    """Files under the data folder. Keys are made by the store; no user text ever becomes a path."""

    async def save(self, job_id: JobId, attempt: int, index: int, data: bytes) -> str:
        """Write durably (temporary file, fsync, rename, fsync of the folder) and return the key. Raises FolderError."""
        ...

    async def read(self, key: str) -> bytes:
        """Raises NotFoundError."""
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove files; missing ones are no error."""
        ...

    async def save_upload(self, data: bytes) -> str:
        """Keep a checked upload under the hash of its content and return the key."""
        ...

    async def read_upload(self, key: str) -> bytes:
        """Raises NotFoundError."""
        ...


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
    """What runs or waits before a job: how many, and their work in megapixel-steps. `paused`: the job waits for its server."""

    jobs: int
    work: float
    paused: bool = False


class LimitsSource(Protocol):
    """What members may use; asked before every job and for `/quota`."""

    async def limits_for(self, origin: Origin) -> Limits:
        """Of this member in this server (a DM: `guild_id` None) with these roles."""
        ...


class JobRepository(Protocol):
    """Jobs and their pictures on disk. Every method is one transaction.

    Methods that take `attempt` are fenced: they change nothing and return False when the job is no longer RUNNING under
    that attempt. Every move to SUCCEEDED, FAILED or CANCELLED writes the outbox entry and the ledger's posting with it.
    """

    async def add(self, new: NewJob, *, limits: Limits, now: datetime) -> Submission:
        """Store a job, its reservation, its member and its server; a known interaction gives the job it made before.

        Raises QuotaError when `limits` forbid a new one, NotAllowedError for a member who is blocked in the server.
        """
        ...

    async def get(self, job_id: JobId) -> Job | None: ...

    async def images(self, job_id: JobId) -> tuple[StoredImage, ...]: ...

    async def claim(self, *, now: datetime, lease_until: datetime) -> Job | None:
        """Take the job whose turn it is: RUNNING, attempt + 1, started now. None when nothing waits, or all of it is paused."""
        ...

    async def extend_lease(self, job_id: JobId, attempt: int, *, lease_until: datetime) -> bool: ...

    async def finish(self, job_id: JobId, attempt: int, images: Sequence[StoredImage], *, now: datetime) -> bool:
        """SUCCEEDED, with its pictures and the charge."""
        ...

    async def fail(self, job_id: JobId, attempt: int, reason: str, *, now: datetime) -> bool:
        """FAILED, with the sentence to show and the refund."""
        ...

    async def put_back(self, job_id: JobId, attempt: int, *, aborted: bool) -> bool:
        """QUEUED again. `aborted`: a shutdown took it back, which does not count as a try."""
        ...

    async def cancel(self, job_id: JobId, *, now: datetime) -> bool:
        """CANCELLED, from QUEUED or RUNNING, with the refund; False when it was in neither."""
        ...

    async def recover(self, *, now: datetime, expired_only: bool) -> Recovery:
        """Put RUNNING jobs back, or fail those whose tries are used up.

        At start nobody else runs (`expired_only=False`: every RUNNING job is an orphan); later only expired leases count.
        """
        ...

    async def ahead(self, job_id: JobId) -> Ahead | None:
        """None when the job does not wait."""
        ...

    async def waiting(self, user_id: int) -> tuple[Job, ...]:
        """A member's QUEUED and RUNNING jobs in queue order."""
        ...

    async def waiting_in(self, guild_id: int) -> tuple[Job, ...]:
        """The same of a whole server."""
        ...

    async def backlog(self) -> int:
        """How many jobs run, or wait where the queue is not paused."""
        ...

    async def counts(self) -> dict[str, int]:
        """Jobs by status."""
        ...

    async def pace(self) -> float | None:
        """Seconds a megapixel-step, over the last finished jobs; None before the first."""
        ...

    async def set_message(self, job_id: JobId, *, channel_id: int, message_id: int) -> None:
        """Where the card is, once Discord said it."""
        ...

    async def mark_deleted(self, job_id: JobId, *, now: datetime) -> tuple[str, ...]:
        """Forget a finished job's pictures; returns the keys of the files to remove."""
        ...


class Outbox(Protocol):
    """Finished jobs whose cards are not shown yet; one entry a job, kept until it is shown or given up."""

    async def due(self, *, now: datetime, limit: int) -> tuple[OutboxEntry, ...]:
        """Entries whose time has come, oldest first."""
        ...

    async def next_due(self) -> datetime | None:
        """When the earliest open entry wants to be tried."""
        ...

    async def delivered(self, job_id: JobId, *, channel_id: int, message_id: int, now: datetime) -> None:
        """Close the entry, remember the message; SUCCEEDED becomes DELIVERED."""
        ...

    async def retry(self, job_id: JobId, *, at: datetime, fault: DeliveryFault) -> None:
        """Count the attempt and wait until `at`."""
        ...

    async def give_up(self, job_id: JobId, fault: DeliveryFault, *, now: datetime) -> None:
        """Close the entry; SUCCEEDED becomes UNDELIVERABLE, with a refund in place of the charge."""
        ...

    async def start_post(self, job_id: JobId, *, now: datetime) -> OutboxEntry:
        """Remember, before posting, that a post was tried; the first time stays."""
        ...


class MetaRepository(Protocol):
    """Small facts that outlive the process, by name (the hash of the synced commands)."""

    async def get(self, name: str) -> str | None: ...

    async def set(self, name: str, value: str) -> None: ...


class MessengerError(PastelError):
    """Discord refused or lost a message; `retry_after` is seconds, where Discord said so.

    RATE_LIMITED with `retry_after` concerns that channel; without it Discord refuses everything (Cloudflare's ban), and
    delivery stops all requests but one probe a minute.
    """

    def __init__(self, fault: DeliveryFault, detail: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(f"{fault}: {detail}" if detail else str(fault))
        self.fault = fault
        self.retry_after = retry_after


class Messenger(Protocol):
    """Shows cards. Edits replace the whole card and may be repeated; all raise MessengerError."""

    async def edit_by_token(self, reply: ReplyTarget, card: JobCard) -> int:
        """Edit the interaction's original response; returns its message id."""
        ...

    async def edit_by_id(self, reply: ReplyTarget, card: JobCard) -> int:
        """Edit by channel and message id with the bot's own token; returns the message id."""
        ...

    async def post(self, reply: ReplyTarget, card: JobCard, *, nonce: str) -> int:
        """Post a new message; the same nonce within minutes gives the same message. Returns its id."""
        ...

    async def find_post(self, reply: ReplyTarget, job_id: JobId, *, since: datetime) -> int | None:
        """Look for a card of the job that we posted after `since`; None when there is none or we may not look."""
        ...

    async def delete(self, reply: ReplyTarget) -> None:
        """Delete the card's message; a message that is gone is no error."""
        ...
