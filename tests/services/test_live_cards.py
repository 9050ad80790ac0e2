"""Cards while a job waits and runs."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bot.domain.delivery import DeliveryFault
from bot.domain.job import Job, JobStatus
from bot.messages import message
from bot.services.live_cards import BLOCKED_PAUSE, EDIT_INTERVAL
from tests.examples import CHANNEL, reply
from tests.fakes import START, progress
from tests.services.harness import ServicesHarness, fault, until


def edits(harness: ServicesHarness, job: Job) -> list[int | None]:
    """The step that each card shown so far stood at; None without progress."""
    cards = [card for card in harness.cards() if card.job.id == job.id]
    return [card.progress.step if card.progress else None for card in cards]


async def running(harness: ServicesHarness, **changes: object) -> Job:
    """A job that runs, with its first live card shown."""
    await harness.add(**changes)
    job = await harness.claim()
    await harness.services.live.show(job)
    await until(lambda: len(harness.messenger.shown) == 1)
    return job


async def settled(harness: ServicesHarness) -> None:
    """Wait until a card's task sleeps in its pause."""
    await until(lambda: harness.clock.sleeping == 1)


async def test_a_queued_card_shows_its_place_and_when_it_is_ready(harness: ServicesHarness) -> None:
    await harness.drawn(1)  # 2 s for its work
    await harness.add(2)
    job = await harness.add(3)

    await harness.services.live.show(job)
    await until(lambda: len(harness.messenger.shown) == 1)

    position = harness.cards()[0].position
    assert position is not None
    assert position.ahead == 1
    assert position.done_at is not None
    assert position.done_at - harness.clock.now() == pytest.approx(timedelta(seconds=4), abs=timedelta(milliseconds=1))


