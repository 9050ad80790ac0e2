"""The one post that is left where no message can be edited, and never a second."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from bot.domain.delivery import DeliveryFault
from bot.domain.job import JobStatus
from tests.examples import reply
from tests.fakes import START
from tests.services.world import World, fault, until

FAR_IN_TIME = 20 * 60.0  # seconds; no token lives that long


async def test_a_post_that_was_cut_off_is_repeated_with_its_nonce_soon_after(world: World) -> None:
    job = await world.drawn(reply=reply(message_id=None, token=None))
    world.messenger.fail("post", fault(DeliveryFault.UNAVAILABLE))
    await world.services.delivery.deliver_due()
    world.build()
    world.clock.advance(5)

    await world.services.delivery.deliver_due()

    assert world.messenger.ways == ["find_post", "post", "find_post", "post"]
    assert {call.nonce for call in world.messenger.calls if call.way == "post"} == {job.id}


async def test_an_old_post_is_looked_up_before_it_is_repeated(world: World) -> None:
    job = await world.drawn(reply=reply(message_id=None, token=None))
    world.messenger.fail("post", fault(DeliveryFault.UNAVAILABLE))
    await world.services.delivery.deliver_due()
    world.build()
    world.clock.advance(150)
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
    world.clock.advance(150)

    await world.services.delivery.deliver_due()

    assert world.messenger.ways == ["find_post", "post", "find_post", "post"]
    assert await world.status(job) is JobStatus.DELIVERED


async def test_a_post_is_looked_up_however_the_clock_was_stepped_meanwhile(world: World) -> None:
    job = await world.drawn(reply=reply(message_id=None, token=None))
    world.messenger.fail("post", fault(DeliveryFault.UNAVAILABLE))
    await world.services.delivery.deliver_due()
    world.clock.advance(3600)
    world.clock.set_back(timedelta(seconds=3590))  # by the wall, the post is 10 s old
    world.messenger.found = 777

    await world.services.delivery.deliver_due()

    assert world.messenger.ways == ["find_post", "post", "find_post", "edit_by_id"]
    assert (await world.job(job.id)).reply.message_id == 777


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


async def brought_back(world: World) -> None:
    """As a backup that was put back marks what it holds."""
    await world.database.transaction(lambda connection: connection.execute("UPDATE outbox SET edits_only = 1").rowcount)


async def test_what_a_backup_brought_back_is_shown_in_its_own_message(world: World) -> None:
    job = await world.drawn(reply=reply(token=None))
    await brought_back(world)

    await world.services.delivery.deliver_due()

    assert world.messenger.ways == ["edit_by_id"]
    assert await world.status(job) is JobStatus.DELIVERED


async def test_what_a_backup_brought_back_is_never_posted(world: World) -> None:
    unknown = await world.drawn(1, reply=reply(message_id=None, token=None))
    gone = await world.drawn(2, reply=reply(token=None))
    cancelled = await world.add(3, reply=reply(message_id=None, token=None))
    await world.jobs.cancel(cancelled.id, now=world.clock.now())
    await brought_back(world)
    world.messenger.fail("edit_by_id", fault(DeliveryFault.MESSAGE_GONE))

    await world.services.delivery.deliver_due()

    assert sorted(world.messenger.ways) == ["edit_by_id", "find_post", "find_post"]
    assert [await world.is_open(job) for job in (unknown, gone, cancelled)] == [False, False, False]
    assert await world.status(unknown) is await world.status(gone) is JobStatus.UNDELIVERABLE
    assert await world.status(cancelled) is JobStatus.CANCELLED


async def test_a_card_of_a_backup_whose_message_is_not_known_is_found_and_edited(world: World) -> None:
    await world.drawn(reply=reply(message_id=None, token=None))
    await brought_back(world)
    world.messenger.found = 777

    await world.services.delivery.deliver_due()

    assert world.messenger.ways == ["find_post", "edit_by_id"]
