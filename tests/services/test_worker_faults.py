"""A folder or a database that refuses, a dead generator."""

from __future__ import annotations

import pytest

from bot.domain.job import MAX_ATTEMPTS, Actor, JobStatus
from bot.domain.request import InitImage
from bot.errors import FolderError, GeneratorDeadError, ModelError
from bot.services.attempt import DEVICE_LOST, DISK_FULL, LEASE, UPLOAD_GONE
from bot.services.worker import IDLE_INTERVAL, UPKEEP_INTERVAL
from tests.examples import MEMBER, request
from tests.services.world import World, drawing, outcomes, until

OWNER = Actor(user_id=MEMBER)


async def test_a_folder_that_cannot_be_written_fails_the_job_clearly_and_keeps_no_half_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = world.store.save

    async def fill_up(job_id, attempt, index, data):
        if index == 1:
            raise FolderError("images cannot be written (Read-only file system).")
        return await save(job_id, attempt, index, data)

    monkeypatch.setattr(world.store, "save", fill_up)
    world.start_worker()
    job = await world.submit(request=request(num_images=2))

    failed = await world.wait_for(JobStatus.FAILED, job)

    assert failed.failure == DISK_FULL
    assert world.store.files == {}
    assert len(world.generator.started) == 1


async def test_a_database_that_cannot_be_written_does_not_end_the_worker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    finish = world.jobs.finish
    failures = iter([OSError("disk full")])

    async def failing(*args, **kwargs):
        if (error := next(failures, None)) is not None:
            raise error
        return await finish(*args, **kwargs)

    monkeypatch.setattr(world.jobs, "finish", failing)
    world.start_worker()
    job = await world.submit()
    await until(lambda: outcomes(world).get("lost") == 1)
    await until(lambda: {UPKEEP_INTERVAL, IDLE_INTERVAL} <= set(world.clock.pauses))

    world.clock.advance(LEASE.total_seconds() + 1)

    assert (await world.wait_for(JobStatus.SUCCEEDED, job)).attempt == 2


async def test_a_queue_that_cannot_be_read_for_a_while_does_not_end_the_worker(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = world.jobs.claim
    failures = iter([OSError("disk full")] * 2)

    async def failing(**kwargs):
        if (error := next(failures, None)) is not None:
            raise error
        return await claim(**kwargs)

    monkeypatch.setattr(world.jobs, "claim", failing)
    job = await world.add()
    world.start_worker()

    async def drawn() -> bool:
        world.clock.advance(1)
        return await world.status(job) is JobStatus.SUCCEEDED

    await until(drawn)


async def test_an_upload_that_is_gone_fails_with_a_sentence(world: World) -> None:
    world.start_worker()
    job = await world.submit(request=request(init_image=InitImage(key="gone", strength=0.5)))

    failed = await world.wait_for(JobStatus.FAILED, job)

    assert failed.failure == UPLOAD_GONE
    assert world.generator.started == []


async def test_the_upload_is_handed_to_the_generator(world: World) -> None:
    key = await world.upload(b"sketch")
    world.start_worker()
    job = await world.submit(request=request(init_image=InitImage(key=key, strength=0.5)))

    await world.wait_for(JobStatus.SUCCEEDED, job)

    assert world.generator.init_images == [b"sketch as 64x64"]


async def test_the_upload_of_a_remix_in_another_size_is_cropped_anew(world: World) -> None:
    key = await world.upload(b"sketch")
    world.start_worker()
    job = await world.submit(request=request(height=96, init_image=InitImage(key=key, strength=0.5)))

    await world.wait_for(JobStatus.SUCCEEDED, job)

    assert world.generator.init_images == [b"sketch as 64x96"]


async def test_a_dead_generator_ends_the_worker_with_every_job_back_on_the_queue(world: World) -> None:
    world.generator.capacity = 2
    world.generator.gate.clear()
    world.build()
    running = world.start_worker()
    innocent = await world.submit(1)
    await drawing(world)
    world.generator.outcomes.append(GeneratorDeadError("The GPU is lost."))
    culprit = await world.submit(2)

    with pytest.raises(GeneratorDeadError):
        await running

    back = [await world.job(job.id) for job in (innocent, culprit)]
    assert [job.status for job in back] == [JobStatus.QUEUED] * 2
    assert [job.tries for job in back] == [0, 1]


async def test_a_job_that_kills_the_generator_three_times_fails(world: World) -> None:
    job = await world.add()
    for _ in range(MAX_ATTEMPTS):
        world.generator.outcomes.append(GeneratorDeadError("The GPU is lost."))
        world.build()
        with pytest.raises(GeneratorDeadError):
            await world.services.worker.run()

    failed = await world.job(job.id)
    assert (failed.status, failed.failure) == (JobStatus.FAILED, DEVICE_LOST)


async def test_missing_weights_end_the_worker_and_do_not_count_against_the_job(world: World) -> None:
    job = await world.add()
    world.generator.outcomes.append(ModelError("The weights are missing."))

    with pytest.raises(ModelError):
        await world.services.worker.run()

    back = await world.job(job.id)
    assert (back.status, back.tries) == (JobStatus.QUEUED, 0)
