"""A disk that fills up: nothing new is taken, nothing is drawn in vain, and what waits goes on when there is room."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from bot.domain.host_rules import NO_ROOM, HostRules
from bot.domain.job import MAX_ATTEMPTS, JobStatus
from bot.domain.request import InitImage
from bot.errors import NotAllowedError, NotFoundError
from bot.services.attempt import DISK_FULL
from bot.services.proposals import Proposal
from bot.services.room import FULL_SECONDS, REMIND_SECONDS, Room
from bot.services.worker import IDLE_INTERVAL
from tests.examples import new_job, request
from tests.fakes import InMemoryImageStore
from tests.services.world import World, outcomes, until

MARK = 500


@pytest.fixture
def world(world: World) -> World:
    world.host = HostRules(min_free_bytes=MARK)
    world.build(timer=lambda: world.clock.now().timestamp())
    return world


async def idle(world: World) -> None:
    """Wait until the worker has looked at the queue and found nothing that it may draw."""
    await until(lambda: IDLE_INTERVAL in world.clock.pauses)


async def test_below_the_mark_a_request_is_refused_with_a_sentence_before_anything_is_stored(world: World) -> None:
    world.store.free = MARK - 1
    new = new_job(1)
    with_file = Proposal(request=replace(new.request, init_image=InitImage(key="", strength=0.5)), upload=b"a member's file")

    for proposal in (Proposal(request=new.request), with_file):
        with pytest.raises(NotAllowedError, match="My disk is almost full") as refused:
            await world.services.generation.submit(proposal, new.origin, new.reply)
    assert str(refused.value) == NO_ROOM
    assert (await world.jobs.backlog(), world.store.files) == (0, {})

    world.store.free = MARK
    await world.submit(2)
    assert await world.jobs.backlog() == 1


async def test_what_waits_when_the_disk_fills_is_not_drawn_and_goes_on_when_there_is_room(world: World) -> None:
    job = await world.submit()
    world.store.free = MARK - 1
    world.start_worker()
    await idle(world)
    assert world.generator.started == []
    assert await world.status(job) is JobStatus.QUEUED

    world.store.free = MARK
    world.clock.advance(IDLE_INTERVAL)
    await world.wait_for(JobStatus.SUCCEEDED, job)


async def test_pictures_that_do_not_fit_any_more_are_drawn_again_and_cost_no_try(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = world.store.save

    async def fill_up(job_id: str, attempt: int, index: int, data: bytes) -> str:
        world.store.full = world.store.full or (index == 1 and world.store.free > MARK)
        world.store.free = 0 if world.store.full else world.store.free
        return await save(job_id, attempt, index, data)

    monkeypatch.setattr(world.store, "save", fill_up)
    world.start_worker()
    job = await world.submit(request=request(num_images=2))
    await until(lambda: outcomes(world).get("waits") == 1)
    await idle(world)
    assert (await world.job(job.id)).tries == 0
    assert world.store.files == {}, "no half of it is kept"

    monkeypatch.undo()
    world.store.full, world.store.free = False, 10 * MARK
    world.clock.advance(FULL_SECONDS)
    await world.wait_for(JobStatus.SUCCEEDED, job)
    assert len(world.store.files) == 2


async def test_a_disk_that_says_it_has_room_and_has_none_fails_the_job_after_three_tries_with_a_pause_before_each(
    world: World,
) -> None:
    """A quota of the system's, for one."""
    world.store.full = True
    world.start_worker()
    job = await world.submit()

    for tried in range(1, MAX_ATTEMPTS):
        await until(lambda tried=tried: outcomes(world).get("retried") == tried)
        await idle(world)
        world.clock.advance(IDLE_INTERVAL)
        await idle(world)
        assert len(world.generator.started) == tried
        world.clock.advance(FULL_SECONDS)

    assert (await world.wait_for(JobStatus.FAILED, job)).failure == DISK_FULL


async def test_the_operator_reads_of_it_once_an_hour_and_once_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    store, now = InMemoryImageStore(), 0.0
    room = Room(store, min_free_bytes=MARK, ticks=lambda: now)
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

    assert await Room(store, min_free_bytes=0).suffices()


async def test_a_request_with_a_file_that_was_let_in_before_is_stored_all_the_same(world: World) -> None:
    new = new_job(1)
    world.store.free = MARK - 1

    with pytest.raises(NotFoundError):  # its intake is not there, and so it was taken back: the disk kept nobody from looking
        await world.services.generation._admission.submit(
            Proposal(request=new.request), new.origin, new.reply, from_intake=True
        )
