"""A folder or a database that refuses, a dead generator."""

from __future__ import annotations

import pytest

from bot.domain.job import MAX_ATTEMPTS, Actor, JobStatus
from bot.domain.request import InitImage
from bot.errors import FolderError, GeneratorDeadError, ModelError
from bot.services.attempt import DEVICE_LOST, DISK_FULL, LEASE, UPLOAD_GONE
from bot.services.worker import IDLE_INTERVAL, UPKEEP_INTERVAL
from tests.examples import MEMBER, request
from tests.services.harness import ServicesHarness, drawing, outcomes, until

OWNER = Actor(user_id=MEMBER)


async def test_a_folder_that_cannot_be_written_fails_the_job_clearly_and_keeps_no_half_of_it(
    harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = harness.store.save

    async def fill_up(job_id, attempt, index, data):
        if index == 1:
            raise FolderError("images cannot be written (Read-only file system).")
        return await save(job_id, attempt, index, data)

    monkeypatch.setattr(harness.store, "save", fill_up)
    harness.start_worker()
    job = await harness.submit(request=request(num_images=2))

    failed = await harness.wait_for(JobStatus.FAILED, job)

    assert failed.failure == DISK_FULL
    assert harness.store.files == {}
    assert len(harness.generator.started) == 1


async def test_a_database_that_cannot_be_written_does_not_end_the_worker(
    harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = harness.jobs.finish
    failures = iter([OSError("disk full")])

    async def failing(*args, **kwargs):
        if (error := next(failures, None)) is not None:
            raise error
        return await finish(*args, **kwargs)

    monkeypatch.setattr(harness.jobs, "finish", failing)
    harness.start_worker()
    job = await harness.submit()
    await until(lambda: outcomes(harness).get("lost") == 1)
    await until(lambda: {UPKEEP_INTERVAL, IDLE_INTERVAL} <= set(harness.clock.pauses))

    harness.clock.advance(LEASE.total_seconds() + 1)

    assert (await harness.wait_for(JobStatus.SUCCEEDED, job)).attempt == 2


async def test_a_queue_that_cannot_be_read_for_a_while_does_not_end_the_worker(
    harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = harness.jobs.claim
    failures = iter([OSError("disk full")] * 2)

    async def failing(**kwargs):
        if (error := next(failures, None)) is not None:
            raise error
        return await claim(**kwargs)

    monkeypatch.setattr(harness.jobs, "claim", failing)
    job = await harness.add()
    harness.start_worker()

    async def drawn() -> bool:
        harness.clock.advance(1)
        return await harness.status(job) is JobStatus.SUCCEEDED

    await until(drawn)


async def test_an_upload_that_is_gone_fails_with_a_sentence(harness: ServicesHarness) -> None:
    harness.start_worker()
    job = await harness.submit(request=request(init_image=InitImage(key="gone", strength=0.5)))

    failed = await harness.wait_for(JobStatus.FAILED, job)

    assert failed.failure == UPLOAD_GONE
    assert harness.generator.started == []


async def test_the_upload_is_handed_to_the_generator(harness: ServicesHarness) -> None:
    key = await harness.upload(b"sketch")
    harness.start_worker()
    job = await harness.submit(request=request(init_image=InitImage(key=key, strength=0.5)))

    await harness.wait_for(JobStatus.SUCCEEDED, job)

    assert harness.generator.init_images == [b"sketch as 64x64"]


async def test_the_upload_of_a_remix_in_another_size_is_cropped_anew(harness: ServicesHarness) -> None:
    key = await harness.upload(b"sketch")
    harness.start_worker()
    job = await harness.submit(request=request(height=96, init_image=InitImage(key=key, strength=0.5)))

    await harness.wait_for(JobStatus.SUCCEEDED, job)

    assert harness.generator.init_images == [b"sketch as 64x96"]


async def test_a_dead_generator_ends_the_worker_with_every_job_back_on_the_queue(harness: ServicesHarness) -> None:
    harness.generator.capacity = 2
    harness.generator.gate.clear()
    harness.build()
    running = harness.start_worker()
    innocent = await harness.submit(1)
    await drawing(harness)
    harness.generator.outcomes.append(GeneratorDeadError("The GPU is lost."))
    culprit = await harness.submit(2)

    with pytest.raises(GeneratorDeadError):
        await running

    back = [await harness.job(job.id) for job in (innocent, culprit)]
    assert [job.status for job in back] == [JobStatus.QUEUED] * 2
    assert [job.tries for job in back] == [0, 1]


async def test_a_job_that_kills_the_generator_three_times_fails(harness: ServicesHarness) -> None:
    job = await harness.add()
    for _ in range(MAX_ATTEMPTS):
        harness.generator.outcomes.append(GeneratorDeadError("The GPU is lost."))
        harness.build()
        with pytest.raises(GeneratorDeadError):
            await harness.services.worker.run()

    failed = await harness.job(job.id)
    assert (failed.status, failed.failure) == (JobStatus.FAILED, DEVICE_LOST)


async def test_missing_weights_end_the_worker_and_do_not_count_against_the_job(harness: ServicesHarness) -> None:
    job = await harness.add()
    harness.generator.outcomes.append(ModelError("The weights are missing."))

    with pytest.raises(ModelError):
        await harness.services.worker.run()

    back = await harness.job(job.id)
    assert (back.status, back.tries) == (JobStatus.QUEUED, 0)
