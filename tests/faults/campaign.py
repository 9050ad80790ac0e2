"""One case: several members' requests at once, a fault in the midst of them, and everything that has to hold afterwards."""

from __future__ import annotations

import asyncio
import random
import shutil
from pathlib import Path

import numpy as np

from bot.domain.job import Job, JobStatus
from bot.domain.profile import ModelSource
from bot.domain.request import GenerationRequest
from bot.errors import GeneratorDeadError
from bot.inference.engine_settings import EngineSettings
from bot.inference.generator import DiffusersGenerator
from tests.faults.device import breakable
from tests.faults.harness import FaultHarness, open_room
from tests.faults.judge import judge
from tests.faults.kinds import TORN, Kind
from tests.inference.conftest import NEARLY_FREE, draw, make_request, pixels
from tests.tiny_sdxl import (
    LORA_FILE,
    LORA_REPO,
    MODEL_REPO,
    TinyModels,
    hub_folder,
    pastel_style,
    tiny_catalog,
    tiny_profile,
)

MEMBERS, BATCH = 4, 3  # so that one waits at least
CASE_SECONDS = 600.0  # a loaded machine is slow, and what hangs hangs for ever
ROUNDING = 3  # levels of 255 by which company may change a picture


class FaultCase:
    """The tiny model, a style that works and one whose file gets damaged; `generator` is for faults that one survives."""

    def __init__(self, folder: Path) -> None:
        self._models = TinyModels.create(folder)
        shutil.copy(hub_folder(self._models.cache_dir, LORA_REPO) / LORA_FILE, folder / "whole.safetensors")
        self.profile = tiny_profile(ModelSource(repo=MODEL_REPO))
        torn = pastel_style(name=TORN, title="Torn", repo=None, weight_name=None, file=folder / "torn.safetensors")
        self.catalog = tiny_catalog(self.profile, pastel_style(), torn)
        self.generator = self.new_generator()

    def new_generator(self) -> DiffusersGenerator:
        """What a new process has."""
        return DiffusersGenerator(
            self.profile,
            self.catalog,
            device="cpu",
            cache_dir=self._models.cache_dir,
            engine=EngineSettings(batch=BATCH, curve=NEARLY_FREE),
        )


def requests(luck: random.Random, victim: int, style: str | None) -> list[GenerationRequest]:
    """Of every kind, so that some share calls and some do not. The victim's pictures share theirs at least with each other."""
    wanted: list[GenerationRequest] = []
    for number in range(MEMBERS):
        width, height = (48, 80) if luck.random() < 0.15 else (64, 64)
        own_style = style if number == victim and style else "pastel" if luck.random() < 0.15 else None
        wanted.append(
            make_request(
                prompt=f"hat {number}, {luck.getrandbits(64):x}",
                width=width,
                height=height,
                num_images=2 if number == victim or luck.random() < 0.25 else 1,
                num_inference_steps=luck.randint(3, 4),
                guidance_scale=luck.choice([7.0, 7.0, 1.0]),
                seed=luck.getrandbits(31),
                style=own_style,
                adapter_weight=0.7 if own_style else 1.0,
            )
        )
    return wanted


async def run_case(house: FaultCase, folder: Path, kind: Kind, seed: int) -> None:
    """Raises AssertionError for every promise that was broken."""
    luck = random.Random(f"{kind.name} {seed}")
    victim = luck.randrange(MEMBERS)
    wanted = requests(luck, victim, kind.style)
    generator = house.new_generator() if kind.deadly else house.generator
    await generator.load()
    async with asyncio.timeout(CASE_SECONDS), open_room(folder, house.profile, house.catalog, generator) as room:
        with breakable(generator, wanted[victim], luck.randrange(wanted[victim].num_inference_steps)) as device:
            sentence = kind.plant(device, luck)
            await _send(room, wanted, luck)
            if kind.deadly:
                await _check_death(room)
            else:
                _check_ends(await room.all_ended(), victim, sentence)
            assert device.hits, "the fault has hit nobody"
        if kind.deadly:
            await generator.close()
            await _check_restart(house, room)
        elif not kind.changes_the_model and luck.random() < 0.5:
            await _check_picture(room, generator, luck)
        _acquit(await judge(room))


def _acquit(problems: list[str]) -> None:
    assert not problems, "\n".join(problems)


async def _send(room: FaultHarness, wanted: list[GenerationRequest], luck: random.Random) -> None:
    """Some wait already when the worker starts, the others come while it draws."""
    waiting = luck.randint(0, len(wanted))
    for request in wanted[:waiting]:
        await room.send(request)
    room.start()
    for request in wanted[waiting:]:
        await asyncio.sleep(luck.uniform(0, 0.05))
        await room.send(request)


def _check_ends(jobs: list[Job], victim: int, sentence: str | None) -> None:
    for number, job in enumerate(jobs):
        if number == victim and sentence is not None:
            assert job.status is JobStatus.FAILED, f"the victim is {job.status}"
            assert sentence in str(job.failure), f"the victim heard {job.failure!r}, not {sentence!r}"
        else:
            assert job.status is JobStatus.DELIVERED, f"{'the victim' if number == victim else 'somebody else'}: {job.failure}"
        assert number == victim or job.attempt == 1, "somebody else's work was begun again"


async def _check_death(room: FaultHarness) -> None:
    error = await room.death()
    assert isinstance(error, GeneratorDeadError), f"the worker ended with {error!r}"
    statuses = {job.status for job in await room.now()}
    assert JobStatus.QUEUED in statuses, f"nobody's job is back on the queue: {statuses}"
    assert statuses <= {JobStatus.QUEUED, JobStatus.SUCCEEDED, JobStatus.DELIVERED}, f"jobs are {statuses}"
    _acquit(await judge(room))


async def _check_restart(house: FaultCase, room: FaultHarness) -> None:
    """A new process with a sound device draws everything."""
    await room.stop()
    survivor = house.new_generator()
    try:
        await survivor.load()
        room.build(survivor)
        room.start()
        statuses = {job.status for job in await room.all_ended()}
        assert statuses == {JobStatus.DELIVERED}, f"after the restart jobs are {statuses}"
        await room.stop()
    finally:
        await survivor.close()


async def _check_picture(room: FaultHarness, generator: DiffusersGenerator, luck: random.Random) -> None:
    """Whoever was drawn beside the fault, or in spite of it, got what they would have got without it."""
    job = luck.choice([job for job in await room.now() if job.status is JobStatus.DELIVERED])
    stored = [await room.world.store.read(image.key) for image in await room.world.jobs.images(job.id)]
    again = await draw(generator, job.request)
    for mine, wanted in zip(stored, again.images, strict=True):
        difference = np.abs(pixels(mine).astype(int) - pixels(wanted.data).astype(int)).max()
        assert difference <= ROUNDING, f"a picture of job {job.id} is another than without the fault, by {difference} levels"
