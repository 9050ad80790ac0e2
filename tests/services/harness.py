"""The services over real SQLite, with fakes for everything else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from bot.domain.card import JobCard
from bot.domain.delivery import DeliveryFault
from bot.domain.image import StoredImage
from bot.domain.job import Job, JobId, JobStatus, Origin
from bot.domain.operator_rules import NO_OPERATOR_RULES, OperatorRules
from bot.domain.profile import Catalog, ModelProfile
from bot.domain.quota import UNLIMITED, Limits
from bot.metrics import Metrics
from bot.ports import Messenger, MessengerError
from bot.services.live_cards import EDIT_INTERVAL
from bot.services.request_builder import PreparedJob
from bot.services.use_cases import Services
from bot.storage.database import Database
from bot.storage.jobs import SqliteJobs
from bot.storage.repositories import Repositories, sqlite_repositories
from bot.wiring.build import build_services
from bot.wiring.ports import Ports
from tests.empty_database import begin_at
from tests.examples import CATALOG, PROFILE, new_job
from tests.fakes import (
    FakeAttachments,
    FakeClassifier,
    FakeClock,
    FakeCodec,
    FakeGenerator,
    FakeMemberRanks,
    FakeModelHub,
    InMemoryImageStore,
    RecordingBoard,
    RecordingMessenger,
    picture,
)


@dataclass
class ServicesHarness:
    """Everything that a test of the services looks at."""

    database: Database
    clock: FakeClock
    generator: FakeGenerator
    messenger: RecordingMessenger
    store: InMemoryImageStore = field(default_factory=InMemoryImageStore)
    codec: FakeCodec = field(default_factory=FakeCodec)
    attachments: FakeAttachments = field(default_factory=FakeAttachments)
    hub: FakeModelHub = field(default_factory=FakeModelHub)
    metrics: Metrics = field(default_factory=Metrics)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    limits: Limits = UNLIMITED
    host: OperatorRules = NO_OPERATOR_RULES
    asked: Origin | None = None
    classifier: FakeClassifier | None = None
    board: RecordingBoard = field(default_factory=RecordingBoard)
    member_ranks: FakeMemberRanks = field(default_factory=FakeMemberRanks)
    repositories: Repositories = field(init=False)
    services: Services = field(init=False)

    def __post_init__(self) -> None:
        self.repositories = sqlite_repositories(self.database)

    @property
    def jobs(self) -> SqliteJobs:
        return self.repositories.jobs

    def build(
        self,
        *,
        messenger: Messenger | None = None,
        profile: ModelProfile = PROFILE,
        catalog: Catalog = CATALOG,
        edit_interval: float = EDIT_INTERVAL,
        timer: Callable[[], float] = time.monotonic,
    ) -> Services:
        """Build the services afresh, as a restart does."""
        ports = Ports(
            repositories=self.repositories,
            attachments=self.attachments,
            limits=self,
            board=self.board,
            member_ranks=self.member_ranks,
            store=self.store,
            codec=self.codec,
            messenger=messenger or self.messenger,
            generator=self.generator,
            hub=self.hub,
            clock=self.clock,
            metrics=self.metrics,
            classifier=self.classifier,
        )
        self.services = build_services(
            ports,
            profile=profile,
            catalog=catalog,
            host=self.host,
            edit_interval=edit_interval,
            sleep=self.clock.sleep,
            timer=timer,
        )
        be_patient(self.services)
        return self.services

    async def limits_for(self, origin: Origin) -> Limits:
        """Implements ports.LimitsSource; remembers who asked."""
        self.asked = origin
        return self.limits

    async def add(self, interaction_id: int = 1, **changes: object) -> Job:
        """Store a job as `submit` does, without a live card; its member was shown it, perhaps in a message nobody knows."""
        new = new_job(interaction_id, **changes)
        job = (await self.jobs.add(new, limits=self.limits, now=self.clock.now())).job
        await self.jobs.set_shown(job.id, message_id=None, now=self.clock.now())
        return await self.job(job.id)

    async def upload(self, data: bytes) -> str:
        """Keep a member's file as `submit` does; returns its key."""
        return await self.store.save_upload(data, interaction_id=1)

    async def claim(self) -> Job:
        now = self.clock.now()
        job = await self.jobs.claim(now=now, lease_until=now + timedelta(seconds=30), batch=64)
        assert job is not None
        return job

    async def draw(self, job: Job, *, seconds: float = 2.0) -> Job:
        """Claim `job` and finish it with its files in the store, as a worker does."""
        claimed = await self.claim()
        assert claimed.id == job.id
        self.clock.advance(seconds)
        images: list[StoredImage] = []
        for index in range(job.request.num_images):
            made = picture(job.request, index)
            key = await self.store.save(job.id, claimed.attempt, index, made.data)
            images.append(
                StoredImage(
                    index=index,
                    key=key,
                    seed=made.seed,
                    width=made.width,
                    height=made.height,
                    parameters=made.parameters,
                    size_bytes=len(made.data),
                )
            )
        assert await self.jobs.finish(job.id, claimed.attempt, images, now=self.clock.now())
        return await self.job(job.id)

    async def drawn(self, interaction_id: int = 1, **changes: object) -> Job:
        """A job whose pictures are on disk and whose card is not shown."""
        return await self.draw(await self.add(interaction_id, **changes))

    async def delivered(self, interaction_id: int = 1, **changes: object) -> Job:
        """A job whose pictures are shown."""
        job = await self.drawn(interaction_id, **changes)
        await self.services.delivery.deliver_due()
        return await self.job(job.id)

    async def job(self, job_id: JobId) -> Job:
        job = await self.jobs.get(job_id)
        assert job is not None
        return job

    async def status(self, job: Job) -> JobStatus:
        return (await self.job(job.id)).status

    async def is_open(self, job: Job) -> bool:
        """Whether the job's outbox entry waits."""
        entries = await self.repositories.outbox.due(now=self.clock.now() + timedelta(days=400), limit=1000)
        return job.id in {entry.job_id for entry in entries}

    def start_worker(self) -> asyncio.Task[None]:
        task = asyncio.create_task(self.services.worker.run())
        self.tasks.append(task)
        return task

    def start_delivery(self) -> asyncio.Task[None]:
        task = asyncio.create_task(self.services.delivery.run())
        self.tasks.append(task)
        return task

    def cards(self) -> list[JobCard]:
        """What Discord was made to show, in order."""
        return [call.card for call in self.messenger.shown if call.card is not None]

    async def wait_for(self, status: JobStatus, job: Job) -> Job:
        async def reached() -> bool:
            return await self.status(job) is status

        await until(reached)
        return await self.job(job.id)

    async def submit(self, interaction_id: int = 1, **changes: object) -> Job:
        """Through the service, as a command does; its member was shown it, perhaps in a message nobody knows."""
        new = new_job(interaction_id, **changes)
        proposal = PreparedJob(request=new.request, parent=new.parent)
        job = (await self.services.generation.submit(proposal, new.origin, new.reply)).job
        await self.services.first_answers.shown(job, message_id=None)
        return await self.job(job.id)


