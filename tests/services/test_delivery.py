"""Showing final cards: what each refusal of Discord means."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from bot.domain.delivery import PATIENCE, DeliveryFault
from bot.domain.job import Job, JobStatus, Parent, Relation
from bot.messages import message
from bot.services.card_sender import FILES_LOST, TOO_LARGE
from bot.services.patience import MAX_REFUSALS
from tests.examples import CHANNEL, GUILD, MEMBER, MESSAGE, reply, request
from tests.services.harness import ServicesHarness, fault

FAR_IN_TIME = 20 * 60.0  # seconds; no token lives that long


async def test_a_result_is_shown_by_token_while_it_lives(harness: ServicesHarness) -> None:
    job = await harness.drawn()

    assert await harness.services.delivery.deliver_due() == 1

    assert harness.messenger.ways == ["edit_by_token"]
    assert await harness.status(job) is JobStatus.DELIVERED
    assert not await harness.is_open(job)
    assert await harness.services.delivery.deliver_due() == 0


async def test_a_result_is_shown_by_id_after_the_token_died(harness: ServicesHarness) -> None:
    job = await harness.drawn()
    harness.clock.advance(FAR_IN_TIME)

    await harness.services.delivery.deliver_due()

    assert harness.messenger.ways == ["edit_by_id"]
    assert await harness.status(job) is JobStatus.DELIVERED


async def test_a_dead_token_leads_to_the_edit_by_id_at_once(harness: ServicesHarness) -> None:
    job = await harness.drawn()
    harness.messenger.fail("edit_by_token", fault(DeliveryFault.TOKEN_DEAD))

    await harness.services.delivery.deliver_due()

    assert harness.messenger.ways == ["edit_by_token", "edit_by_id"]
    assert await harness.status(job) is JobStatus.DELIVERED


async def test_the_card_shows_pictures_titles_and_the_link_to_its_parent(harness: ServicesHarness) -> None:
    parent = await harness.delivered(1)
    job = await harness.drawn(
        2, parent=Parent(job_id=parent.id, relation=Relation.REROLL), request=request(num_images=2, style="pastel")
    )

    await harness.services.delivery.deliver_due()

    card = harness.cards()[-1]
    assert (card.model_title, card.style_titles) == ("Test Model", ("Pastel Anime",))
    assert [file.name for file in card.files] == [f"pastel-{job.id}-1.png", f"pastel-{job.id}-2.png"]
    assert [file.data for file in card.files] == [b"PNG of 1000", b"PNG of 1001"]
    assert str(card.files[1].description) == "Picture 2 of 2: green hair, beanie, night"
    assert [image.seed for image in card.images] == [1000, 1001]
    assert card.parent is not None
    assert (card.parent.user_id, card.parent.guild_id) == (MEMBER, GUILD)
    assert (card.parent.channel_id, card.parent.message_id) == (CHANNEL, MESSAGE)


async def test_a_failure_and_a_cancellation_are_shown_the_same_way(harness: ServicesHarness) -> None:
    failed, cancelled = await harness.add(1), await harness.add(2)
    claimed = await harness.claim()
    await harness.jobs.fail(failed.id, claimed.attempt, message("No luck."), now=harness.clock.now())
    await harness.jobs.cancel(cancelled.id, now=harness.clock.now())

    assert await harness.services.delivery.deliver_due() == 2

    shown = {card.job.id: card for card in harness.cards()}
    assert shown[failed.id].job.failure == message("No luck.")
    assert shown[cancelled.id].job.status is JobStatus.CANCELLED
    assert await harness.status(failed) is JobStatus.FAILED
    assert not await harness.is_open(failed)
    assert not await harness.is_open(cancelled)


async def test_an_outage_is_waited_out_with_growing_pauses(harness: ServicesHarness) -> None:
    job = await harness.drawn(reply=reply(token=None))
    harness.messenger.fail("edit_by_id", *[fault(DeliveryFault.UNAVAILABLE) for _ in range(3)])

    tried = []
    for _ in range(12):
        tried.append(await harness.services.delivery.deliver_due())
        harness.clock.advance(1.2)

    assert await harness.status(job) is JobStatus.DELIVERED
    pauses = "".join(map(str, tried)).strip("0").split("1")[1:-1]
    assert [len(pause) for pause in pauses] == sorted(len(pause) for pause in pauses)
    assert sum(tried) == 4


async def test_an_outage_that_names_its_length_is_taken_at_its_word(harness: ServicesHarness) -> None:
    job = await harness.drawn(reply=reply(token=None))
    harness.messenger.fail("edit_by_id", fault(DeliveryFault.UNAVAILABLE, retry_after=60))
    await harness.services.delivery.deliver_due()

    harness.clock.advance(59)
    assert await harness.services.delivery.deliver_due() == 0
    harness.clock.advance(1)
    await harness.services.delivery.deliver_due()

    assert await harness.status(job) is JobStatus.DELIVERED


async def tried(harness: ServicesHarness, job: Job, attempts: int) -> None:
    """Let delivery have tried the card so often before."""
    sql = "UPDATE outbox SET attempts = ? WHERE job_id = ?"
    await harness.database.transaction(lambda connection: connection.execute(sql, (attempts, job.id)).rowcount)


async def test_an_outage_longer_than_the_patience_ends_as_undeliverable(harness: ServicesHarness) -> None:
    job = await harness.drawn(reply=reply(token=None))
    harness.messenger.fail("edit_by_id", *[fault(DeliveryFault.UNAVAILABLE)] * 2)
    await tried(harness, job, PATIENCE - 2)

    await harness.services.delivery.deliver_due()
    assert await harness.status(job) is JobStatus.SUCCEEDED
    harness.clock.advance(70)
    await harness.services.delivery.deliver_due()

    assert await harness.status(job) is JobStatus.UNDELIVERABLE


@pytest.mark.parametrize("years", [1, -1], ids=["ahead", "back"])
async def test_a_clock_that_is_stepped_ends_no_patience_and_holds_up_no_card(harness: ServicesHarness, years: int) -> None:
    job = await harness.drawn(reply=reply(token=None))
    harness.messenger.fail("edit_by_id", *[fault(DeliveryFault.UNAVAILABLE)] * 20)
    for _ in range(19):
        assert await harness.services.delivery.deliver_due() == 1
        harness.clock.advance(70)

    harness.clock.set_ahead(timedelta(days=365 * years))
    await harness.services.delivery.deliver_due()
    assert await harness.status(job) is JobStatus.SUCCEEDED
    harness.clock.advance(70)
    await harness.services.delivery.deliver_due()

    assert await harness.status(job) is JobStatus.DELIVERED


async def test_a_clock_that_is_set_back_during_a_long_rate_limit_makes_it_no_longer(harness: ServicesHarness) -> None:
    job = await harness.drawn(reply=reply(token=None))
    harness.messenger.fail("edit_by_id", fault(DeliveryFault.RATE_LIMITED, retry_after=1800))
    await harness.services.delivery.deliver_due()
    for _ in range(25):
        harness.clock.advance(60)
        await harness.services.delivery.deliver_due()
    assert len(harness.messenger.calls) == 1

    harness.clock.set_back(timedelta(minutes=20))
    for _ in range(6):
        harness.clock.advance(60)
        await harness.services.delivery.deliver_due()

    assert await harness.status(job) is JobStatus.DELIVERED


async def test_a_card_that_waited_while_the_bot_was_off_is_not_given_up_at_the_first_fault(harness: ServicesHarness) -> None:
    job = await harness.drawn(reply=reply(token=None))
    harness.clock.advance(48 * 3600.0)
    harness.messenger.fail("edit_by_id", fault(DeliveryFault.UNAVAILABLE))

    await harness.services.delivery.deliver_due()
    harness.clock.advance(2)
    await harness.services.delivery.deliver_due()

    assert await harness.status(job) is JobStatus.DELIVERED


async def test_a_rate_limit_is_obeyed_for_the_whole_channel_and_for_no_other(harness: ServicesHarness) -> None:
    first = await harness.drawn(1, reply=reply(token=None))
    harness.messenger.fail("edit_by_id", fault(DeliveryFault.RATE_LIMITED, retry_after=30))
    await harness.services.delivery.deliver_due()
    same = await harness.drawn(2, reply=reply(token=None))
    other = await harness.drawn(3, reply=reply(token=None, channel_id=CHANNEL + 1))

    await harness.services.delivery.deliver_due()
    harness.clock.advance(25)
    await harness.services.delivery.deliver_due()

    assert [await harness.status(job) for job in (first, same)] == [JobStatus.SUCCEEDED] * 2
    assert await harness.status(other) is JobStatus.DELIVERED
    assert len(harness.messenger.calls) == 2
    harness.clock.advance(6)
    await harness.services.delivery.deliver_due()
    assert [await harness.status(job) for job in (first, same)] == [JobStatus.DELIVERED] * 2


async def test_a_ban_of_everything_leaves_one_probe_a_minute(harness: ServicesHarness) -> None:
    harness.messenger.fail("edit_by_id", *[fault(DeliveryFault.RATE_LIMITED) for _ in range(2)])
    jobs = [await harness.drawn(1, reply=reply(token=None))]
    await harness.services.delivery.deliver_due()
    jobs += [await harness.drawn(n, reply=reply(token=None, channel_id=CHANNEL + n)) for n in range(2, 6)]

    harness.clock.advance(50)
    assert await harness.services.delivery.deliver_due() == 0
    harness.clock.advance(11)
    assert await harness.services.delivery.deliver_due() == 1
    assert len(harness.messenger.calls) == 2
    harness.clock.advance(61)
    assert await harness.services.delivery.deliver_due() == 1
    while await harness.services.delivery.deliver_due():
        pass

    assert {await harness.status(job) for job in jobs} == {JobStatus.DELIVERED}


async def test_what_discord_refuses_as_our_mistake_is_tried_a_few_times_and_logged(
    harness: ServicesHarness, caplog: pytest.LogCaptureFixture
) -> None:
    job = await harness.drawn(reply=reply(token=None))
    harness.messenger.fail("edit_by_id", *[fault(DeliveryFault.REFUSED) for _ in range(9)])

    for _ in range(9):
        await harness.services.delivery.deliver_due()
        harness.clock.advance(70)

    assert len(harness.messenger.calls) == MAX_REFUSALS
    assert await harness.status(job) is JobStatus.UNDELIVERABLE
    assert [record.levelno for record in caplog.records if job.id in record.message] == [logging.ERROR]


async def test_pictures_that_are_too_large_shrink_to_half_and_a_quarter_and_then_the_card_says_so(
    harness: ServicesHarness,
) -> None:
    job = await harness.drawn(reply=reply(token=None, upload_limit=8))
    too_large = [fault(DeliveryFault.TOO_LARGE) for _ in range(3)]
    harness.messenger.fail("edit_by_id", *too_large)

    await harness.services.delivery.deliver_due()

    cards = [call.card for call in harness.messenger.calls if call.card is not None]
    assert [[len(file.data) for file in card.files] for card in cards] == [[8], [4], [2], []]
    assert [card.note for card in cards] == [None, None, None, TOO_LARGE]
    assert await harness.status(job) is JobStatus.DELIVERED


async def test_four_pictures_fit_together_into_one_request(harness: ServicesHarness) -> None:
    job = await harness.drawn(request=request(num_images=4))
    for key in harness.store.files:
        harness.store.files[key] = bytes(9 * 2**20)

    await harness.services.delivery.deliver_due()

    assert sum(len(file.data) for file in harness.cards()[-1].files) < 25 * 2**20
    assert await harness.status(job) is JobStatus.DELIVERED


async def test_lost_picture_files_are_said_and_not_charged(harness: ServicesHarness) -> None:
    job = await harness.drawn()
    harness.store.files.clear()

    await harness.services.delivery.deliver_due()

    assert harness.cards()[-1].note == FILES_LOST
    assert await harness.status(job) is JobStatus.UNDELIVERABLE
