"""What becomes of a finished job whose place was closed meanwhile: opened, waited for, and at last a direct message."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.domain.audience import Audience
from bot.domain.delivery import PATIENCE, DeliveryFault
from bot.domain.host_rules import HostRules
from bot.domain.house_rules import GuildSettings
from bot.domain.job import Job, JobStatus, Place
from bot.domain.safety import Rating, SafetyLevel, Showing
from bot.storage.house_rules import SqliteHouseRules
from tests.examples import CHANNEL, CLASSIFIED_PROFILE, GUILD, MEMBER, MESSAGE, new_job, origin, reply
from tests.fakes import DIRECT, FakeClassifier
from tests.services.test_delivery import tried
from tests.services.world import World, fault

PLACE = f"https://discord.com/channels/{GUILD}/{CHANNEL}/{MESSAGE}"
IN_THREAD = replace(origin(), place=Place(channel_id=CHANNEL, parent_id=31))
OVER = fault(DeliveryFault.TOKEN_DEAD)


async def deliver(world: World, *, minutes: int = 1) -> None:
    for _ in range(minutes):
        await world.services.delivery.deliver_due()
        world.clock.advance(66)


async def ledger(world: World, job: Job) -> tuple[float, float]:
    """What the job's member has paid, and what is still set aside."""
    sql = "SELECT TOTAL(spent), TOTAL(reserved) FROM ledger WHERE job_id = ?"
    return await world.database.read(lambda connection: tuple(connection.execute(sql, (job.id,)).fetchone()))


async def test_a_thread_that_was_archived_meanwhile_is_opened_for_the_picture(world: World) -> None:
    job = await world.drawn(reply=reply(token=None), origin=IN_THREAD)
    world.messenger.fail("edit_by_id", fault(DeliveryFault.THREAD_CLOSED))

    await deliver(world)

    assert world.messenger.ways == ["edit_by_id", "reopen", "edit_by_id"]
    assert await world.status(job) is JobStatus.DELIVERED


@pytest.mark.parametrize("kind", [DeliveryFault.THREAD_CLOSED, DeliveryFault.FORBIDDEN, DeliveryFault.CHANNEL_GONE])
async def test_a_thread_that_others_have_to_open_is_waited_for_with_few_questions(world: World, kind: DeliveryFault) -> None:
    """Of a private thread that it is not in, the bot may be told that there is none."""
    job = await world.drawn(reply=reply(token=None), origin=IN_THREAD)
    world.messenger.fail("edit_by_id", *[fault(kind)] * 99)
    world.messenger.fail("reopen", *[fault(DeliveryFault.FORBIDDEN)] * 99)

    await deliver(world, minutes=120)

    assert await world.status(job) is JobStatus.SUCCEEDED
    assert world.messenger.ways.count("edit_by_id") <= 25, "each refusal counts towards a ban of this address"
    world.messenger.faults.clear()
    await deliver(world, minutes=12)
    assert await world.status(job) is JobStatus.DELIVERED


async def test_all_cards_of_a_closed_place_wait_for_the_same_question(world: World) -> None:
    for number in range(1, 5):
        await world.drawn(number, reply=reply(token=None))
    world.messenger.fail("edit_by_id", *[fault(DeliveryFault.FORBIDDEN)] * 99)

    await world.services.delivery.deliver_due()
    asked = len(world.messenger.calls)
    await deliver(world, minutes=5)

    assert len(world.messenger.calls) <= asked + 5


@pytest.mark.parametrize("kind", [DeliveryFault.THREAD_CLOSED, DeliveryFault.FORBIDDEN])
async def test_after_a_day_the_pictures_come_by_direct_message_with_a_link(world: World, kind: DeliveryFault) -> None:
    job = await world.drawn(reply=reply(token=None))
    await tried(world, job, PATIENCE - 1)
    world.messenger.fail("edit_by_id", *[fault(kind)] * 9)
    world.messenger.fail("reopen", fault(DeliveryFault.FORBIDDEN))

    await deliver(world)

    assert world.messenger.ways[-3:] == ["open_direct", "find_post", "post"]
    shown = world.messenger.shown[-1]
    assert shown.reply.channel_id == DIRECT + MEMBER
    assert [file.data for file in shown.card.files] == [b"PNG of 1000"]
    assert PLACE in shown.card.note
    done = await world.job(job.id)
    assert (done.status, done.reply.channel_id) == (JobStatus.DELIVERED, DIRECT + MEMBER)


async def test_a_channel_that_was_deleted_is_not_waited_for(world: World) -> None:
    job = await world.drawn(reply=reply(token=None))
    world.messenger.fail("edit_by_id", fault(DeliveryFault.CHANNEL_GONE))

    await deliver(world)

    assert world.messenger.ways == ["edit_by_id", "open_direct", "find_post", "post"]
    assert await world.status(job) is JobStatus.DELIVERED


