"""Claiming, drawing, recording; crashes, cancellations and stops."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from bot.domain.job import MAX_ATTEMPTS, Actor, JobStatus
from bot.domain.request import InitImage
from bot.errors import GenerationError, GeneratorDeadError, InvalidRequestError, ModelError
from bot.services.attempt import DEVICE_LOST, DISK_FULL, HEARTBEAT, LEASE, UPLOAD_GONE
from bot.services.worker import IDLE_INTERVAL, UPKEEP_INTERVAL
from tests.examples import MEMBER, reply, request
from tests.services.world import World, until

OWNER = Actor(user_id=MEMBER)


async def drawing(world: World, count: int = 1) -> None:
    """Wait until `count` drawings have begun."""
    await until(lambda: len(world.generator.started) >= count)


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
    await until(lambda: sorted(world.clock.pauses) == [UPKEEP_INTERVAL, IDLE_INTERVAL, IDLE_INTERVAL])

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


async def test_the_lease_is_kept_while_a_picture_takes_long(world: World) -> None:
    world.generator.gate.clear()
    world.start_worker()
    job = await world.submit()
    await drawing(world)

    for _ in range(20):
        await until(lambda: HEARTBEAT in world.clock.pauses)
        world.clock.advance(HEARTBEAT)
        lease_until = (await world.job(job.id)).lease_until
        assert lease_until is not None
        assert lease_until > world.clock.now()

    assert len(world.generator.started) == 1
    world.generator.gate.set()
    assert (await world.wait_for(JobStatus.SUCCEEDED, job)).attempt == 1


async def test_a_machine_that_was_suspended_goes_on_with_its_own_job(world: World) -> None:
    world.generator.gate.clear()
    world.start_worker()
    job = await world.submit()
    await drawing(world)
    await until(lambda: {HEARTBEAT, UPKEEP_INTERVAL} <= set(world.clock.pauses))

    world.clock.advance(3600)
    await world.services.worker._upkeep()  # by hand, so that its turn comes before the heartbeat's
    world.generator.gate.set()

    assert (await world.wait_for(JobStatus.SUCCEEDED, job)).attempt == 1


async def test_an_expired_lease_is_recovered_while_the_worker_runs(world: World) -> None:
    world.generator.gate.clear()
    world.start_worker()
    await until(lambda: {UPKEEP_INTERVAL, IDLE_INTERVAL} <= set(world.clock.pauses))
    job = await world.add()
    await world.claim()  # by a worker that is no more

    world.clock.advance(LEASE.total_seconds() + UPKEEP_INTERVAL)

    await drawing(world)
    world.generator.gate.set()
    assert (await world.wait_for(JobStatus.SUCCEEDED, job)).attempt == 2


async def test_a_worker_that_lost_its_job_stops_drawing_and_changes_nothing(world: World) -> None:
    world.generator.gate.clear()
    world.start_worker()
    job = await world.submit()
    await drawing(world)
    await world.jobs.recover(now=world.clock.now() + timedelta(hours=1), expired_only=True)
    other = await world.claim()
    await until(lambda: HEARTBEAT in world.clock.pauses)

    world.clock.advance(HEARTBEAT)
    await until(lambda: len(world.generator.ended) == 1)

    current = await world.job(job.id)
    assert (current.status, current.attempt) == (JobStatus.RUNNING, other.attempt)
    assert world.store.files == {}


async def test_a_finish_that_comes_too_late_leaves_no_files(world: World) -> None:
    world.generator.gate.clear()
    world.start_worker()
    job = await world.submit()
    await drawing(world)
    await world.jobs.recover(now=world.clock.now() + timedelta(hours=1), expired_only=True)
    other = await world.claim()

    world.generator.gate.set()
    await until(lambda: _outcomes(world).get("lost") == 1)

    assert (await world.job(job.id)).attempt == other.attempt
    assert await world.status(job) is JobStatus.RUNNING
    assert world.store.files == {}


async def test_a_cancelled_job_stops_drawing_at_once_and_is_not_retried(world: World) -> None:
    world.generator.gate.clear()
    world.start_worker()
    world.start_delivery()
    job = await world.submit()
    await drawing(world)

    cancelled = await world.services.generation.cancel(job.id, OWNER)

    assert cancelled.status is JobStatus.CANCELLED
    await until(lambda: len(world.generator.ended) == 1)
    await until(lambda: world.cards()[-1].job.status is JobStatus.CANCELLED)
    assert len(world.generator.started) == 1
    assert world.store.files == {}


async def test_a_cancellation_between_claim_and_drawing_is_noticed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.generator.gate.clear()
    claim = world.jobs.claim
    job = await world.add()

    async def claim_then_cancel(**kwargs):
        claimed = await claim(**kwargs)
        if claimed is not None:
            await world.jobs.cancel(job.id, now=world.clock.now())
            world.services.worker.abort_job(job.id)  # finds nothing yet
        return claimed

    monkeypatch.setattr(world.jobs, "claim", claim_then_cancel)
    world.start_worker()

    await until(lambda: _outcomes(world).get("lost") == 1)
    assert len(world.generator.ended) == len(world.generator.started)


@pytest.mark.parametrize("delay", range(0, 40, 4))
async def test_of_cancel_and_finish_exactly_one_wins_and_the_card_shows_it(world: World, delay: int) -> None:
    world.generator.gate.clear()
    world.start_worker()
    world.start_delivery()
    job = await world.submit()
    await drawing(world)

    world.generator.gate.set()
    for _ in range(delay):
        await asyncio.sleep(0)
    expected = JobStatus.CANCELLED
    try:
        await world.services.generation.cancel(job.id, OWNER)
    except InvalidRequestError:
        expected = JobStatus.DELIVERED

    done = await world.wait_for(expected, job)
    await until(lambda: world.cards()[-1].job.status in {JobStatus.CANCELLED, JobStatus.SUCCEEDED})
    assert bool(world.cards()[-1].files) is (done.status is JobStatus.DELIVERED)
    await until(lambda: bool(world.store.files) is (done.status is JobStatus.DELIVERED))


async def test_a_full_disk_fails_the_job_clearly_and_keeps_no_half_of_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    save = world.store.save

    async def fill_up(job_id, attempt, index, data):
        world.store.full = index == 1
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
    await until(lambda: _outcomes(world).get("lost") == 1)
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
    key = await world.store.save_upload(b"sketch")
    world.start_worker()
    job = await world.submit(request=request(init_image=InitImage(key=key, strength=0.5)))

    await world.wait_for(JobStatus.SUCCEEDED, job)

    assert world.generator.init_images == [b"sketch"]


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


async def test_a_stop_waits_for_the_running_picture_within_its_grace(world: World) -> None:
    world.generator.gate.clear()
    running = world.start_worker()
    job, waiting = await world.submit(1), await world.submit(2)
    await drawing(world)

    stopping = asyncio.create_task(world.services.worker.stop(60))
    await asyncio.sleep(0)
    world.generator.gate.set()
    await stopping
    await running

    assert await world.status(job) is JobStatus.SUCCEEDED
    assert await world.status(waiting) is JobStatus.QUEUED


async def test_a_stop_puts_back_what_does_not_end_in_time_and_counts_no_try(world: World) -> None:
    world.generator.gate.clear()
    running = world.start_worker()
    job = await world.submit()
    await drawing(world)

    await world.services.worker.stop(0.01)
    await running

    back = await world.job(job.id)
    assert (back.status, back.attempt, back.tries) == (JobStatus.QUEUED, 1, 0)
    assert len(world.generator.ended) == 1


async def test_a_job_that_was_put_back_by_a_stop_is_finished_after_the_next_start(world: World) -> None:
    world.generator.gate.clear()
    world.start_worker()
    job = await world.submit()
    await drawing(world)
    await world.services.worker.stop(0)
    world.generator.gate.set()
    world.build()

    world.start_worker()
    world.start_delivery()

    assert (await world.wait_for(JobStatus.DELIVERED, job)).attempt == 2


async def test_a_generator_that_does_not_let_go_does_not_hold_up_the_stop(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.services.worker.ABORT_PATIENCE", 0.01)
    world.generator.gate.clear()
    world.generator.letting_go.clear()
    world.start_worker()
    job = await world.submit()
    await drawing(world)

    await world.services.worker.stop(0)

    back = await world.job(job.id)
    assert (back.status, back.tries) == (JobStatus.QUEUED, 0)


async def test_stopping_twice_and_without_a_start_is_harmless(world: World) -> None:
    await world.services.worker.stop(0)
    await world.services.worker.stop(0)
    job = await world.add()

    await world.services.worker.run()

    assert await world.status(job) is JobStatus.QUEUED


async def test_two_stops_at_once_end_both(world: World) -> None:
    world.generator.gate.clear()
    running = world.start_worker()
    await world.submit()
    await drawing(world)

    await asyncio.gather(world.services.worker.stop(60), world.services.worker.stop(0))

    await running


async def test_a_cancelled_run_puts_its_job_back_before_it_ends(world: World) -> None:
    world.generator.gate.clear()
    running = world.start_worker()
    job = await world.submit()
    await drawing(world)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert (await world.job(job.id)).tries == 0
    assert await world.status(job) is JobStatus.QUEUED


async def test_a_stop_while_a_picture_is_saved_lets_it_be_recorded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    save, saving, go_on = world.store.save, asyncio.Event(), asyncio.Event()

    async def slowly(*args):
        saving.set()
        await go_on.wait()
        return await save(*args)

    monkeypatch.setattr(world.store, "save", slowly)
    running = world.start_worker()
    job = await world.submit()
    await saving.wait()

    stopping = asyncio.create_task(world.services.worker.stop(0))
    await asyncio.sleep(0.02)  # the abort comes while the file is written
    go_on.set()
    await stopping
    await running

    assert await world.status(job) is JobStatus.SUCCEEDED


async def test_drawing_is_measured(world: World) -> None:
    world.start_worker()
    job = await world.submit(request=request(num_images=2))
    await world.wait_for(JobStatus.SUCCEEDED, job)
    await until(lambda: _outcomes(world).get("succeeded") == 1)

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


def _outcomes(world: World) -> dict[str, float]:
    metric = next(iter(world.metrics.finished.collect()))
    return {sample.labels["outcome"]: sample.value for sample in metric.samples if sample.name.endswith("_total")}
