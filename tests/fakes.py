"""Fakes of the ports: small, in memory, under the test's control."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bot.domain.card import JobCard
from bot.domain.delivery import SeenAnswer
from bot.domain.downloads import Download, DownloadError, Transfer
from bot.domain.eta import EngineSpeed
from bot.domain.fairness import Share
from bot.domain.image import GeneratedImage, GenerationResult, ImageFile, Swept, Upload
from bot.domain.job import JobId, ReplyTarget
from bot.domain.language import Language
from bot.domain.moderation import Rank
from bot.domain.profile import Style
from bot.domain.progress import Phase, Progress
from bot.domain.report import ReportMessage, ReportNotice
from bot.domain.request import GenerationRequest
from bot.domain.safety import Rating
from bot.errors import DiskFullError, InvalidRequestError, ModelError, NotFoundError
from bot.messages import Message
from bot.ports import MessengerError, OnProgress, UnknownKeys

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
DIRECT = 7000  # and the member's id: the channel of their direct messages


class FakeClock:
    """Implements ports.Clock. Stands still until `advance`; `sleep` waits for it."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._ticks = 0.0
        self._sleepers: list[tuple[datetime, float, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._now

    def ticks(self) -> float:
        return self._ticks

    def advance(self, seconds: float) -> None:
        """Move on and wake whoever slept until then."""
        self._now += timedelta(seconds=seconds)
        self._ticks += seconds
        for until, _, sleeper in self._sleepers:
            if until <= self._now and not sleeper.done():
                sleeper.set_result(None)
        self._sleepers = [entry for entry in self._sleepers if not entry[2].done()]

    def set_back(self, by: timedelta) -> None:
        """What a time server does to a clock that ran ahead; sleepers sleep by another clock."""
        self._now -= by
        self._sleepers = [(until - by, seconds, sleeper) for until, seconds, sleeper in self._sleepers]

    def set_ahead(self, by: timedelta) -> None:
        """What a time server that is wrong does; nothing but the clock moves."""
        self.set_back(-by)

    async def sleep(self, seconds: float) -> None:
        sleeper = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now + timedelta(seconds=seconds), seconds, sleeper))
        await sleeper

    @property
    def pauses(self) -> list[float]:
        """For how long those sleep who sleep right now."""
        return [seconds for _, seconds, sleeper in self._sleepers if not sleeper.done()]

    @property
    def sleeping(self) -> int:
        """How many sleep right now."""
        return len(self.pauses)


class FakeGenerator:
    """Implements ports.ImageGenerator.

    Each call takes the next of `outcomes` (an exception to raise, or None to draw; default: draw). While `gate` is clear,
    a drawing hangs after `steps_at_gate`. `started` and `ended` hold the requests in their order.
    """

    ready = True
    speed: EngineSpeed | None = None

    def __init__(self, *outcomes: BaseException | None, capacity: int = 1) -> None:
        self.capacity = capacity
        self.outcomes = deque(outcomes)
        self.gate = asyncio.Event()
        self.gate.set()
        self.steps_at_gate = 1
        self.started: list[GenerationRequest] = []
        self.ended: list[GenerationRequest] = []
        self.shares: list[Share] = []
        self.init_images: list[bytes | None] = []
        self.letting_go = asyncio.Event()  # clear: a cancelled drawing does not end, like a kernel that hangs
        self.letting_go.set()

    @property
    def batch(self) -> int:
        return self.capacity

    async def load(self) -> None:
        pass

    async def generate(
        self, request: GenerationRequest, *, init_image: bytes | None, share: Share, on_progress: OnProgress
    ) -> GenerationResult:
        self.started.append(request)
        self.shares.append(share)
        self.init_images.append(init_image)
        try:
            on_progress(progress(request, self.steps_at_gate))
            outcome = self.outcomes.popleft() if self.outcomes else None
            if outcome is not None:
                raise outcome
            await self.gate.wait()
            on_progress(progress(request, request.num_images * request.num_inference_steps))
        finally:
            await self.letting_go.wait()
            self.ended.append(request)
        return GenerationResult(images=tuple(picture(request, index) for index in range(request.num_images)), seconds=2.0)

    async def close(self) -> None:
        pass


