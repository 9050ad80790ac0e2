"""Claiming, drawing and recording: what goes well, what fails, what is measured."""

from __future__ import annotations

import logging

import pytest

from bot.domain.job import MAX_ATTEMPTS, Actor, JobStatus
from bot.errors import GenerationError
from bot.messages import message
from bot.services.worker import IDLE_INTERVAL, UPKEEP_INTERVAL
from tests.examples import MEMBER, reply, request
from tests.services.harness import ServicesHarness, drawing, outcomes, until

OWNER = Actor(user_id=MEMBER)


async def test_a_job_is_drawn_saved_charged_and_shown(harness: ServicesHarness) -> None:
    harness.start_worker()
    harness.start_delivery()

    job = await harness.submit(request=request(num_images=2))

    done = await harness.wait_for(JobStatus.DELIVERED, job)
    images = await harness.jobs.images(job.id)
    assert [image.seed for image in images] == [1000, 1001]
    assert [harness.store.files[image.key] for image in images] == [b"PNG of 1000", b"PNG of 1001"]
    assert (done.attempt, done.aborts, done.failure) == (1, 0, None)
    assert harness.cards()[-1].files[0].data == b"PNG of 1000"


async def test_jobs_that_wait_at_the_start_are_drawn_in_their_order(harness: ServicesHarness) -> None:
    jobs = [await harness.add(n, request=request(seed=n)) for n in (1, 2, 3)]

    harness.start_worker()

    for job in jobs:
        await harness.wait_for(JobStatus.SUCCEEDED, job)
    assert [started.seed for started in harness.generator.started] == [1, 2, 3]


async def test_as_many_jobs_are_drawn_at_once_as_the_generator_takes(harness: ServicesHarness) -> None:
    harness.generator.capacity = 2
    harness.generator.gate.clear()
    harness.build()
    harness.start_worker()
    await until(lambda: sorted(harness.clock.pauses) == [UPKEEP_INTERVAL, IDLE_INTERVAL])

    jobs = [await harness.submit(n) for n in (1, 2, 3)]
    await drawing(harness, 2)

    assert [await harness.status(job) for job in jobs] == [JobStatus.RUNNING, JobStatus.RUNNING, JobStatus.QUEUED]
    harness.generator.gate.set()
    for job in jobs:
        await harness.wait_for(JobStatus.SUCCEEDED, job)


async def test_a_failure_that_may_pass_is_tried_three_times_and_then_shown(harness: ServicesHarness) -> None:
    harness.generator.outcomes.extend(GenerationError("It did not work.") for _ in range(MAX_ATTEMPTS))
    harness.start_worker()
    job = await harness.submit()

    failed = await harness.wait_for(JobStatus.FAILED, job)

    assert failed.failure == message("It did not work.")
    assert len(harness.generator.started) == MAX_ATTEMPTS
    assert harness.store.files == {}


async def test_a_second_try_may_succeed(harness: ServicesHarness) -> None:
    harness.generator.outcomes.append(GenerationError("It did not work."))
    harness.start_worker()
    job = await harness.submit()

    done = await harness.wait_for(JobStatus.SUCCEEDED, job)

    assert (done.attempt, done.tries) == (2, 2)


async def test_a_failure_that_must_repeat_is_not_repeated(harness: ServicesHarness) -> None:
    harness.generator.outcomes.append(GenerationError("This does not fit into memory.", retryable=False))
    harness.start_worker()
    job = await harness.submit()

    failed = await harness.wait_for(JobStatus.FAILED, job)

    assert failed.failure == message("This does not fit into memory.")
    assert len(harness.generator.started) == 1


async def test_an_unexpected_error_is_logged_without_the_prompt_and_shown_with_its_number(
    harness: ServicesHarness, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "a very private 'prompt'"
    for _ in range(MAX_ATTEMPTS):
        harness.generator.outcomes.append(ValueError(f"cannot encode {secret!r}: {secret}"))
    harness.start_worker()
    job = await harness.submit(request=request(prompt=secret))

    failed = await harness.wait_for(JobStatus.FAILED, job)

    records = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    errors = [message for message in records if "ValueError" in message]
    assert len(errors) == MAX_ATTEMPTS
    assert not [message for message in records if "private" in message]
    number = errors[-1].split("[error ")[1].split("]")[0]
    assert failed.failure is not None
    assert f"`{number}`" in str(failed.failure)
    assert harness.metrics.registry.get_sample_value("pastel_errors_total") == MAX_ATTEMPTS


async def test_a_job_that_killed_the_process_three_times_fails_with_a_sentence(harness: ServicesHarness) -> None:
    harness.generator.gate.clear()
    job = await harness.add()
    for _ in range(MAX_ATTEMPTS):
        await harness.jobs.recover(now=harness.clock.now(), expired_only=False)
        await harness.claim()

    harness.start_worker()
    harness.start_delivery()

    failed = await harness.wait_for(JobStatus.FAILED, job)
    assert failed.failure
    assert harness.generator.started == []
    await until(lambda: [card.job.failure for card in harness.cards()] == [failed.failure])


async def test_a_job_that_an_earlier_process_left_running_is_drawn_again(harness: ServicesHarness) -> None:
    job = await harness.add()
    await harness.claim()

    harness.start_worker()

    done = await harness.wait_for(JobStatus.SUCCEEDED, job)
    assert done.attempt == 2


async def test_drawing_is_measured(harness: ServicesHarness) -> None:
    harness.start_worker()
    job = await harness.submit(request=request(num_images=2))
    await harness.wait_for(JobStatus.SUCCEEDED, job)
    await until(lambda: outcomes(harness).get("succeeded") == 1)

    sample = harness.metrics.registry.get_sample_value
    assert sample("pastel_submitted_total", {"relation": "new"}) == 1
    assert sample("pastel_images_total") == 2
    assert sample("pastel_steps_total") == 8
    assert sample("pastel_draw_seconds_sum") == 2
    assert sample("pastel_wait_seconds_count") == 1


async def test_the_gauge_follows_the_jobs(harness: ServicesHarness) -> None:
    await harness.add(1)
    harness.generator.gate.clear()
    harness.start_worker()
    await drawing(harness)

    def running() -> bool:
        return harness.metrics.registry.get_sample_value("pastel_jobs", {"status": "running"}) == 1

    async def refreshed() -> bool:
        harness.clock.advance(1)
        return running()

    await until(refreshed)
    assert harness.metrics.registry.get_sample_value("pastel_jobs", {"status": "failed"}) == 0


async def test_a_running_card_replaces_the_queued_one(harness: ServicesHarness) -> None:
    harness.generator.gate.clear()
    harness.start_worker()
    await until(lambda: {UPKEEP_INTERVAL, IDLE_INTERVAL} <= set(harness.clock.pauses))
    job = await harness.submit(reply=reply(message_id=None))
    await drawing(harness)

    async def running_card() -> bool:
        harness.clock.advance(0.5)
        return bool(harness.cards()) and harness.cards()[-1].job.status is JobStatus.RUNNING

    await until(running_card)
    assert harness.cards()[-1].progress is not None
    assert (await harness.job(job.id)).reply.message_id == 500
