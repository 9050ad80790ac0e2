"""Cards while a job waits and runs."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bot.domain.delivery import DeliveryFault
from bot.domain.job import Job, JobStatus
from bot.services.live_cards import BLOCKED_PAUSE, EDIT_INTERVAL
from tests.examples import CHANNEL, reply
from tests.fakes import START, progress
from tests.services.world import World, fault, until


def edits(world: World, job: Job) -> list[int | None]:
    """The step that each card shown so far stood at; None without progress."""
    cards = [card for card in world.cards() if card.job.id == job.id]
    return [card.progress.step if card.progress else None for card in cards]


async def running(world: World, **changes: object) -> Job:
    """A job that runs, with its first live card shown."""
    await world.add(**changes)
    job = await world.claim()
    await world.services.live.show(job)
    await until(lambda: len(world.messenger.shown) == 1)
    return job


async def settled(world: World) -> None:
    """Wait until a card's task sleeps in its pause."""
    await until(lambda: world.clock.sleeping == 1)


async def test_a_queued_card_shows_its_place_and_when_it_is_ready(world: World) -> None:
    await world.drawn(1)  # 2 s for its work
    await world.add(2)
    job = await world.add(3)

    await world.services.live.show(job)
    await until(lambda: len(world.messenger.shown) == 1)

    position = world.cards()[0].position
    assert position is not None
    assert position.ahead == 1
    assert position.done_at is not None
    assert position.done_at - world.clock.now() == pytest.approx(timedelta(seconds=4), abs=timedelta(milliseconds=1))