class FakeModelHub:
    """Implements services.fetching.HubGateway: what is `absent` by style, or `model` lacks, comes when `gate` is set.

    Each fetch raises the next of `faults`. `fetched` holds the repos in the order of asking; `ended` counts fetches that ended.
    """

    def __init__(self) -> None:
        self.absent: dict[str, Download] = {}
        self.model: tuple[Download, ...] = ()
        self.faults: deque[DownloadError] = deque()
        self.gate = asyncio.Event()
        self.fetched: list[str] = []
        self.ended = 0
        self.transfers: tuple[Transfer, ...] = ()

    async def lacking(self) -> tuple[Download, ...]:
        return self.model

    async def lacks(self, style: Style) -> Download | None:
        return self.absent.get(style.name)

    async def fetch(self, download: Download, on_progress: Callable[[Transfer], None]) -> None:
        self.fetched.append(download.repo)
        try:
            for transfer in self.transfers:
                on_progress(transfer)
            await self.gate.wait()
            if self.faults:
                raise self.faults.popleft()
        finally:
            self.ended += 1

    def refusal(self, download: Download, error: DownloadError) -> ModelError:
        return ModelError(f"{download.repo} {error.fault}. {error.cure}")


class FakeClassifier:
    """Implements ports.PictureClassifier.

    The n-th picture of a job gets the n-th of `verdicts`, the rest are GENERAL. `load_fault` and `fault` are raised; while
    `gate` is clear, looking hangs. `seen` holds what was asked about.
    """

    def __init__(self, *verdicts: Rating) -> None:
        self.verdicts = verdicts
        self.load_fault: Exception | None = None
        self.fault: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.seen: list[tuple[bytes, ...]] = []

    async def load(self) -> None:
        if self.load_fault is not None:
            raise self.load_fault

    async def ratings(self, pictures: Sequence[bytes]) -> tuple[Rating, ...]:
        self.seen.append(tuple(pictures))
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        missing = len(pictures) - len(self.verdicts)
        return (*self.verdicts, *[Rating.GENERAL] * missing)

    async def close(self) -> None:
        pass


def progress(request: GenerationRequest, step: int, preview: bytes | None = None) -> Progress:
    """A report after `step` steps of all pictures together."""
    return Progress(
        phase=Phase.DENOISING,
        num_images=request.num_images,
        step=step,
        steps=request.num_images * request.num_inference_steps,
        preview=preview,
    )


def picture(request: GenerationRequest, index: int) -> GeneratedImage:
    """What the fake generator draws: bytes that name the seed."""
    seed = request.image_seeds(index).seed
    return GeneratedImage(
        seed=seed, width=request.width, height=request.height, parameters=f"Seed: {seed}", data=f"PNG of {seed}".encode()
    )


class InMemoryImageStore:
    """Implements ports.ImageStore. `full` makes every write fail like a full disk; `free` is what the disk says it has."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.full = False
        self.free = 2**40

    async def save(self, job_id: JobId, attempt: int, index: int, data: bytes) -> str:
        return self._put(f"{job_id}-{attempt}-{index}", data)

    async def read(self, key: str) -> bytes:
        try:
            return self.files[key]
        except KeyError:
            raise NotFoundError("The file is gone.") from None

    async def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.files.pop(key, None)

    async def save_upload(self, data: bytes, *, interaction_id: int) -> str:
        return self._put(f"upload-{interaction_id}-{len(data)}", data)

    async def read_upload(self, key: str) -> bytes:
        return await self.read(key)

    async def sweep(self, unknown: UnknownKeys, *, before: datetime | None) -> Swept:
        """Of files of any age."""
        keys = await unknown(sorted(self.files))
        await self.delete(sorted(keys))
        return Swept(removed=len(keys), kept=len(self.files), kept_bytes=sum(map(len, self.files.values())))

    async def free_bytes(self) -> int:
        return self.free

    def _put(self, key: str, data: bytes) -> str:
        if self.full:
            raise DiskFullError("The disk is full.")
        self.files[key] = data
        return key


class FakeAttachments:
    """Implements services.intakes.AttachmentGateway: the files by their address; while `gate` is clear, fetching hangs."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.fetched: list[str] = []

    async def fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        await self.gate.wait()
        if url not in self.files:
            raise InvalidRequestError("I could not fetch it.")
        return self.files[url]


class FakeCodec:
    """Implements ports.ImageCodec: an upload that starts with `broken` is refused; a file is its own text; fitting cuts."""

    async def read_upload(self, data: bytes, *, width: int, height: int) -> Upload:
        if data.startswith(b"broken"):
            raise InvalidRequestError("This file is no picture.")
        return Upload(width=width, height=height, data=data + f" as {width}x{height}".encode())

    async def read_parameters(self, data: bytes) -> str | None:
        return data.decode() or None

    async def fit(self, file: ImageFile, max_bytes: int) -> ImageFile:
        return ImageFile(name=file.name, data=file.data[:max_bytes], description=file.description)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to the messenger. `way` is the method's name."""

    way: str
    reply: ReplyTarget
    card: JobCard | None = field(default=None, repr=False)
    nonce: str | None = None