async def test_what_is_drawn_of_a_job_does_not_count_as_ahead(harness: ServicesHarness) -> None:
    await harness.drawn(1)
    await harness.add(2)
    running = await harness.claim()
    harness.services.live.on_progress(running, progress(running.request, running.request.num_inference_steps // 2))
    job = await harness.add(3)

    await harness.services.live.show(job)
    await until(lambda: len(harness.messenger.shown) == 1)

    position = harness.cards()[0].position
    assert position is not None
    assert position.done_at is not None
    assert position.done_at - harness.clock.now() == pytest.approx(timedelta(seconds=3), abs=timedelta(milliseconds=1))


async def test_before_a_speed_is_known_the_card_shows_the_place_alone(harness: ServicesHarness) -> None:
    await harness.add(1)
    job = await harness.add(2)

    await harness.services.live.show(job)
    await until(lambda: len(harness.messenger.shown) == 1)

    position = harness.cards()[0].position
    assert position is not None
    assert (position.ahead, position.done_at) == (1, None)


async def test_many_reports_become_one_edit_in_two_and_a_half_seconds_with_the_newest_state(harness: ServicesHarness) -> None:
    job = await running(harness)

    for step in (1, 2, 3):
        harness.services.live.on_progress(job, progress(job.request, step))
        await settled(harness)
        harness.clock.advance(0.8)
    assert edits(harness, job) == [None]
    harness.clock.advance(0.2)

    await until(lambda: edits(harness, job) == [None, 3])


async def test_a_card_is_not_edited_because_somebody_elses_job_moved(harness: ServicesHarness) -> None:
    job = await running(harness)
    harness.clock.advance(EDIT_INTERVAL)
    other = await harness.add(2)

    await harness.services.live.show(other)
    await until(lambda: len(harness.messenger.shown) == 2)
    harness.clock.advance(60)
    await harness.services.live.stop()

    assert edits(harness, job) == [None]


async def test_no_progress_edit_comes_after_the_final_card(harness: ServicesHarness) -> None:
    job = await running(harness)
    harness.messenger.slow = lambda call: call.card is not None and call.card.progress is not None
    harness.clock.advance(EDIT_INTERVAL)
    harness.services.live.on_progress(job, progress(job.request, 2))
    await until(lambda: len(harness.messenger.calls) == 2)  # the slow edit is in flight
    await harness.jobs.fail(job.id, job.attempt, message("No luck."), now=harness.clock.now())

    turn = asyncio.create_task(harness.services.delivery.deliver_due())
    await asyncio.wait({turn}, timeout=0.2)  # it would be long done if it did not wait for the edit in flight
    harness.services.live.on_progress(job, progress(job.request, 3))
    harness.messenger.slow_gate.set()
    await turn
    harness.services.live.on_progress(job, progress(job.request, 4))
    harness.clock.advance(60)
    await harness.services.live.stop()

    assert [card.job.status for card in harness.cards()] == [JobStatus.RUNNING, JobStatus.RUNNING, JobStatus.FAILED]


async def test_a_show_that_comes_late_does_not_overwrite_the_final_card(harness: ServicesHarness) -> None:
    await harness.add()
    job = await harness.claim()
    await harness.jobs.cancel(job.id, now=harness.clock.now())
    await harness.services.delivery.deliver_due()

    await harness.services.live.show(job)
    await harness.services.live.stop()
    await harness.services.live.close(job.id)

    assert [card.job.status for card in harness.cards()] == [JobStatus.CANCELLED]


async def test_a_close_ends_a_pause_at_once(harness: ServicesHarness) -> None:
    job = await running(harness)
    harness.services.live.on_progress(job, progress(job.request, 2))
    await settled(harness)

    await harness.services.live.close(job.id)

    assert edits(harness, job) == [None]
    assert harness.clock.sleeping == 0


async def test_a_preview_stays_until_the_next_one(harness: ServicesHarness) -> None:
    job = await running(harness)
    for step, preview in ((1, b"first"), (2, None), (3, b"second")):
        harness.clock.advance(EDIT_INTERVAL)
        harness.services.live.on_progress(job, progress(job.request, step, preview=preview))
        await until(lambda step=step: edits(harness, job)[-1] == step)

    assert [[file.data for file in card.files] for card in harness.cards()] == [[], [b"first"], [b"first"], [b"second"]]


async def test_another_attempt_starts_the_card_afresh(harness: ServicesHarness) -> None:
    job = await running(harness)
    harness.clock.advance(EDIT_INTERVAL)
    harness.services.live.on_progress(job, progress(job.request, 3, preview=b"old"))
    await until(lambda: edits(harness, job) == [None, 3])
    await harness.jobs.put_back(job.id, job.attempt, aborted=False)
    harness.clock.advance(EDIT_INTERVAL)

    await harness.services.live.show(await harness.claim())

    await until(lambda: edits(harness, job) == [None, 3, None])
    assert harness.cards()[-1].files == ()


async def test_cards_are_edited_by_id_after_the_token_died(harness: ServicesHarness) -> None:
    job = await running(harness)
    harness.clock.advance(20 * 60)

    harness.services.live.on_progress(job, progress(job.request, 2))

    await until(lambda: harness.messenger.ways == ["edit_by_token", "edit_by_id"])


async def test_a_token_that_died_early_leads_to_the_edit_by_id(harness: ServicesHarness) -> None:
    harness.messenger.fail("edit_by_token", fault(DeliveryFault.TOKEN_DEAD))

    await running(harness)

    assert harness.messenger.ways == ["edit_by_token", "edit_by_id"]


async def test_the_message_is_remembered_once_discord_named_it(harness: ServicesHarness) -> None:
    job = await running(harness, reply=reply(message_id=None))

    await harness.services.live.close(job.id)

    stored = (await harness.job(job.id)).reply
    assert (stored.channel_id, stored.message_id) == (CHANNEL, 500)


async def test_a_rate_limit_pauses_all_live_cards_and_the_newest_state_comes_after_it(harness: ServicesHarness) -> None:
    job = await running(harness)
    harness.clock.advance(EDIT_INTERVAL)
    harness.messenger.fail("edit_by_token", fault(DeliveryFault.RATE_LIMITED, retry_after=30))
    harness.services.live.on_progress(job, progress(job.request, 1))
    await settled(harness)

    harness.clock.advance(29)
    harness.services.live.on_progress(job, progress(job.request, 2))
    await settled(harness)
    assert len(harness.messenger.calls) == 2
    harness.clock.advance(1)

    await until(lambda: edits(harness, job) == [None, 2])


async def test_a_ban_of_everything_pauses_for_a_minute(harness: ServicesHarness) -> None:
    harness.messenger.fail("edit_by_token", fault(DeliveryFault.RATE_LIMITED))
    job = await harness.add()
    await harness.services.live.show(job)
    await settled(harness)

    harness.clock.advance(BLOCKED_PAUSE)

    await until(lambda: len(harness.messenger.shown) == 1)


@pytest.mark.parametrize("kind", [DeliveryFault.MESSAGE_GONE, DeliveryFault.FORBIDDEN, DeliveryFault.REFUSED])
async def test_a_card_that_cannot_be_edited_is_left_alone(harness: ServicesHarness, kind: DeliveryFault) -> None:
    job = await running(harness)
    harness.messenger.fail("edit_by_token", fault(kind))
    for step in (1, 2, 3):
        harness.clock.advance(EDIT_INTERVAL)
        harness.services.live.on_progress(job, progress(job.request, step))
        await until(lambda: len(harness.messenger.calls) == 2)
    await harness.services.live.stop()

    assert len(harness.messenger.calls) == 2


async def test_a_card_that_only_its_token_reaches_goes_on_when_the_clock_is_set_ahead(harness: ServicesHarness) -> None:
    job = await running(harness)
    harness.clock.set_ahead(timedelta(days=365))
    harness.messenger.fail("edit_by_id", fault(DeliveryFault.FORBIDDEN))
    harness.clock.advance(EDIT_INTERVAL)
    harness.services.live.on_progress(job, progress(job.request, 1))

    await until(lambda: edits(harness, job) == [None, 1])
    assert harness.messenger.ways == ["edit_by_token", "edit_by_id", "edit_by_token"]


async def test_a_dead_token_is_asked_once_when_the_clock_is_set_back(harness: ServicesHarness) -> None:
    job = await running(harness)
    harness.clock.set_back(timedelta(days=365))
    harness.messenger.fail("edit_by_token", *[fault(DeliveryFault.TOKEN_DEAD)] * 9)
    for step in (1, 2, 3):
        harness.clock.advance(EDIT_INTERVAL)
        harness.services.live.on_progress(job, progress(job.request, step))
        await until(lambda step=step: edits(harness, job)[-1] == step)

    assert harness.messenger.ways == ["edit_by_token", "edit_by_token", "edit_by_id", "edit_by_id", "edit_by_id"]


async def test_an_outage_does_not_end_the_live_card(harness: ServicesHarness) -> None:
    job = await running(harness)
    harness.messenger.fail("edit_by_token", fault(DeliveryFault.UNAVAILABLE))
    for step in (1, 2):
        harness.clock.advance(EDIT_INTERVAL)
        harness.services.live.on_progress(job, progress(job.request, step))
        await until(lambda step=step: len(harness.messenger.calls) == 1 + step)
        await until(lambda: all(task.done() for task in asyncio.all_tasks() if task.get_name().startswith("live-card")))

    assert edits(harness, job) == [None, 2]


async def test_a_preview_that_is_too_large_is_left_out(harness: ServicesHarness) -> None:
    job = await running(harness)
    harness.messenger.fail("edit_by_token", fault(DeliveryFault.TOO_LARGE))
    harness.clock.advance(EDIT_INTERVAL)
    harness.services.live.on_progress(job, progress(job.request, 1, preview=b"huge"))
    await settled(harness)

    harness.clock.advance(EDIT_INTERVAL)

    await until(lambda: edits(harness, job) == [None, 1])
    assert harness.cards()[-1].files == ()


async def test_an_edit_that_hangs_is_given_up(harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.services.live_cards.EDIT_TIMEOUT", 0.01)
    job = await harness.add()
    harness.messenger.gate.clear()
    await harness.services.live.show(job)
    await until(lambda: len(harness.messenger.calls) == 1)

    await harness.services.live.close(job.id)

    assert harness.messenger.shown == []


async def test_after_a_stop_nothing_is_edited(harness: ServicesHarness) -> None:
    job = await harness.add()
    await harness.services.live.stop()

    await harness.services.live.show(job)
    await harness.services.live.close(job.id)

    assert harness.messenger.calls == []
    assert harness.clock.now() == START


async def test_a_clock_that_is_set_back_between_two_edits_stops_no_bar(harness: ServicesHarness) -> None:
    job = await running(harness)
    harness.services.live.on_progress(job, progress(job.request, 1))
    await settled(harness)
    harness.clock.set_back(timedelta(hours=1))

    harness.clock.advance(EDIT_INTERVAL)

    await until(lambda: edits(harness, job) == [None, 1])


async def test_a_clock_that_is_set_back_prolongs_no_ban(harness: ServicesHarness) -> None:
    job = await running(harness)
    harness.clock.advance(EDIT_INTERVAL)
    harness.messenger.fail("edit_by_token", fault(DeliveryFault.RATE_LIMITED, retry_after=30))
    harness.services.live.on_progress(job, progress(job.request, 1))
    await settled(harness)
    harness.clock.set_back(timedelta(hours=1))

    harness.clock.advance(30)

    await until(lambda: edits(harness, job) == [None, 1])


async def test_a_clock_that_is_set_back_leaves_no_waiting_card_unseen(harness: ServicesHarness) -> None:
    job = await harness.add()
    await harness.services.live.show(job)
    await until(lambda: len(harness.messenger.shown) == 1)
    harness.clock.set_back(timedelta(hours=1))

    assert harness.services.live.waiting(seen_before=harness.clock.now() - timedelta(seconds=30), except_in=()) == (job.id,)
