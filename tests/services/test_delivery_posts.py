"""The one post that is left where no message can be edited, and never a second."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from bot.domain.delivery import DeliveryFault
from bot.domain.job import JobStatus
from tests.examples import reply
from tests.fakes import START
from tests.services.harness import ServicesHarness, fault, until

FAR_IN_TIME = 20 * 60.0  # seconds; no token lives that long


async def test_a_post_that_was_cut_off_is_repeated_with_its_nonce_soon_after(harness: ServicesHarness) -> None:
    job = await harness.drawn(reply=reply(message_id=None, token=None))
    harness.messenger.fail("post", fault(DeliveryFault.UNAVAILABLE))
    await harness.services.delivery.deliver_due()
    harness.build()
    harness.clock.advance(5)

    await harness.services.delivery.deliver_due()

    assert harness.messenger.ways == ["find_post", "post", "find_post", "post"]
    assert {call.nonce for call in harness.messenger.calls if call.way == "post"} == {job.id}


async def test_an_old_post_is_looked_up_before_it_is_repeated(harness: ServicesHarness) -> None:
    job = await harness.drawn(reply=reply(message_id=None, token=None))
    harness.messenger.fail("post", fault(DeliveryFault.UNAVAILABLE))
    await harness.services.delivery.deliver_due()
    harness.build()
    harness.clock.advance(150)
    harness.messenger.found = 777

    await harness.services.delivery.deliver_due()

    assert harness.messenger.ways == ["find_post", "post", "find_post", "edit_by_id"]
    delivered = await harness.job(job.id)
    assert (delivered.status, delivered.reply.message_id) == (JobStatus.DELIVERED, 777)


async def test_a_card_whose_edit_had_no_answer_before_its_token_died_is_found_and_edited(harness: ServicesHarness) -> None:
    job = await harness.drawn(reply=reply(message_id=None))
    harness.messenger.fail("edit_by_token", fault(DeliveryFault.UNAVAILABLE))
    await harness.services.delivery.deliver_due()
    harness.clock.advance(FAR_IN_TIME)
    harness.messenger.found = 777

    await harness.services.delivery.deliver_due()

    assert harness.messenger.ways == ["edit_by_token", "find_post", "edit_by_id"]
    assert (await harness.job(job.id)).reply.message_id == 777


async def test_an_old_post_that_is_not_found_is_made_again(harness: ServicesHarness) -> None:
    job = await harness.drawn(reply=reply(message_id=None, token=None))
    harness.messenger.fail("post", fault(DeliveryFault.UNAVAILABLE))
    await harness.services.delivery.deliver_due()
    harness.clock.advance(150)

    await harness.services.delivery.deliver_due()

    assert harness.messenger.ways == ["find_post", "post", "find_post", "post"]
    assert await harness.status(job) is JobStatus.DELIVERED


async def test_a_post_is_looked_up_however_the_clock_was_stepped_meanwhile(harness: ServicesHarness) -> None:
    job = await harness.drawn(reply=reply(message_id=None, token=None))
    harness.messenger.fail("post", fault(DeliveryFault.UNAVAILABLE))
    await harness.services.delivery.deliver_due()
    harness.clock.advance(3600)
    harness.clock.set_back(timedelta(seconds=3590))  # by the wall, the post is 10 s old
    harness.messenger.found = 777

    await harness.services.delivery.deliver_due()

    assert harness.messenger.ways == ["find_post", "post", "find_post", "edit_by_id"]
    assert (await harness.job(job.id)).reply.message_id == 777


async def test_a_post_is_on_record_before_it_is_sent(harness: ServicesHarness) -> None:
    job = await harness.drawn(reply=reply(message_id=None, token=None))
    harness.messenger.slow = lambda call: call.way == "post"
    turn = asyncio.create_task(harness.services.delivery.deliver_due())
    await until(lambda: harness.messenger.ways == ["find_post", "post"])

    (entry,) = await harness.repositories.outbox.due(now=START + timedelta(days=1), limit=1)

    assert entry.post_started_at is not None
    harness.messenger.slow_gate.set()
    await turn
    assert await harness.status(job) is JobStatus.DELIVERED


async def test_a_deleted_card_becomes_exactly_one_post_with_the_jobs_id_as_nonce(harness: ServicesHarness) -> None:
    job = await harness.drawn()
    harness.messenger.fail("edit_by_token", fault(DeliveryFault.MESSAGE_GONE))
    harness.messenger.fail("edit_by_id", fault(DeliveryFault.MESSAGE_GONE))

    await harness.services.delivery.deliver_due()

    assert harness.messenger.ways == ["edit_by_token", "edit_by_id", "post"]
    assert harness.messenger.calls[-1].nonce == job.id
    delivered = await harness.job(job.id)
    assert (delivered.status, delivered.reply.message_id) == (JobStatus.DELIVERED, 900)


async def test_a_card_whose_message_nobody_knows_is_looked_for_and_posted(harness: ServicesHarness) -> None:
    job = await harness.drawn(reply=reply(message_id=None, token=None))

    await harness.services.delivery.deliver_due()

    assert harness.messenger.ways == ["find_post", "post"]
    assert await harness.status(job) is JobStatus.DELIVERED


async def brought_back(harness: ServicesHarness) -> None:
    """As a backup that was put back marks what it holds."""
    await harness.database.transaction(lambda connection: connection.execute("UPDATE outbox SET edits_only = 1").rowcount)


async def test_what_a_backup_brought_back_is_shown_in_its_own_message(harness: ServicesHarness) -> None:
    job = await harness.drawn(reply=reply(token=None))
    await brought_back(harness)

    await harness.services.delivery.deliver_due()

    assert harness.messenger.ways == ["edit_by_id"]
    assert await harness.status(job) is JobStatus.DELIVERED


async def test_what_a_backup_brought_back_is_never_posted(harness: ServicesHarness) -> None:
    unknown = await harness.drawn(1, reply=reply(message_id=None, token=None))
    gone = await harness.drawn(2, reply=reply(token=None))
    cancelled = await harness.add(3, reply=reply(message_id=None, token=None))
    await harness.jobs.cancel(cancelled.id, now=harness.clock.now())
    await brought_back(harness)
    harness.messenger.fail("edit_by_id", fault(DeliveryFault.MESSAGE_GONE))

    await harness.services.delivery.deliver_due()

    assert sorted(harness.messenger.ways) == ["edit_by_id", "find_post", "find_post"]
    assert [await harness.is_open(job) for job in (unknown, gone, cancelled)] == [False, False, False]
    assert await harness.status(unknown) is await harness.status(gone) is JobStatus.UNDELIVERABLE
    assert await harness.status(cancelled) is JobStatus.CANCELLED


async def test_a_card_of_a_backup_whose_message_is_not_known_is_found_and_edited(harness: ServicesHarness) -> None:
    await harness.drawn(reply=reply(message_id=None, token=None))
    await brought_back(harness)
    harness.messenger.found = 777

    await harness.services.delivery.deliver_due()

    assert harness.messenger.ways == ["find_post", "edit_by_id"]
