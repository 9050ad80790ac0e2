"""Showing final cards: every row of the failure table that concerns delivery."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from bot.domain.delivery import DELIVERY_PATIENCE, NONCE_WINDOW, DeliveryFault
from bot.domain.job import JobStatus, Parent, Relation
from bot.services.courier import FILES_LOST, TOO_LARGE
from bot.services.delivery import CONCURRENCY, MAX_REFUSALS, MIN_TRIES
from tests.examples import CHANNEL, GUILD, MEMBER, MESSAGE, reply, request
from tests.fakes import START
from tests.services.world import World, fault, until

FAR_IN_TIME = 20 * 60.0  # seconds; no token lives that long


async def test_a_result_is_shown_by_token_while_it_lives(world: World) -> None:
    job = await world.drawn()

    assert await world.services.delivery.deliver_due() == 1

    assert world.messenger.ways == ["edit_by_token"]
    assert await world.status(job) is JobStatus.DELIVERED
    assert not await world.is_open(job)
    assert await world.services.delivery.deliver_due() == 0


async def test_a_result_is_shown_by_id_after_the_token_died(world: World) -> None:
    job = await world.drawn()
    world.clock.advance(FAR_IN_TIME)

    await world.services.delivery.deliver_due()

    assert world.messenger.ways == ["edit_by_id"]
    assert await world.status(job) is JobStatus.DELIVERED


async def test_a_dead_token_leads_to_the_edit_by_id_at_once(world: World) -> None:
    job = await world.drawn()
    world.messenger.fail("edit_by_token", fault(DeliveryFault.TOKEN_DEAD))

    await world.services.delivery.deliver_due()

    assert world.messenger.ways == ["edit_by_token", "edit_by_id"]
    assert await world.status(job) is JobStatus.DELIVERED


async def test_the_card_shows_pictures_titles_and_the_link_to_its_parent(world: World) -> None:
    parent = await world.delivered(1)
    job = await world.drawn(
        2, parent=Parent(job_id=parent.id, relation=Relation.REROLL), request=request(num_images=2, style="pastel")
    )

    await world.services.delivery.deliver_due()

    card = world.cards()[-1]
    assert (card.model_title, card.style_title) == ("Test Model", "Pastel Anime")
    assert [file.name for file in card.files] == [f"pastel-{job.id}-1.png", f"pastel-{job.id}-2.png"]
    assert [file.data for file in card.files] == [b"PNG of 1000", b"PNG of 1001"]
    assert card.files[1].description == "Picture 2 of 2: green hair, beanie, night"
    assert [image.seed for image in card.images] == [1000, 1001]
    assert card.parent is not None
    assert (card.parent.user_id, card.parent.guild_id) == (MEMBER, GUILD)
    assert (card.parent.channel_id, card.parent.message_id) == (CHANNEL, MESSAGE)


async def test_a_failure_and_a_cancellation_are_shown_the_same_way(world: World) -> None:
    failed, cancelled = await world.add(1), await world.add(2)
    claimed = await world.claim()
    await world.jobs.fail(failed.id, claimed.attempt, "No luck.", now=world.clock.now())
    await world.jobs.cancel(cancelled.id, now=world.clock.now())

    assert await world.services.delivery.deliver_due() == 2

    shown = {card.job.id: card for card in world.cards()}
    assert shown[failed.id].job.failure == "No luck."
    assert shown[cancelled.id].job.status is JobStatus.CANCELLED
    assert await world.status(failed) is JobStatus.FAILED
    assert not await world.is_open(failed)
    assert not await world.is_open(cancelled)


async def test_a_deleted_card_becomes_exactly_one_post_with_the_jobs_id_as_nonce(world: World) -> None:
    job = await world.drawn()
    world.messenger.fail("edit_by_token", fault(DeliveryFault.MESSAGE_GONE))
    world.messenger.fail("edit_by_id", fault(DeliveryFault.MESSAGE_GONE))

    await world.services.delivery.deliver_due()

    assert world.messenger.ways == ["edit_by_token", "edit_by_id", "post"]
    assert world.messenger.calls[-1].nonce == job.id
    delivered = await world.job(job.id)
    assert (delivered.status, delivered.reply.message_id) == (JobStatus.DELIVERED, 900)


async def test_a_card_whose_message_nobody_knows_is_looked_for_and_posted(world: World) -> None:
    job = await world.drawn(reply=reply(message_id=None, token=None))

    await world.services.delivery.deliver_due()

    assert world.messenger.ways == ["find_post", "post"]
    assert await world.status(job) is JobStatus.DELIVERED


@pytest.mark.parametrize("kind", [DeliveryFault.CHANNEL_GONE, DeliveryFault.FORBIDDEN])
async def test_a_closed_door_is_never_knocked_at_again(world: World, kind: DeliveryFault) -> None:
    job = await world.drawn(reply=reply(token=None))
    world.messenger.fail("edit_by_id", fault(kind))

    await world.services.delivery.deliver_due()
    world.clock.advance(FAR_IN_TIME)

    assert await world.services.delivery.deliver_due() == 0
    assert len(world.messenger.calls) == 1
    assert await world.status(job) is JobStatus.UNDELIVERABLE


async def test_an_outage_is_waited_out_with_growing_pauses(world: World) -> None:
    job = await world.drawn(reply=reply(token=None))
    world.messenger.fail("edit_by_id", *[fault(DeliveryFault.UNAVAILABLE) for _ in range(3)])

    tried = []
    for _ in range(12):
        tried.append(await world.services.delivery.deliver_due())
        world.clock.advance(1.2)

    assert await world.status(job) is JobStatus.DELIVERED
    pauses = "".join(map(str, tried)).strip("0").split("1")[1:-1]
    assert [len(pause) for pause in pauses] == sorted(len(pause) for pause in pauses)
    assert sum(tried) == 4


async def test_an_outage_longer_than_the_patience_ends_as_undeliverable(world: World) -> None:
    job = await world.drawn(reply=reply(token=None))
    world.messenger.fail("edit_by_id", *[fault(DeliveryFault.UNAVAILABLE) for _ in range(MIN_TRIES)])
    for _ in range(MIN_TRIES - 1):
        assert await world.services.delivery.deliver_due() == 1
        assert await world.status(job) is JobStatus.SUCCEEDED
        world.clock.advance(70)

    world.clock.advance(DELIVERY_PATIENCE.total_seconds())
    await world.services.delivery.deliver_due()

    assert await world.status(job) is JobStatus.UNDELIVERABLE


async def test_a_card_that_waited_while_the_bot_was_off_is_not_given_up_at_the_first_fault(world: World) -> None:
    job = await world.drawn(reply=reply(token=None))
    world.clock.advance(2 * DELIVERY_PATIENCE.total_seconds())
    world.messenger.fail("edit_by_id", fault(DeliveryFault.UNAVAILABLE))

    await world.services.delivery.deliver_due()
    world.clock.advance(2)
    await world.services.delivery.deliver_due()

    assert await world.status(job) is JobStatus.DELIVERED


async def test_a_rate_limit_is_obeyed_for_the_whole_channel_and_for_no_other(world: World) -> None:
    first = await world.drawn(1, reply=reply(token=None))
    world.messenger.fail("edit_by_id", fault(DeliveryFault.RATE_LIMITED, retry_after=30))
    await world.services.delivery.deliver_due()
    same = await world.drawn(2, reply=reply(token=None))
    other = await world.drawn(3, reply=reply(token=None, channel_id=CHANNEL + 1))

    await world.services.delivery.deliver_due()
    world.clock.advance(25)
    await world.services.delivery.deliver_due()

    assert [await world.status(job) for job in (first, same)] == [JobStatus.SUCCEEDED] * 2
    assert await world.status(other) is JobStatus.DELIVERED
    assert len(world.messenger.calls) == 2
    world.clock.advance(6)
    await world.services.delivery.deliver_due()
    assert [await world.status(job) for job in (first, same)] == [JobStatus.DELIVERED] * 2


async def test_a_ban_of_everything_leaves_one_probe_a_minute(world: World) -> None:
    world.messenger.fail("edit_by_id", *[fault(DeliveryFault.RATE_LIMITED) for _ in range(2)])
    jobs = [await world.drawn(1, reply=reply(token=None))]
    await world.services.delivery.deliver_due()
    jobs += [await world.drawn(n, reply=reply(token=None, channel_id=CHANNEL + n)) for n in range(2, 6)]

    world.clock.advance(50)
    assert await world.services.delivery.deliver_due() == 0
    world.clock.advance(11)
    assert await world.services.delivery.deliver_due() == 1
    assert len(world.messenger.calls) == 2
    world.clock.advance(61)
    assert await world.services.delivery.deliver_due() == 1
    while await world.services.delivery.deliver_due():
        pass

    assert {await world.status(job) for job in jobs} == {JobStatus.DELIVERED}


async def test_what_discord_refuses_as_our_mistake_is_tried_a_few_times_and_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    job = await world.drawn(reply=reply(token=None))
    world.messenger.fail("edit_by_id", *[fault(DeliveryFault.REFUSED) for _ in range(9)])

    for _ in range(9):
        await world.services.delivery.deliver_due()
        world.clock.advance(70)

    assert len(world.messenger.calls) == MAX_REFUSALS
    assert await world.status(job) is JobStatus.UNDELIVERABLE
    assert [record.levelno for record in caplog.records if job.id in record.message] == [logging.ERROR]


async def test_pictures_that_are_too_large_shrink_to_half_and_a_quarter_and_then_the_card_says_so(world: World) -> None:
    job = await world.drawn(reply=reply(token=None, upload_limit=8))
    too_large = [fault(DeliveryFault.TOO_LARGE) for _ in range(3)]
    world.messenger.fail("edit_by_id", *too_large)

    await world.services.delivery.deliver_due()

    cards = [call.card for call in world.messenger.calls if call.card is not None]
    assert [[len(file.data) for file in card.files] for card in cards] == [[8], [4], [2], []]
    assert [card.note for card in cards] == [None, None, None, TOO_LARGE]
    assert await world.status(job) is JobStatus.DELIVERED


async def test_four_pictures_fit_together_into_one_request(world: World) -> None:
    job = await world.drawn(request=request(num_images=4))
    for key in world.store.files:
        world.store.files[key] = bytes(9 * 2**20)

    await world.services.delivery.deliver_due()

    assert sum(len(file.data) for file in world.cards()[-1].files) < 25 * 2**20
    assert await world.status(job) is JobStatus.DELIVERED


async def test_lost_picture_files_are_said_and_not_charged(world: World) -> None:
    job = await world.drawn()
    world.store.files.clear()

    await world.services.delivery.deliver_due()

    assert world.cards()[-1].note == FILES_LOST
    assert await world.status(job) is JobStatus.UNDELIVERABLE


async def test_a_post_that_was_cut_off_is_repeated_with_its_nonce_soon_after(world: World) -> None:
    job = await world.drawn(reply=reply(message_id=None, token=None))
    world.messenger.fail("post", fault(DeliveryFault.UNAVAILABLE))
    await world.services.delivery.deliver_due()
    world.build()
    world.clock.advance(5)

    await world.services.delivery.deliver_due()

    assert world.messenger.ways == ["find_post", "post", "post"]
    assert {call.nonce for call in world.messenger.calls if call.way == "post"} == {job.id}


async def test_an_old_post_is_looked_up_before_it_is_repeated(world: World) -> None:
    job = await world.drawn(reply=reply(message_id=None, token=None))
    world.messenger.fail("post", fault(DeliveryFault.UNAVAILABLE))
    await world.services.delivery.deliver_due()
    world.build()
    world.clock.advance(NONCE_WINDOW.total_seconds() + 1)
    world.messenger.found = 777

    await world.services.delivery.deliver_due()

    assert world.messenger.ways == ["find_post", "post", "find_post", "edit_by_id"]
    delivered = await world.job(job.id)
    assert (delivered.status, delivered.reply.message_id) == (JobStatus.DELIVERED, 777)


async def test_a_card_whose_edit_had_no_answer_before_its_token_died_is_found_and_edited(world: World) -> None:
    job = await world.drawn(reply=reply(message_id=None))
    world.messenger.fail("edit_by_token", fault(DeliveryFault.UNAVAILABLE))
    await world.services.delivery.deliver_due()
    world.clock.advance(FAR_IN_TIME)
    world.messenger.found = 777

    await world.services.delivery.deliver_due()

    assert world.messenger.ways == ["edit_by_token", "find_post", "edit_by_id"]
    assert (await world.job(job.id)).reply.message_id == 777


async def test_an_old_post_that_is_not_found_is_made_again(world: World) -> None:
    job = await world.drawn(reply=reply(message_id=None, token=None))
    world.messenger.fail("post", fault(DeliveryFault.UNAVAILABLE))
    await world.services.delivery.deliver_due()
    world.clock.advance(NONCE_WINDOW.total_seconds() + 1)

    await world.services.delivery.deliver_due()

    assert world.messenger.ways == ["find_post", "post", "find_post", "post"]
    assert await world.status(job) is JobStatus.DELIVERED


async def test_a_post_is_on_record_before_it_is_sent(world: World) -> None:
    job = await world.drawn(reply=reply(message_id=None, token=None))
    world.messenger.slow = lambda call: call.way == "post"
    turn = asyncio.create_task(world.services.delivery.deliver_due())
    await until(lambda: world.messenger.ways == ["find_post", "post"])

    (entry,) = await world.outbox.due(now=START + timedelta(days=1), limit=1)

    assert entry.post_started_at is not None
    world.messenger.slow_gate.set()
    await turn
    assert await world.status(job) is JobStatus.DELIVERED


async def test_a_job_that_was_deleted_meanwhile_is_closed_quietly(world: World) -> None:
    job = await world.drawn()
    await world.jobs.mark_deleted(job.id, now=world.clock.now())

    await world.services.delivery.deliver_due()

    assert world.messenger.calls == []
    assert not await world.is_open(job)


async def test_one_bad_card_does_not_hold_up_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = await world.drawn(1), await world.drawn(2, request=request(num_images=2))
    fit = world.codec.fit

    async def broken(file, max_bytes):
        if bad.id in file.name:
            raise ZeroDivisionError
        return await fit(file, max_bytes)

    monkeypatch.setattr(world.codec, "fit", broken)

    await world.services.delivery.deliver_due()

    assert await world.status(good) is JobStatus.DELIVERED
    assert await world.status(bad) is JobStatus.SUCCEEDED
    assert await world.is_open(bad)
    assert world.metrics.registry.get_sample_value("pastel_errors_total") == 1


async def test_a_shown_card_whose_record_failed_is_edited_again_and_not_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await world.drawn()
    delivered = type(world.outbox).delivered
    failures = iter([OSError("disk full")] * 5)

    async def failing(self, *args, **kwargs):
        if (error := next(failures, None)) is not None:
            raise error
        await delivered(self, *args, **kwargs)

    monkeypatch.setattr(type(world.outbox), "delivered", failing)
    for _ in range(6):
        await world.services.delivery.deliver_due()
        world.clock.advance(70)

    assert set(world.messenger.ways) == {"edit_by_token"}
    assert await world.status(job) is JobStatus.DELIVERED


async def test_several_cards_are_under_way_at_once_but_not_more_than_the_limit(world: World) -> None:
    jobs = [await world.drawn(n) for n in range(1, CONCURRENCY + 3)]
    world.messenger.gate.clear()
    world.start_delivery()

    await until(lambda: len(world.messenger.calls) == CONCURRENCY)
    assert await world.services.delivery.deliver_due() == 0
    assert len(world.messenger.calls) == CONCURRENCY
    world.messenger.gate.set()

    for job in jobs:
        await world.wait_for(JobStatus.DELIVERED, job)
    assert len({call.card.job.id for call in world.messenger.calls if call.card}) == len(world.messenger.calls)


async def test_the_loop_shows_a_card_that_is_added_while_it_rests(world: World) -> None:
    world.start_delivery()
    await until(lambda: world.clock.sleeping > 0)
    job = await world.drawn()

    world.services.delivery.wake()

    await world.wait_for(JobStatus.DELIVERED, job)


async def test_the_loop_tries_again_when_the_time_has_come(world: World) -> None:
    job = await world.drawn(reply=reply(token=None))
    world.messenger.fail("edit_by_id", fault(DeliveryFault.UNAVAILABLE))
    world.start_delivery()
    await until(lambda: len(world.messenger.calls) == 1)

    async def shown() -> bool:
        world.clock.advance(0.5)
        return await world.status(job) is JobStatus.DELIVERED

    await until(shown)


async def test_a_stop_lets_cards_under_way_end_and_starts_no_more(world: World) -> None:
    job = await world.drawn(1)
    world.messenger.gate.clear()
    running = world.start_delivery()
    await until(lambda: len(world.messenger.calls) == 1)

    stopping = asyncio.create_task(world.services.delivery.stop())
    late = await world.drawn(2)
    world.services.delivery.wake()
    world.messenger.gate.set()
    await stopping
    await running
    await world.services.delivery.stop()

    assert await world.status(job) is JobStatus.DELIVERED
    assert await world.status(late) is JobStatus.SUCCEEDED


async def test_a_stop_before_the_start_is_not_lost(world: World) -> None:
    await world.drawn()
    await world.services.delivery.stop()

    await world.services.delivery.run()

    assert world.messenger.calls == []


async def test_deliveries_are_counted_by_way_and_result(world: World) -> None:
    await world.drawn()
    world.messenger.fail("edit_by_token", fault(DeliveryFault.TOKEN_DEAD))

    await world.services.delivery.deliver_due()

    sample = world.metrics.registry.get_sample_value
    assert sample("pastel_deliveries_total", {"way": "token", "result": "token_dead"}) == 1
    assert sample("pastel_deliveries_total", {"way": "id", "result": "ok"}) == 1


async def test_a_request_without_an_answer_is_an_outage(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.services.courier.CALL_TIMEOUT", 0.01)
    job = await world.drawn()
    world.messenger.gate.clear()

    await world.services.delivery.deliver_due()
    world.messenger.gate.set()
    world.clock.advance(2)
    await world.services.delivery.deliver_due()

    assert world.messenger.ways == ["edit_by_token", "edit_by_token"]
    assert await world.status(job) is JobStatus.DELIVERED
