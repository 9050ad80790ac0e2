"""A disk that fills up: nothing new is taken, nothing is drawn in vain, and what waits goes on when there is room."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from bot.domain.job import MAX_ATTEMPTS, JobStatus
from bot.domain.operator_rules import NO_ROOM, OperatorRules
from bot.domain.request import InitImage
from bot.errors import NotAllowedError, NotFoundError
from bot.services.attempt import DISK_FULL
from bot.services.disk_space import FULL_SECONDS, REMIND_SECONDS, DiskSpace
from bot.services.request_builder import PreparedJob
from bot.services.worker import IDLE_INTERVAL
from tests.examples import new_job, request
from tests.fakes import InMemoryImageStore
from tests.services.harness import ServicesHarness, outcomes, until

MARK = 500


@pytest.fixture
def harness(harness: ServicesHarness) -> ServicesHarness:
    harness.host = OperatorRules(min_free_bytes=MARK)
    harness.build(timer=lambda: harness.clock.now().timestamp())
    return harness


async def idle(harness: ServicesHarness) -> None:
    """Wait until the worker has looked at the queue and found nothing that it may draw."""
    await until(lambda: IDLE_INTERVAL in harness.clock.pauses)


async def test_below_the_mark_a_request_is_refused_with_a_sentence_before_anything_is_stored(harness: ServicesHarness) -> None:
    harness.store.free = MARK - 1
    new = new_job(1)
    with_file = PreparedJob(request=replace(new.request, init_image=InitImage(key="", strength=0.5)), upload=b"a member's file")

    for proposal in (PreparedJob(request=new.request), with_file):
        with pytest.raises(NotAllowedError, match="My disk is almost full") as refused:
            await harness.services.generation.submit(proposal, new.origin, new.reply)
    assert str(refused.value) == NO_ROOM
    assert (await harness.jobs.backlog(), harness.store.files) == (0, {})

    harness.store.free = MARK
    await harness.submit(2)
    assert await harness.jobs.backlog() == 1


async def test_what_waits_when_the_disk_fills_is_not_drawn_and_goes_on_when_there_is_room(harness: ServicesHarness) -> None:
    job = await harness.submit()
    harness.store.free = MARK - 1
    harness.start_worker()
    await idle(harness)
    assert harness.generator.started == []
    assert await harness.status(job) is JobStatus.QUEUED

    harness.store.free = MARK
    harness.clock.advance(IDLE_INTERVAL)
    await harness.wait_for(JobStatus.SUCCEEDED, job)


async def test_pictures_that_do_not_fit_any_more_are_drawn_again_and_cost_no_try(
    harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = harness.store.save

    async def fill_up(job_id: str, attempt: int, index: int, data: bytes) -> str:
        harness.store.full = harness.store.full or (index == 1 and harness.store.free > MARK)
        harness.store.free = 0 if harness.store.full else harness.store.free
        return await save(job_id, attempt, index, data)

    monkeypatch.setattr(harness.store, "save", fill_up)
    harness.start_worker()
    job = await harness.submit(request=request(num_images=2))
    await until(lambda: outcomes(harness).get("waits") == 1)
    await idle(harness)
    assert (await harness.job(job.id)).tries == 0
    assert harness.store.files == {}, "no half of it is kept"

    monkeypatch.undo()
    harness.store.full, harness.store.free = False, 10 * MARK
    harness.clock.advance(FULL_SECONDS)
    await harness.wait_for(JobStatus.SUCCEEDED, job)
    assert len(harness.store.files) == 2


async def test_a_disk_that_says_it_has_room_and_has_none_fails_the_job_after_three_tries_with_a_pause_before_each(
    harness: ServicesHarness,
) -> None:
    """A quota of the system's, for one."""
    harness.store.full = True
    harness.start_worker()
    job = await harness.submit()

    for tried in range(1, MAX_ATTEMPTS):
        await until(lambda tried=tried: outcomes(harness).get("retried") == tried)
        await idle(harness)
        harness.clock.advance(IDLE_INTERVAL)
        await idle(harness)
        assert len(harness.generator.started) == tried
        harness.clock.advance(FULL_SECONDS)

    assert (await harness.wait_for(JobStatus.FAILED, job)).failure == DISK_FULL


async def test_the_operator_reads_of_it_once_an_hour_and_once_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    store, now = InMemoryImageStore(), 0.0
    room = DiskSpace(store, min_free_bytes=MARK, ticks=lambda: now)
    caplog.set_level(logging.INFO)
    store.free = MARK - 1

    for now in (0.0, 1.0, REMIND_SECONDS - 1, REMIND_SECONDS):  # noqa: B007  # the clock
        assert not await room.suffices()
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "MIN_FREE_MB" in caplog.text
    store.free = MARK
    assert await room.suffices()
    assert await room.suffices()

    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "INFO"]


async def test_a_mark_of_0_never_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    store = InMemoryImageStore()
    store.free = 0

    assert await DiskSpace(store, min_free_bytes=0).suffices()


async def test_a_request_with_a_file_that_was_let_in_before_is_stored_all_the_same(harness: ServicesHarness) -> None:
    new = new_job(1)
    harness.store.free = MARK - 1

    with pytest.raises(NotFoundError):  # its intake is not there, and so it was taken back: the disk kept nobody from looking
        await harness.services.generation._submitter.submit(
            PreparedJob(request=new.request), new.origin, new.reply, from_intake=True
        )