def be_patient(services: Services) -> None:
    """Let no job count as stored slowly, however busy the machine is that runs the tests."""
    services.generation._reception._patience = services.intakes._patience = 3600.0


@asynccontextmanager
async def open_world(folder: Path, generator: FakeGenerator | None = None) -> AsyncGenerator[ServicesHarness]:
    """A world with its services built; stops what a test started and left running."""
    async with Database.open(begin_at(folder / "pastel.db")) as database:
        harness = ServicesHarness(
            database=database,
            clock=FakeClock(),
            generator=generator or FakeGenerator(),
            messenger=RecordingMessenger(),
        )
        harness.build()
        try:
            yield harness
        finally:
            harness.messenger.gate.set()
            harness.messenger.slow_gate.set()
            harness.generator.gate.set()
            harness.generator.letting_go.set()
            if harness.classifier is not None:
                harness.classifier.gate.set()
            await harness.services.worker.stop(0)
            await harness.services.fetcher.stop()
            await harness.services.live.stop()
            await harness.services.delivery.stop()
            await harness.services.eraser.stop()
            harness.services.retention.stop()
            harness.services.places.stop()
            await harness.services.reader.close()
            harness.services.first_answers.stop()
            await asyncio.gather(*harness.tasks, return_exceptions=True)


async def drawing(harness: ServicesHarness, count: int = 1) -> None:
    """Wait until `count` drawings have begun."""
    await until(lambda: len(harness.generator.started) >= count)


def outcomes(harness: ServicesHarness) -> dict[str, float]:
    metric = next(iter(harness.metrics.finished.collect()))
    return {sample.labels["outcome"]: sample.value for sample in metric.samples if sample.name.endswith("_total")}


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 20.0) -> None:
    """Return soon after `condition` holds; the database's threads answer in their own time.

    The pauses grow: somebody who asks the database all the time never lets its log be folded in.
    """
    pause = 0.001
    async with asyncio.timeout(seconds):
        while True:
            met = condition()
            if met if isinstance(met, bool) else await met:
                return
            await asyncio.sleep(pause)
            pause = min(1.3 * pause, 0.03)


def fault(kind: DeliveryFault, retry_after: float | None = None) -> MessengerError:
    return MessengerError(kind, "from the test", retry_after=retry_after)
