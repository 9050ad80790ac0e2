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
from tests.services.harness import ServicesHarness, until


@pytest.fixture
def speed(harness: ServicesHarness) -> None:
    """A job of the examples takes 2 s alone."""
    harness.generator.speed = EngineSpeed(curve=BatchCurve(((1, 0.1),)), batch=1, megapixels=request().work / 20)


async def waiting(harness: ServicesHarness, number: int, channel: int = CHANNEL) -> Job:
    """A queued job of a member of its own, whose card is shown."""
    job = await harness.add(number, origin=origin(number, user_id=1000 + number), reply=reply(channel_id=channel))
    before = len(harness.messenger.shown)
    await harness.services.live.show(job)
    await until(lambda: len(harness.messenger.shown) == before + 1)
    await settled()
    return job


async def settled() -> None:
    """Wait until no card's edit is under way."""
    await until(lambda: all(task.done() for task in asyncio.all_tasks() if task.get_name().startswith("live-card")))


def places(harness: ServicesHarness, job: Job) -> list[int]:
    return [card.position.ahead for card in harness.cards() if card.job.id == job.id and card.position is not None]


async def pass_time(harness: ServicesHarness, seconds: float) -> None:
    """As `run` does it: one look a second."""
    for _ in range(round(seconds / EDIT_PAUSE)):
        harness.clock.advance(EDIT_PAUSE)
        await harness.services.places.refresh_next()
        await settled()


async def test_a_place_that_moved_is_shown_after_thirty_seconds(harness: ServicesHarness) -> None:
    first, second = await waiting(harness, 1), await waiting(harness, 2)
    await harness.jobs.cancel(first.id, now=harness.clock.now())

    await pass_time(harness, CARD_PAUSE.total_seconds() - 1)
    assert places(harness, second) == [1]
    await pass_time(harness, 2)

    assert places(harness, second) == [1, 0]


async def test_a_place_that_did_not_move_is_left_alone(harness: ServicesHarness) -> None:
    harness.generator.speed = EngineSpeed(curve=BatchCurve(((1, 30.0),)), batch=1, megapixels=request().work / 4)
    await harness.add(1)
    running = await harness.claim()
    job = await waiting(harness, 2)
    for step in range(1, 4):  # somebody else's steps, in the time that was told
        harness.services.live.on_progress(running, progress(running.request, step))
        await pass_time(harness, 30)

    assert places(harness, job) == [1]


async def test_a_time_that_is_off_by_much_is_corrected(harness: ServicesHarness, speed: None) -> None:
    await harness.add(1)
    await harness.claim()  # and it does not get on
    job = await waiting(harness, 2)

    await pass_time(harness, 61)

    shown = [card.position.done_at for card in harness.cards() if card.job.id == job.id and card.position is not None]
    assert [done_at - START for done_at in shown if done_at] == [
        timedelta(seconds=4),
        pytest.approx(timedelta(seconds=34), abs=timedelta(seconds=2)),
        pytest.approx(timedelta(seconds=65), abs=timedelta(seconds=3)),
    ]


async def test_many_cards_are_edited_at_one_a_second_and_each_channel_at_one_in_five(harness: ServicesHarness) -> None:
    ahead = await waiting(harness, 1)
    for number in range(2, 32):
        await waiting(harness, number, channel=CHANNEL + number // 11)  # three channels
    await harness.jobs.cancel(ahead.id, now=harness.clock.now())
    harness.clock.advance(60)
    before = len(harness.messenger.shown)

    times: list[tuple[float, int]] = []
    for second in range(20):
        await pass_time(harness, 1)
        new = harness.messenger.shown[before + len(times) :]
        times += [(second, call.card.job.reply.channel_id) for call in new if call.card is not None]

    assert len(times) == len({second for second, _ in times}), "two edits in one second"
    for channel in {channel for _, channel in times}:
        own = [second for second, its in times if its == channel]
        assert all(later - one >= CHANNEL_PAUSE.total_seconds() for one, later in pairwise(own))
    assert len(times) == 12  # 20 s, three channels, one in 5 s each


async def test_all_cards_have_their_turn(harness: ServicesHarness) -> None:
    ahead = await waiting(harness, 1)
    jobs = [await waiting(harness, number, channel=CHANNEL + number) for number in range(2, 30)]
    await harness.jobs.cancel(ahead.id, now=harness.clock.now())

    await pass_time(harness, 60)

    assert all(places(harness, job)[-1] == number for number, job in enumerate(jobs))


async def test_a_start_takes_up_the_cards_that_wait(harness: ServicesHarness) -> None:
    await harness.add(1)
    job = await harness.add(2, origin=origin(2, user_id=2))
    places_task = asyncio.create_task(harness.services.places.run())
    harness.tasks.append(places_task)

    async def shown() -> bool:
        harness.clock.advance(1)
        return places(harness, job) == [1]

    await until(shown)
    harness.services.places.stop()


async def test_a_card_that_its_own_steps_keep_fresh_is_left_to_them(harness: ServicesHarness, speed: None) -> None:
    await waiting(harness, 1)
    job = await harness.claim()
    before = len(harness.messenger.shown)
    for step in range(1, 4):
        harness.clock.advance(20)
        harness.services.live.on_progress(job, progress(job.request, step))
        await until(lambda step=step: len(harness.messenger.shown) == before + step)
        await settled()
        await harness.services.places.refresh_next()
        await settled()

    assert len(harness.messenger.shown) == before + 3


async def test_a_running_job_that_waits_for_its_next_step_tells_a_new_time(harness: ServicesHarness) -> None:
    harness.generator.speed = EngineSpeed(curve=BatchCurve(((1, 30.0),)), batch=1, megapixels=request().work / 4)
    await waiting(harness, 1)
    job = await harness.claim()
    await harness.services.live.show(job)
    harness.clock.advance(3)
    await until(lambda: len(harness.messenger.shown) == 2)
    await settled()

    await pass_time(harness, 70)

    shown = [card.position for card in harness.cards() if card.job.status is JobStatus.RUNNING]
    assert {position.ahead for position in shown if position} == {0}
    assert 2 <= len(shown) <= 3
    assert shown[-1].has_moved(shown[0], harness.clock.now())


async def test_a_paused_queue_is_told_on_the_cards_that_wait(harness: ServicesHarness) -> None:
    job = await waiting(harness, 1)
    assert job.origin.guild_id is not None
    await harness.repositories.pauses.pause(job.origin.guild_id, by=9, now=harness.clock.now())

    await pass_time(harness, 31)

    assert harness.cards()[-1].position == QueuePosition(ahead=0, is_paused=True)


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
