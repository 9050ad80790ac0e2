"""What becomes of a finished job whose place was closed meanwhile: opened, waited for, and at last a direct message."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.domain.audience import Audience
from bot.domain.delivery import PATIENCE, DeliveryFault
from bot.domain.guild_settings.settings import GuildSettings
from bot.domain.job import Job, JobStatus, Place
from bot.domain.language import Language
from bot.domain.operator_rules import OperatorRules
from bot.domain.safety import Rating, SafetyLevel, Showing
from bot.messages import message
from tests.examples import CHANNEL, CLASSIFIED_PROFILE, GUILD, MEMBER, MESSAGE, new_job, origin, reply
from tests.fakes import DIRECT, FakeClassifier
from tests.services.harness import ServicesHarness, fault
from tests.services.test_delivery import tried

PLACE = f"https://discord.com/channels/{GUILD}/{CHANNEL}/{MESSAGE}"
IN_THREAD = replace(origin(), place=Place(channel_id=CHANNEL, parent_id=31))
OVER = fault(DeliveryFault.TOKEN_DEAD)


async def deliver(harness: ServicesHarness, *, minutes: int = 1) -> None:
    for _ in range(minutes):
        await harness.services.delivery.deliver_due()
        harness.clock.advance(66)


async def ledger(harness: ServicesHarness, job: Job) -> tuple[float, float]:
    """What the job's member has paid, and what is still set aside."""
    sql = "SELECT TOTAL(spent), TOTAL(reserved) FROM ledger WHERE job_id = ?"
    return await harness.database.read(lambda connection: tuple(connection.execute(sql, (job.id,)).fetchone()))


async def test_a_thread_that_was_archived_meanwhile_is_opened_for_the_picture(harness: ServicesHarness) -> None:
    job = await harness.drawn(reply=reply(token=None), origin=IN_THREAD)
    harness.messenger.fail("edit_by_id", fault(DeliveryFault.THREAD_CLOSED))

    await deliver(harness)

    assert harness.messenger.ways == ["edit_by_id", "reopen", "edit_by_id"]
    assert await harness.status(job) is JobStatus.DELIVERED


@pytest.mark.parametrize("kind", [DeliveryFault.THREAD_CLOSED, DeliveryFault.FORBIDDEN, DeliveryFault.CHANNEL_GONE])
async def test_a_thread_that_others_have_to_open_is_waited_for_with_few_questions(
    harness: ServicesHarness, kind: DeliveryFault
) -> None:
    """Of a private thread that it is not in, the bot may be told that there is none."""
    job = await harness.drawn(reply=reply(token=None), origin=IN_THREAD)
    harness.messenger.fail("edit_by_id", *[fault(kind)] * 99)
    harness.messenger.fail("reopen", *[fault(DeliveryFault.FORBIDDEN)] * 99)

    await deliver(harness, minutes=120)

    assert await harness.status(job) is JobStatus.SUCCEEDED
    assert harness.messenger.ways.count("edit_by_id") <= 25, "each refusal counts towards a ban of this address"
    harness.messenger.faults.clear()
    await deliver(harness, minutes=12)
    assert await harness.status(job) is JobStatus.DELIVERED


async def test_all_cards_of_a_closed_place_wait_for_the_same_question(harness: ServicesHarness) -> None:
    for number in range(1, 5):
        await harness.drawn(number, reply=reply(token=None))
    harness.messenger.fail("edit_by_id", *[fault(DeliveryFault.FORBIDDEN)] * 99)

    await harness.services.delivery.deliver_due()
    asked = len(harness.messenger.calls)
    await deliver(harness, minutes=5)

    assert len(harness.messenger.calls) <= asked + 5


@pytest.mark.parametrize("kind", [DeliveryFault.THREAD_CLOSED, DeliveryFault.FORBIDDEN])
async def test_after_a_day_the_pictures_come_by_direct_message_with_a_link(
    harness: ServicesHarness, kind: DeliveryFault
) -> None:
    job = await harness.drawn(reply=reply(token=None))
    await tried(harness, job, PATIENCE - 1)
    harness.messenger.fail("edit_by_id", *[fault(kind)] * 9)
    harness.messenger.fail("reopen", fault(DeliveryFault.FORBIDDEN))

    await deliver(harness)

    assert harness.messenger.ways[-3:] == ["open_direct", "find_post", "post"]
    shown = harness.messenger.shown[-1]
    assert shown.reply.channel_id == DIRECT + MEMBER
    assert [file.data for file in shown.card.files] == [b"PNG of 1000"]
    assert PLACE in str(shown.card.note)
    done = await harness.job(job.id)
    assert (done.status, done.reply.channel_id) == (JobStatus.DELIVERED, DIRECT + MEMBER)


async def test_a_channel_that_was_deleted_is_not_waited_for(harness: ServicesHarness) -> None:
    job = await harness.drawn(reply=reply(token=None))
    harness.messenger.fail("edit_by_id", fault(DeliveryFault.CHANNEL_GONE))

    await deliver(harness)

    assert harness.messenger.ways == ["edit_by_id", "open_direct", "find_post", "post"]
    assert await harness.status(job) is JobStatus.DELIVERED


