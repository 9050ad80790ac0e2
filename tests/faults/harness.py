"""The real generator behind the real worker: real SQLite, real files, and a messenger that notes what members see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bot.domain.job import Job, JobStatus
from bot.domain.profile import Catalog, ModelProfile
from bot.domain.quota import Limits
from bot.domain.request import GenerationRequest
from bot.inference.generator import DiffusersGenerator
from bot.inference.images.codec import PillowCodec
from bot.storage.database import Database
from bot.storage.images import DiskImageStore
from tests.empty_database import begin_at
from tests.examples import origin
from tests.fakes import FakeClock, RecordingMessenger
from tests.services.harness import ServicesHarness

ENDED = {JobStatus.DELIVERED, JobStatus.FAILED}
PATIENCE = 120.0  # seconds; a loaded machine is slow, and what hangs hangs for ever


@dataclass
class FaultHarness:
    """One bot, which may be restarted with another generator. `jobs` are those that members sent, in order."""

    world: ServicesHarness
    folder: Path
    profile: ModelProfile
    catalog: Catalog
    jobs: list[Job] = field(default_factory=list)
    worker: asyncio.Task[None] | None = None

    def build(self, generator: DiffusersGenerator) -> None:
        """As a process does: new services over the database that is there."""
        self.world.generator = generator
        self.world.build(profile=self.profile, catalog=self.catalog, edit_interval=0.0)

    def start(self) -> None:
        self.worker = self.world.start_worker()
        self.world.start_delivery()

    async def stop(self) -> None:
        await self.world.services.worker.stop(0)
        await self.world.services.delivery.deliver_due()
        await self.world.services.delivery.stop()
        await self.world.services.live.stop()
        await asyncio.gather(*self.world.tasks, return_exceptions=True)
        self.world.tasks.clear()

    async def send(self, request: GenerationRequest) -> Job:
        """Every request is of another member."""
        number = len(self.jobs) + 1
        job = await self.world.submit(number, request=request, origin=origin(number, user_id=100 + number))
        self.jobs.append(job)
        return job

    async def now(self) -> list[Job]:
        return [await self.world.job(job.id) for job in self.jobs]

    async def all_ended(self) -> list[Job]:
        """Wait until every card shows its job's end."""
        async with asyncio.timeout(PATIENCE):
            while not await self._is_over():
                assert self.worker is not None
                assert not self.worker.done(), "the worker has ended before its jobs"
                await asyncio.sleep(0.03)  # each look reads the database
        return await self.now()

    async def _is_over(self) -> bool:
        ended = all(job.status in ENDED for job in await self.now())
        return ended and not [job for job in self.jobs if await self.world.is_open(job)]

    async def death(self) -> BaseException | None:
        """Wait for the worker to end by itself; what it raised."""
        assert self.worker is not None
        await asyncio.wait([self.worker], timeout=PATIENCE)
        assert self.worker.done(), "the worker goes on without a device"
        return self.worker.exception()


@asynccontextmanager
async def open_room(
    folder: Path, profile: ModelProfile, catalog: Catalog, generator: DiffusersGenerator
) -> AsyncGenerator[FaultHarness]:
    async with Database.open(begin_at(folder / "pastel.db")) as database:
        clock = FakeClock()
        world = ServicesHarness(
            database=database,
            clock=clock,
            generator=generator,
            messenger=RecordingMessenger(),
            store=DiskImageStore(folder / "images", clock),
            codec=PillowCodec(),
            limits=Limits(daily_credits=1000),
        )
        room = FaultHarness(world=world, folder=folder, profile=profile, catalog=catalog)
        room.build(generator)
        try:
            yield room
        finally:
            await room.stop()