async def test_a_direct_message_whose_answer_was_lost_is_found_and_not_repeated(world: World) -> None:
    job = await world.drawn(reply=reply(token=None))
    world.messenger.fail("edit_by_id", *[fault(DeliveryFault.CHANNEL_GONE)] * 2)
    world.messenger.fail("post", fault(DeliveryFault.UNAVAILABLE))
    await deliver(world)
    world.build()
    world.messenger.found = 777

    await deliver(world)

    assert world.messenger.ways.count("post") == 1
    assert (await world.job(job.id)).reply.message_id == 777


async def test_a_member_who_takes_no_direct_messages_gets_the_credits_back(world: World) -> None:
    job = await world.drawn(reply=reply(token=None))
    world.messenger.fail("edit_by_id", fault(DeliveryFault.CHANNEL_GONE))
    world.messenger.fail("post", fault(DeliveryFault.FORBIDDEN))

    await deliver(world)

    assert await world.status(job) is JobStatus.UNDELIVERABLE
    assert await ledger(world, job) == (0, 0)


async def drawn_for_adults(world: World) -> Job:
    """In a channel that is age-restricted, where its member was told that it may be explicit."""
    rules = GuildSettings(safety=SafetyLevel.AGE_RESTRICTED)
    await SqliteHouseRules(world.database).change(GUILD, lambda _: rules, by=1, now=world.clock.now())
    where = replace(origin(), place=Place(channel_id=CHANNEL, age_restricted=True))
    new = replace(new_job(), origin=where, reply=reply(token=None), showing=Showing(rating=Rating.EXPLICIT, spoiler=False))
    job = (await world.jobs.add(new, limits=world.limits, now=world.clock.now())).job
    await world.jobs.set_shown(job.id, message_id=None, now=world.clock.now())
    return await world.draw(await world.job(job.id))


async def test_pictures_that_go_too_far_for_a_direct_message_are_named_there_and_cost_nothing(world: World) -> None:
    world.classifier = FakeClassifier(Rating.EXPLICIT)
    world.build(profile=CLASSIFIED_PROFILE)
    job = await drawn_for_adults(world)
    world.messenger.fail("edit_by_id", fault(DeliveryFault.CHANNEL_GONE))

    await deliver(world)

    assert world.messenger.ways == ["edit_by_id", "open_direct", "tell"]
    (sentence,) = world.messenger.sentences
    assert PLACE in sentence
    assert "may not be shown in a direct message" in sentence
    assert await world.status(job) is JobStatus.UNDELIVERABLE
    assert await ledger(world, job) == (0, 0)


async def test_what_a_host_draws_in_some_servers_only_is_not_shown_by_direct_message(world: World) -> None:
    world.host = HostRules(audience=Audience(served_servers=frozenset({GUILD})))
    world.build()
    job = await world.drawn(reply=reply(token=None))
    world.messenger.fail("edit_by_id", fault(DeliveryFault.CHANNEL_GONE))

    await deliver(world)

    assert world.messenger.ways[-1] == "tell"
    assert await world.status(job) is JobStatus.UNDELIVERABLE


async def test_a_failure_is_told_by_direct_message_too_and_a_cancelled_job_is_not(world: World) -> None:
    failed, cancelled = await world.add(1, reply=reply(token=None)), await world.add(2, reply=reply(token=None))
    claimed = await world.claim()
    await world.jobs.fail(failed.id, claimed.attempt, "No luck.", now=world.clock.now())
    await world.jobs.cancel(cancelled.id, now=world.clock.now())
    world.messenger.fail("edit_by_id", *[fault(DeliveryFault.CHANNEL_GONE)] * 2)

    await deliver(world)

    (sentence,) = world.messenger.sentences
    assert sentence.endswith("No luck.")
    assert not await world.is_open(failed)
    assert not await world.is_open(cancelled)


async def test_a_direct_message_channel_that_is_closed_ends_at_once(world: World) -> None:
    job = await world.drawn(reply=reply(token=None), origin=origin(guild_id=None))
    world.messenger.fail("edit_by_id", fault(DeliveryFault.FORBIDDEN))

    await deliver(world, minutes=3)

    assert world.messenger.ways == ["edit_by_id"]
    assert await world.status(job) is JobStatus.UNDELIVERABLE


async def test_a_token_that_only_the_clock_calls_dead_still_brings_the_picture(world: World) -> None:
    """A channel that only the token reaches, and a clock that was stepped."""
    job = await world.drawn()
    world.clock.set_ahead(world.clock.now() - world.clock.now().replace(year=2020))
    world.messenger.fail("edit_by_id", fault(DeliveryFault.FORBIDDEN))

    await deliver(world)

    assert world.messenger.ways == ["edit_by_id", "edit_by_token"]
    assert await world.status(job) is JobStatus.DELIVERED


async def test_a_dead_token_is_not_asked_for_a_day(world: World) -> None:
    await world.drawn()
    world.clock.advance(3600)
    world.messenger.fail("edit_by_id", *[fault(DeliveryFault.FORBIDDEN)] * 99)
    world.messenger.fail("edit_by_token", *[OVER] * 99)

    await deliver(world, minutes=120)

    assert world.messenger.ways.count("edit_by_token") <= 16