async def test_a_direct_message_whose_answer_was_lost_is_found_and_not_repeated(harness: ServicesHarness) -> None:
    job = await harness.drawn(reply=reply(token=None))
    harness.messenger.fail("edit_by_id", *[fault(DeliveryFault.CHANNEL_GONE)] * 2)
    harness.messenger.fail("post", fault(DeliveryFault.UNAVAILABLE))
    await deliver(harness)
    harness.build()
    harness.messenger.found = 777

    await deliver(harness)

    assert harness.messenger.ways.count("post") == 1
    assert (await harness.job(job.id)).reply.message_id == 777


async def test_a_member_who_takes_no_direct_messages_gets_the_credits_back(harness: ServicesHarness) -> None:
    job = await harness.drawn(reply=reply(token=None))
    harness.messenger.fail("edit_by_id", fault(DeliveryFault.CHANNEL_GONE))
    harness.messenger.fail("post", fault(DeliveryFault.FORBIDDEN))

    await deliver(harness)

    assert await harness.status(job) is JobStatus.UNDELIVERABLE
    assert await ledger(harness, job) == (0, 0)


async def drawn_for_adults(harness: ServicesHarness) -> Job:
    """In a channel that is age-restricted, where its member was told that it may be explicit."""
    rules = GuildSettings(safety=SafetyLevel.AGE_RESTRICTED)
    await harness.repositories.guild_settings.change(GUILD, lambda _: rules, by=1, now=harness.clock.now())
    where = replace(origin(), place=Place(channel_id=CHANNEL, age_restricted=True))
    new = replace(new_job(), origin=where, reply=reply(token=None), showing=Showing(rating=Rating.EXPLICIT, spoiler=False))
    job = (await harness.jobs.add(new, limits=harness.limits, now=harness.clock.now())).job
    await harness.jobs.set_shown(job.id, message_id=None, now=harness.clock.now())
    return await harness.draw(await harness.job(job.id))


async def test_pictures_that_go_too_far_for_a_direct_message_are_named_there_and_cost_nothing(harness: ServicesHarness) -> None:
    harness.classifier = FakeClassifier(Rating.EXPLICIT)
    harness.build(profile=CLASSIFIED_PROFILE)
    job = await drawn_for_adults(harness)
    harness.messenger.fail("edit_by_id", fault(DeliveryFault.CHANNEL_GONE))

    await deliver(harness)

    assert harness.messenger.ways == ["edit_by_id", "open_direct", "tell"]
    (sentence,) = harness.messenger.sentences
    assert PLACE in sentence
    assert "can't show it in a direct message" in sentence
    assert await harness.status(job) is JobStatus.UNDELIVERABLE
    assert await ledger(harness, job) == (0, 0)


async def test_what_a_host_draws_in_some_servers_only_is_not_shown_by_direct_message(harness: ServicesHarness) -> None:
    harness.host = OperatorRules(audience=Audience(served_servers=frozenset({GUILD})))
    harness.build()
    job = await harness.drawn(reply=reply(token=None))
    harness.messenger.fail("edit_by_id", fault(DeliveryFault.CHANNEL_GONE))

    await deliver(harness)

    assert harness.messenger.ways[-1] == "tell"
    assert await harness.status(job) is JobStatus.UNDELIVERABLE


async def test_a_failure_is_told_by_direct_message_too_and_a_cancelled_job_is_not(harness: ServicesHarness) -> None:
    failed = await harness.add(1, reply=reply(token=None), language=Language.GERMAN)
    cancelled = await harness.add(2, reply=reply(token=None))
    claimed = await harness.claim()
    await harness.jobs.fail(failed.id, claimed.attempt, message("No luck."), now=harness.clock.now())
    await harness.jobs.cancel(cancelled.id, now=harness.clock.now())
    harness.messenger.fail("edit_by_id", *[fault(DeliveryFault.CHANNEL_GONE)] * 2)

    await deliver(harness)

    (sentence,) = harness.messenger.sentences
    assert sentence.endswith("No luck.")
    assert harness.messenger.languages == [Language.GERMAN]
    assert not await harness.is_open(failed)
    assert not await harness.is_open(cancelled)


async def test_a_direct_message_channel_that_is_closed_ends_at_once(harness: ServicesHarness) -> None:
    job = await harness.drawn(reply=reply(token=None), origin=origin(guild_id=None))
    harness.messenger.fail("edit_by_id", fault(DeliveryFault.FORBIDDEN))

    await deliver(harness, minutes=3)

    assert harness.messenger.ways == ["edit_by_id"]
    assert await harness.status(job) is JobStatus.UNDELIVERABLE


async def test_a_token_that_only_the_clock_calls_dead_still_brings_the_picture(harness: ServicesHarness) -> None:
    """A channel that only the token reaches, and a clock that was stepped."""
    job = await harness.drawn()
    harness.clock.set_ahead(harness.clock.now() - harness.clock.now().replace(year=2020))
    harness.messenger.fail("edit_by_id", fault(DeliveryFault.FORBIDDEN))

    await deliver(harness)

    assert harness.messenger.ways == ["edit_by_id", "edit_by_token"]
    assert await harness.status(job) is JobStatus.DELIVERED


async def test_a_dead_token_is_not_asked_for_a_day(harness: ServicesHarness) -> None:
    await harness.drawn()
    harness.clock.advance(3600)
    harness.messenger.fail("edit_by_id", *[fault(DeliveryFault.FORBIDDEN)] * 99)
    harness.messenger.fail("edit_by_token", *[OVER] * 99)

    await deliver(harness, minutes=120)

    assert harness.messenger.ways.count("edit_by_token") <= 16
