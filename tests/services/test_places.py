"""Places and times on waiting cards: true, without an edit storm, and after a restart too."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from bot.domain.batch_curve import BatchCurve
from bot.domain.card import QueuePosition
from bot.domain.eta import EngineSpeed
from bot.domain.job import Job, JobStatus
from bot.services.places import CARD_PAUSE, CHANNEL_PAUSE, EDIT_PAUSE
from tests.examples import CHANNEL, origin, reply, request
from tests.fakes import START, FakeClock, progress
from tests.services.world import World, until


@pytest.fixture
def speed(world: World) -> None:
    """A job of the examples takes 2 s alone."""
    world.generator.speed = EngineSpeed(curve=BatchCurve(((1, 0.1),)), batch=1, megapixels=request().work / 20)


async def waiting(world: World, number: int, channel: int = CHANNEL) -> Job:
    """A queued job of a member of its own, whose card is shown."""
    job = await world.add(number, origin=origin(number, user_id=1000 + number), reply=reply(channel_id=channel))
    before = len(world.messenger.shown)
    await world.services.live.show(job)
    await until(lambda: len(world.messenger.shown) == before + 1)
    await settled()
    return job


async def settled() -> None:
    """Wait until no card's edit is under way."""
    await until(lambda: all(task.done() for task in asyncio.all_tasks() if task.get_name().startswith("live-card")))


def places(world: World, job: Job) -> list[int]:
    return [card.position.ahead for card in world.cards() if card.job.id == job.id and card.position is not None]


async def pass_time(world: World, seconds: float) -> None:
    """As `run` does it: one look a second."""
    for _ in range(round(seconds / EDIT_PAUSE)):
        world.clock.advance(EDIT_PAUSE)
        await world.services.places.refresh_next()
        await settled()


async def test_a_place_that_moved_is_shown_after_thirty_seconds(world: World) -> None:
    first, second = await waiting(world, 1), await waiting(world, 2)
    await world.jobs.cancel(first.id, now=world.clock.now())

    await pass_time(world, CARD_PAUSE.total_seconds() - 1)
    assert places(world, second) == [1]
    await pass_time(world, 2)

    assert places(world, second) == [1, 0]


async def test_a_place_that_did_not_move_is_left_alone(world: World) -> None:
    world.generator.speed = EngineSpeed(curve=BatchCurve(((1, 30.0),)), batch=1, megapixels=request().work / 4)
    await world.add(1)
    running = await world.claim()
    job = await waiting(world, 2)
    for step in range(1, 4):  # somebody else's steps, in the time that was told
        world.services.live.on_progress(running, progress(running.request, step))
        await pass_time(world, 30)

    assert places(world, job) == [1]


async def test_a_time_that_is_off_by_much_is_corrected(world: World, speed: None) -> None:
    await world.add(1)
    await world.claim()  # and it does not get on
    job = await waiting(world, 2)

    await pass_time(world, 61)

    shown = [card.position.done_at for card in world.cards() if card.job.id == job.id and card.position is not None]
    assert [done_at - START for done_at in shown if done_at] == [
        timedelta(seconds=4),
        pytest.approx(timedelta(seconds=34), abs=timedelta(seconds=2)),
        pytest.approx(timedelta(seconds=65), abs=timedelta(seconds=3)),
    ]


async def test_many_cards_are_edited_at_one_a_second_and_each_channel_at_one_in_five(world: World) -> None:
    ahead = await waiting(world, 1)
    for number in range(2, 32):
        await waiting(world, number, channel=CHANNEL + number // 11)  # three channels
    await world.jobs.cancel(ahead.id, now=world.clock.now())
    world.clock.advance(60)
    before = len(world.messenger.shown)

    times: list[tuple[float, int]] = []
    for second in range(20):
        await pass_time(world, 1)
        new = world.messenger.shown[before + len(times) :]
        times += [(second, call.card.job.reply.channel_id) for call in new if call.card is not None]

    assert len(times) == len({second for second, _ in times}), "two edits in one second"
    for channel in {channel for _, channel in times}:
        own = [second for second, its in times if its == channel]
        assert all(later - one >= CHANNEL_PAUSE.total_seconds() for one, later in pairwise(own))
    assert len(times) == 12  # 20 s, three channels, one in 5 s each


async def test_all_cards_have_their_turn(world: World) -> None:
    ahead = await waiting(world, 1)
    jobs = [await waiting(world, number, channel=CHANNEL + number) for number in range(2, 30)]
    await world.jobs.cancel(ahead.id, now=world.clock.now())

    await pass_time(world, 60)

    assert all(places(world, job)[-1] == number for number, job in enumerate(jobs))


async def test_a_start_takes_up_the_cards_that_wait(world: World) -> None:
    await world.add(1)
    job = await world.add(2, origin=origin(2, user_id=2))
    places_task = asyncio.create_task(world.services.places.run())
    world.tasks.append(places_task)

    async def shown() -> bool:
        world.clock.advance(1)
        return places(world, job) == [1]

    await until(shown)
    world.services.places.stop()


async def test_a_card_that_its_own_steps_keep_fresh_is_left_to_them(world: World, speed: None) -> None:
    await waiting(world, 1)
    job = await world.claim()
    before = len(world.messenger.shown)
    for step in range(1, 4):
        world.clock.advance(20)
        world.services.live.on_progress(job, progress(job.request, step))
        await until(lambda step=step: len(world.messenger.shown) == before + step)
        await settled()
        await world.services.places.refresh_next()
        await settled()

    assert len(world.messenger.shown) == before + 3


async def test_a_running_job_that_waits_for_its_next_step_tells_a_new_time(world: World) -> None:
    world.generator.speed = EngineSpeed(curve=BatchCurve(((1, 30.0),)), batch=1, megapixels=request().work / 4)
    await waiting(world, 1)
    job = await world.claim()
    await world.services.live.show(job)
    world.clock.advance(3)
    await until(lambda: len(world.messenger.shown) == 2)
    await settled()

    await pass_time(world, 70)

    shown = [card.position for card in world.cards() if card.job.status is JobStatus.RUNNING]
    assert {position.ahead for position in shown if position} == {0}
    assert 2 <= len(shown) <= 3
    assert shown[-1].has_moved(shown[0], world.clock.now())


async def test_a_paused_queue_is_told_on_the_cards_that_wait(world: World) -> None:
    job = await waiting(world, 1)
    assert job.origin.guild_id is not None
    await world.pauses.pause(job.origin.guild_id, by=9, now=world.clock.now())

    await pass_time(world, 31)

    assert world.cards()[-1].position == QueuePosition(ahead=0, is_paused=True)


def test_a_time_beyond_a_minute_may_be_off_by_a_quarter() -> None:
    now = FakeClock().now()

    def at(seconds: float) -> QueuePosition:
        return QueuePosition(ahead=1, done_at=now + timedelta(seconds=seconds))

    assert not at(20).has_moved(at(29), now)
    assert at(20).has_moved(at(31), now)
    assert not at(400).has_moved(at(490), now)
    assert at(400).has_moved(at(510), now)
    assert at(20).has_moved(None, now)
    assert at(20).has_moved(QueuePosition(ahead=1), now)
    assert not QueuePosition(ahead=1).has_moved(QueuePosition(ahead=1), now)