class RecordingMessenger:
    """Implements ports.Messenger: notes every request in `calls`, and those that were carried out in `shown`.

    `faults[way]` is a queue of errors for the next requests of that way. While `gate` is clear, requests hang before they
    are carried out; `slow` picks requests that wait for `slow_gate` instead. `found` is what find_post answers, `seen` what
    first_answer does.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.shown: list[Call] = []
        self.faults: dict[str, deque[MessengerError]] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.slow: Callable[[Call], bool] = lambda _: False
        self.slow_gate = asyncio.Event()
        self.found: int | None = None
        self.seen = SeenAnswer(message_id=500, is_private=False)
        self.sentences: list[str] = []
        self.languages: list[Language | None] = []

    async def say(self, reply: ReplyTarget, sentence: Message, *, language: Language | None = None) -> None:
        await self._request(Call(way="say", reply=reply))
        self.sentences.append(str(sentence))
        self.languages.append(language)

    async def first_answer(self, reply: ReplyTarget) -> SeenAnswer:
        await self._request(Call(way="first_answer", reply=reply))
        return self.seen

    def fail(self, way: str, *errors: MessengerError) -> None:
        self.faults.setdefault(way, deque()).extend(errors)

    async def edit_by_token(self, reply: ReplyTarget, card: JobCard) -> int:
        await self._request(Call(way="edit_by_token", reply=reply, card=card))
        return reply.message_id or 500

    async def edit_by_id(self, reply: ReplyTarget, card: JobCard) -> int:
        await self._request(Call(way="edit_by_id", reply=reply, card=card))
        assert reply.message_id is not None
        return reply.message_id

    async def post(self, reply: ReplyTarget, card: JobCard, *, nonce: str) -> int:
        await self._request(Call(way="post", reply=reply, card=card, nonce=nonce))
        return 900

    async def find_post(self, reply: ReplyTarget, job_id: JobId, *, since: datetime) -> int | None:
        await self._request(Call(way="find_post", reply=reply))
        return self.found

    async def reopen(self, reply: ReplyTarget) -> None:
        await self._request(Call(way="reopen", reply=reply))

    async def open_direct(self, user_id: int) -> int:
        await self._request(Call(way="open_direct", reply=ReplyTarget(channel_id=DIRECT + user_id)))
        return DIRECT + user_id

    async def tell(self, channel_id: int, sentence: Message, *, nonce: str, language: Language | None = None) -> int:
        await self._request(Call(way="tell", reply=ReplyTarget(channel_id=channel_id), nonce=nonce))
        self.sentences.append(str(sentence))
        self.languages.append(language)
        return 901

    async def delete(self, reply: ReplyTarget) -> None:
        await self._request(Call(way="delete", reply=reply))

    async def _request(self, call: Call) -> None:
        self.calls.append(call)
        await (self.slow_gate if self.slow(call) else self.gate).wait()
        if self.faults.get(call.way):
            raise self.faults[call.way].popleft()
        self.shown.append(call)

    @property
    def ways(self) -> list[str]:
        return [call.way for call in self.calls]


class FakeMemberRanks:
    """Implements services.moderation.Roster: whoever is not in `ranks` is an ordinary member."""

    def __init__(self) -> None:
        self.ranks: dict[int, Rank] = {}

    async def rank(self, guild_id: int, user_id: int) -> Rank:
        del guild_id
        return self.ranks.get(user_id, Rank.MEMBER)


class RecordingBoard:
    """Implements services.report_display.ReportGateway: keeps what each message shows; raises the next of `faults`."""

    def __init__(self) -> None:
        self.messages: dict[int, ReportNotice] = {}
        self.channels: list[int] = []
        self.edits = 0
        self.faults: deque[MessengerError] = deque()
        self.lacking: dict[int, str] = {}

    def lacking_right(self, guild_id: int, channel_id: int) -> str | None:
        return self.lacking.get(channel_id)

    async def post(self, channel_id: int, notice: ReportNotice) -> int:
        self._fail()
        await asyncio.sleep(0)  # as a request does, so that two posts at once would show
        self.channels.append(channel_id)
        self.messages[600 + len(self.channels)] = notice
        return 600 + len(self.channels)

    async def edit(self, message: ReportMessage, notice: ReportNotice) -> None:
        self._fail()
        self.edits += 1
        self.messages[message.message_id] = notice

    def _fail(self) -> None:
        if self.faults:
            raise self.faults.popleft()

    @property
    def only(self) -> ReportNotice:
        """What the one message shows."""
        (notice,) = self.messages.values()
        return notice
