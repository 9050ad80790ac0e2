"""Showing final cards: what each refusal of Discord means."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from bot.domain.delivery import PATIENCE, DeliveryFault
from bot.domain.job import Job, JobStatus, Parent, Relation
from bot.services.courier import FILES_LOST, TOO_LARGE
from bot.services.patience import MAX_REFUSALS
from tests.examples import CHANNEL, GUILD, MEMBER, MESSAGE, reply, request
from tests.services.world import World, fault

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
    assert (card.model_title, card.style_titles) == ("Test Model", ("Pastel Anime",))
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


async def test_an_outage_that_names_its_length_is_taken_at_its_word(world: World) -> None:
    job = await world.drawn(reply=reply(token=None))
    world.messenger.fail("edit_by_id", fault(DeliveryFault.UNAVAILABLE, retry_after=60))
    await world.services.delivery.deliver_due()

    world.clock.advance(59)
    assert await world.services.delivery.deliver_due() == 0
    world.clock.advance(1)
    await world.services.delivery.deliver_due()

    assert await world.status(job) is JobStatus.DELIVERED


async def tried(world: World, job: Job, attempts: int) -> None:
    """Let delivery have tried the card so often before."""
    sql = "UPDATE outbox SET attempts = ? WHERE job_id = ?"
    await world.database.transaction(lambda connection: connection.execute(sql, (attempts, job.id)).rowcount)


async def test_an_outage_longer_than_the_patience_ends_as_undeliverable(world: World) -> None:
    job = await world.drawn(reply=reply(token=None))
    world.messenger.fail("edit_by_id", *[fault(DeliveryFault.UNAVAILABLE)] * 2)
    await tried(world, job, PATIENCE - 2)

    await world.services.delivery.deliver_due()
    assert await world.status(job) is JobStatus.SUCCEEDED
    world.clock.advance(70)
    await world.services.delivery.deliver_due()

    assert await world.status(job) is JobStatus.UNDELIVERABLE


@pytest.mark.parametrize("years", [1, -1], ids=["ahead", "back"])
async def test_a_clock_that_is_stepped_ends_no_patience_and_holds_up_no_card(world: World, years: int) -> None:
    job = await world.drawn(reply=reply(token=None))
    world.messenger.fail("edit_by_id", *[fault(DeliveryFault.UNAVAILABLE)] * 20)
    for _ in range(19):
        assert await world.services.delivery.deliver_due() == 1
        world.clock.advance(70)

    world.clock.set_ahead(timedelta(days=365 * years))
    await world.services.delivery.deliver_due()
    assert await world.status(job) is JobStatus.SUCCEEDED
    world.clock.advance(70)
    await world.services.delivery.deliver_due()

    assert await world.status(job) is JobStatus.DELIVERED


async def test_a_clock_that_is_set_back_during_a_long_rate_limit_makes_it_no_longer(world: World) -> None:
    job = await world.drawn(reply=reply(token=None))
    world.messenger.fail("edit_by_id", fault(DeliveryFault.RATE_LIMITED, retry_after=1800))
    await world.services.delivery.deliver_due()
    for _ in range(25):
        world.clock.advance(60)
        await world.services.delivery.deliver_due()
    assert len(world.messenger.calls) == 1

    world.clock.set_back(timedelta(minutes=20))
    for _ in range(6):
        world.clock.advance(60)
        await world.services.delivery.deliver_due()

    assert await world.status(job) is JobStatus.DELIVERED


async def test_a_card_that_waited_while_the_bot_was_off_is_not_given_up_at_the_first_fault(world: World) -> None:
    job = await world.drawn(reply=reply(token=None))
    world.clock.advance(48 * 3600.0)
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
