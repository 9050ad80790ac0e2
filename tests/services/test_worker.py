"""Claiming, drawing and recording: what goes well, what fails, what is measured."""

from __future__ import annotations

import logging

import pytest

from bot.domain.job import MAX_ATTEMPTS, Actor, JobStatus
from bot.errors import GenerationError
from bot.services.worker import IDLE_INTERVAL, UPKEEP_INTERVAL
from tests.examples import MEMBER, reply, request
from tests.services.world import World, drawing, outcomes, until

OWNER = Actor(user_id=MEMBER)


async def test_a_job_is_drawn_saved_charged_and_shown(world: World) -> None:
    world.start_worker()
    world.start_delivery()

    job = await world.submit(request=request(num_images=2))

    done = await world.wait_for(JobStatus.DELIVERED, job)
    images = await world.jobs.images(job.id)
    assert [image.seed for image in images] == [1000, 1001]
    assert [world.store.files[image.key] for image in images] == [b"PNG of 1000", b"PNG of 1001"]
    assert (done.attempt, done.aborts, done.failure) == (1, 0, None)
    assert world.cards()[-1].files[0].data == b"PNG of 1000"


async def test_jobs_that_wait_at_the_start_are_drawn_in_their_order(world: World) -> None:
    jobs = [await world.add(n, request=request(seed=n)) for n in (1, 2, 3)]

    world.start_worker()

    for job in jobs:
        await world.wait_for(JobStatus.SUCCEEDED, job)
    assert [started.seed for started in world.generator.started] == [1, 2, 3]


async def test_as_many_jobs_are_drawn_at_once_as_the_generator_takes(world: World) -> None:
    world.generator.capacity = 2
    world.generator.gate.clear()
    world.build()
    world.start_worker()
    await until(lambda: sorted(world.clock.pauses) == [UPKEEP_INTERVAL, IDLE_INTERVAL])

    jobs = [await world.submit(n) for n in (1, 2, 3)]
    await drawing(world, 2)

    assert [await world.status(job) for job in jobs] == [JobStatus.RUNNING, JobStatus.RUNNING, JobStatus.QUEUED]
    world.generator.gate.set()
    for job in jobs:
        await world.wait_for(JobStatus.SUCCEEDED, job)


async def test_a_failure_that_may_pass_is_tried_three_times_and_then_shown(world: World) -> None:
    world.generator.outcomes.extend(GenerationError("It did not work.") for _ in range(MAX_ATTEMPTS))
    world.start_worker()
    job = await world.submit()

    failed = await world.wait_for(JobStatus.FAILED, job)

    assert failed.failure == "It did not work."
    assert len(world.generator.started) == MAX_ATTEMPTS
    assert world.store.files == {}


async def test_a_second_try_may_succeed(world: World) -> None:
    world.generator.outcomes.append(GenerationError("It did not work."))
    world.start_worker()
    job = await world.submit()

    done = await world.wait_for(JobStatus.SUCCEEDED, job)

    assert (done.attempt, done.tries) == (2, 2)


async def test_a_failure_that_must_repeat_is_not_repeated(world: World) -> None:
    world.generator.outcomes.append(GenerationError("This does not fit into memory.", retryable=False))
    world.start_worker()
    job = await world.submit()

    failed = await world.wait_for(JobStatus.FAILED, job)

    assert failed.failure == "This does not fit into memory."
    assert len(world.generator.started) == 1


async def test_an_unexpected_error_is_logged_without_the_prompt_and_shown_with_its_number(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "a very private 'prompt'"
    for _ in range(MAX_ATTEMPTS):
        world.generator.outcomes.append(ValueError(f"cannot encode {secret!r}: {secret}"))
    world.start_worker()
    job = await world.submit(request=request(prompt=secret))

    failed = await world.wait_for(JobStatus.FAILED, job)

    records = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    errors = [message for message in records if "ValueError" in message]
    assert len(errors) == MAX_ATTEMPTS
    assert not [message for message in records if "private" in message]
    number = errors[-1].split("[error ")[1].split("]")[0]
    assert failed.failure is not None
    assert f"`{number}`" in failed.failure
    assert world.metrics.registry.get_sample_value("pastel_errors_total") == MAX_ATTEMPTS


async def test_a_job_that_killed_the_process_three_times_fails_with_a_sentence(world: World) -> None:
    world.generator.gate.clear()
    job = await world.add()
    for _ in range(MAX_ATTEMPTS):
        await world.jobs.recover(now=world.clock.now(), expired_only=False)
        await world.claim()

    world.start_worker()
    world.start_delivery()

    failed = await world.wait_for(JobStatus.FAILED, job)
    assert failed.failure
    assert world.generator.started == []
    await until(lambda: [card.job.failure for card in world.cards()] == [failed.failure])


async def test_a_job_that_an_earlier_process_left_running_is_drawn_again(world: World) -> None:
    job = await world.add()
    await world.claim()

    world.start_worker()

    done = await world.wait_for(JobStatus.SUCCEEDED, job)
    assert done.attempt == 2


async def test_drawing_is_measured(world: World) -> None:
    world.start_worker()
    job = await world.submit(request=request(num_images=2))
    await world.wait_for(JobStatus.SUCCEEDED, job)
    await until(lambda: outcomes(world).get("succeeded") == 1)

    sample = world.metrics.registry.get_sample_value
    assert sample("pastel_submitted_total", {"relation": "new"}) == 1
    assert sample("pastel_images_total") == 2
    assert sample("pastel_steps_total") == 8
    assert sample("pastel_draw_seconds_sum") == 2
    assert sample("pastel_wait_seconds_count") == 1


async def test_the_gauge_follows_the_jobs(world: World) -> None:
    await world.add(1)
    world.generator.gate.clear()
    world.start_worker()
    await drawing(world)

    def running() -> bool:
        return world.metrics.registry.get_sample_value("pastel_jobs", {"status": "running"}) == 1

    async def refreshed() -> bool:
        world.clock.advance(1)
        return running()

    await until(refreshed)
    assert world.metrics.registry.get_sample_value("pastel_jobs", {"status": "failed"}) == 0


async def test_a_running_card_replaces_the_queued_one(world: World) -> None:
    world.generator.gate.clear()
    world.start_worker()
    await until(lambda: {UPKEEP_INTERVAL, IDLE_INTERVAL} <= set(world.clock.pauses))
    job = await world.submit(reply=reply(message_id=None))
    await drawing(world)

    async def running_card() -> bool:
        world.clock.advance(0.5)
        return bool(world.cards()) and world.cards()[-1].job.status is JobStatus.RUNNING

    await until(running_card)
    assert world.cards()[-1].progress is not None
    assert (await world.job(job.id)).reply.message_id == 500