async def test_what_is_drawn_of_a_job_does_not_count_as_ahead(world: World) -> None:
    await world.drawn(1)
    await world.add(2)
    running = await world.claim()
    world.services.live.on_progress(running, progress(running.request, running.request.num_inference_steps // 2))
    job = await world.add(3)

    await world.services.live.show(job)
    await until(lambda: len(world.messenger.shown) == 1)

    position = world.cards()[0].position
    assert position is not None
    assert position.done_at is not None
    assert position.done_at - world.clock.now() == pytest.approx(timedelta(seconds=3), abs=timedelta(milliseconds=1))


async def test_before_a_speed_is_known_the_card_shows_the_place_alone(world: World) -> None:
    await world.add(1)
    job = await world.add(2)

    await world.services.live.show(job)
    await until(lambda: len(world.messenger.shown) == 1)

    position = world.cards()[0].position
    assert position is not None
    assert (position.ahead, position.done_at) == (1, None)


async def test_many_reports_become_one_edit_in_two_and_a_half_seconds_with_the_newest_state(world: World) -> None:
    job = await running(world)

    for step in (1, 2, 3):
        world.services.live.on_progress(job, progress(job.request, step))
        await settled(world)
        world.clock.advance(0.8)
    assert edits(world, job) == [None]
    world.clock.advance(0.2)

    await until(lambda: edits(world, job) == [None, 3])


async def test_a_card_is_not_edited_because_somebody_elses_job_moved(world: World) -> None:
    job = await running(world)
    world.clock.advance(EDIT_INTERVAL)
    other = await world.add(2)

    await world.services.live.show(other)
    await until(lambda: len(world.messenger.shown) == 2)
    world.clock.advance(60)
    await world.services.live.stop()

    assert edits(world, job) == [None]


async def test_no_progress_edit_comes_after_the_final_card(world: World) -> None:
    job = await running(world)
    world.messenger.slow = lambda call: call.card is not None and call.card.progress is not None
    world.clock.advance(EDIT_INTERVAL)
    world.services.live.on_progress(job, progress(job.request, 2))
    await until(lambda: len(world.messenger.calls) == 2)  # the slow edit is in flight
    await world.jobs.fail(job.id, job.attempt, "No luck.", now=world.clock.now())

    turn = asyncio.create_task(world.services.delivery.deliver_due())
    await asyncio.wait({turn}, timeout=0.2)  # it would be long done if it did not wait for the edit in flight
    world.services.live.on_progress(job, progress(job.request, 3))
    world.messenger.slow_gate.set()
    await turn
    world.services.live.on_progress(job, progress(job.request, 4))
    world.clock.advance(60)
    await world.services.live.stop()

    assert [card.job.status for card in world.cards()] == [JobStatus.RUNNING, JobStatus.RUNNING, JobStatus.FAILED]


async def test_a_show_that_comes_late_does_not_overwrite_the_final_card(world: World) -> None:
    await world.add()
    job = await world.claim()
    await world.jobs.cancel(job.id, now=world.clock.now())
    await world.services.delivery.deliver_due()

    await world.services.live.show(job)
    await world.services.live.stop()
    await world.services.live.close(job.id)

    assert [card.job.status for card in world.cards()] == [JobStatus.CANCELLED]


async def test_a_close_ends_a_pause_at_once(world: World) -> None:
    job = await running(world)
    world.services.live.on_progress(job, progress(job.request, 2))
    await settled(world)

    await world.services.live.close(job.id)

    assert edits(world, job) == [None]
    assert world.clock.sleeping == 0


async def test_a_preview_stays_until_the_next_one(world: World) -> None:
    job = await running(world)
    for step, preview in ((1, b"first"), (2, None), (3, b"second")):
        world.clock.advance(EDIT_INTERVAL)
        world.services.live.on_progress(job, progress(job.request, step, preview=preview))
        await until(lambda step=step: edits(world, job)[-1] == step)

    assert [[file.data for file in card.files] for card in world.cards()] == [[], [b"first"], [b"first"], [b"second"]]


async def test_another_attempt_starts_the_card_afresh(world: World) -> None:
    job = await running(world)
    world.clock.advance(EDIT_INTERVAL)
    world.services.live.on_progress(job, progress(job.request, 3, preview=b"old"))
    await until(lambda: edits(world, job) == [None, 3])
    await world.jobs.put_back(job.id, job.attempt, aborted=False)
    world.clock.advance(EDIT_INTERVAL)

    await world.services.live.show(await world.claim())

    await until(lambda: edits(world, job) == [None, 3, None])
    assert world.cards()[-1].files == ()


async def test_cards_are_edited_by_id_after_the_token_died(world: World) -> None:
    job = await running(world)
    world.clock.advance(20 * 60)

    world.services.live.on_progress(job, progress(job.request, 2))

    await until(lambda: world.messenger.ways == ["edit_by_token", "edit_by_id"])


async def test_a_token_that_died_early_leads_to_the_edit_by_id(world: World) -> None:
    world.messenger.fail("edit_by_token", fault(DeliveryFault.TOKEN_DEAD))

    await running(world)

    assert world.messenger.ways == ["edit_by_token", "edit_by_id"]


async def test_the_message_is_remembered_once_discord_named_it(world: World) -> None:
    job = await running(world, reply=reply(message_id=None))

    await world.services.live.close(job.id)

    stored = (await world.job(job.id)).reply
    assert (stored.channel_id, stored.message_id) == (CHANNEL, 500)


async def test_a_rate_limit_pauses_all_live_cards_and_the_newest_state_comes_after_it(world: World) -> None:
    job = await running(world)
    world.clock.advance(EDIT_INTERVAL)
    world.messenger.fail("edit_by_token", fault(DeliveryFault.RATE_LIMITED, retry_after=30))
    world.services.live.on_progress(job, progress(job.request, 1))
    await settled(world)

    world.clock.advance(29)
    world.services.live.on_progress(job, progress(job.request, 2))
    await settled(world)
    assert len(world.messenger.calls) == 2
    world.clock.advance(1)

    await until(lambda: edits(world, job) == [None, 2])


async def test_a_ban_of_everything_pauses_for_a_minute(world: World) -> None:
    world.messenger.fail("edit_by_token", fault(DeliveryFault.RATE_LIMITED))
    job = await world.add()
    await world.services.live.show(job)
    await settled(world)

    world.clock.advance(BLOCKED_PAUSE)

    await until(lambda: len(world.messenger.shown) == 1)


@pytest.mark.parametrize("kind", [DeliveryFault.MESSAGE_GONE, DeliveryFault.FORBIDDEN, DeliveryFault.REFUSED])
async def test_a_card_that_cannot_be_edited_is_left_alone(world: World, kind: DeliveryFault) -> None:
    job = await running(world)
    world.messenger.fail("edit_by_token", fault(kind))
    for step in (1, 2, 3):
        world.clock.advance(EDIT_INTERVAL)
        world.services.live.on_progress(job, progress(job.request, step))
        await until(lambda: len(world.messenger.calls) == 2)
    await world.services.live.stop()

    assert len(world.messenger.calls) == 2


async def test_a_card_that_only_its_token_reaches_goes_on_when_the_clock_is_set_ahead(world: World) -> None:
    job = await running(world)
    world.clock.set_ahead(timedelta(days=365))
    world.messenger.fail("edit_by_id", fault(DeliveryFault.FORBIDDEN))
    world.clock.advance(EDIT_INTERVAL)
    world.services.live.on_progress(job, progress(job.request, 1))

    await until(lambda: edits(world, job) == [None, 1])
    assert world.messenger.ways == ["edit_by_token", "edit_by_id", "edit_by_token"]


async def test_a_dead_token_is_asked_once_when_the_clock_is_set_back(world: World) -> None:
    job = await running(world)
    world.clock.set_back(timedelta(days=365))
    world.messenger.fail("edit_by_token", *[fault(DeliveryFault.TOKEN_DEAD)] * 9)
    for step in (1, 2, 3):
        world.clock.advance(EDIT_INTERVAL)
        world.services.live.on_progress(job, progress(job.request, step))
        await until(lambda step=step: edits(world, job)[-1] == step)

    assert world.messenger.ways == ["edit_by_token", "edit_by_token", "edit_by_id", "edit_by_id", "edit_by_id"]


async def test_an_outage_does_not_end_the_live_card(world: World) -> None:
    job = await running(world)
    world.messenger.fail("edit_by_token", fault(DeliveryFault.UNAVAILABLE))
    for step in (1, 2):
        world.clock.advance(EDIT_INTERVAL)
        world.services.live.on_progress(job, progress(job.request, step))
        await until(lambda step=step: len(world.messenger.calls) == 1 + step)
        await until(lambda: all(task.done() for task in asyncio.all_tasks() if task.get_name().startswith("live-card")))

    assert edits(world, job) == [None, 2]


async def test_a_preview_that_is_too_large_is_left_out(world: World) -> None:
    job = await running(world)
    world.messenger.fail("edit_by_token", fault(DeliveryFault.TOO_LARGE))
    world.clock.advance(EDIT_INTERVAL)
    world.services.live.on_progress(job, progress(job.request, 1, preview=b"huge"))
    await settled(world)

    world.clock.advance(EDIT_INTERVAL)

    await until(lambda: edits(world, job) == [None, 1])
    assert world.cards()[-1].files == ()


async def test_an_edit_that_hangs_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.services.live_cards.EDIT_TIMEOUT", 0.01)
    job = await world.add()
    world.messenger.gate.clear()
    await world.services.live.show(job)
    await until(lambda: len(world.messenger.calls) == 1)

    await world.services.live.close(job.id)

    assert world.messenger.shown == []


async def test_after_a_stop_nothing_is_edited(world: World) -> None:
    job = await world.add()
    await world.services.live.stop()

    await world.services.live.show(job)
    await world.services.live.close(job.id)

    assert world.messenger.calls == []
    assert world.clock.now() == START


async def test_a_clock_that_is_set_back_between_two_edits_stops_no_bar(world: World) -> None:
    job = await running(world)
    world.services.live.on_progress(job, progress(job.request, 1))
    await settled(world)
    world.clock.set_back(timedelta(hours=1))

    world.clock.advance(EDIT_INTERVAL)

    await until(lambda: edits(world, job) == [None, 1])


async def test_a_clock_that_is_set_back_prolongs_no_ban(world: World) -> None:
    job = await running(world)
    world.clock.advance(EDIT_INTERVAL)
    world.messenger.fail("edit_by_token", fault(DeliveryFault.RATE_LIMITED, retry_after=30))
    world.services.live.on_progress(job, progress(job.request, 1))
    await settled(world)
    world.clock.set_back(timedelta(hours=1))

    world.clock.advance(30)

    await until(lambda: edits(world, job) == [None, 1])


async def test_a_clock_that_is_set_back_leaves_no_waiting_card_unseen(world: World) -> None:
    job = await world.add()
    await world.services.live.show(job)
    await until(lambda: len(world.messenger.shown) == 1)
    world.clock.set_back(timedelta(hours=1))

    assert world.services.live.waiting(seen_before=world.clock.now() - timedelta(seconds=30), except_in=()) == (job.id,)
