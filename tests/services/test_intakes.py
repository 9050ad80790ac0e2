"""A request with a file is on disk before its answer, and comes to an end whatever happens; what is refused leaves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from bot.domain.delivery import REFUSED_HERE, DeliveryFault, SeenAnswer
from bot.domain.intake import MAX_INTAKES
from bot.domain.job import Actor, JobStatus
from bot.domain.moderation import Block
from bot.domain.quota import Limits
from bot.domain.request import Draft
from bot.errors import InvalidRequestError, NotAllowedError, QuotaError
from bot.services.generation import Start
from bot.services.intakes import LOST
from bot.storage.moderation import SqliteModeration
from tests.examples import GUILD, MEMBER, origin, reply
from tests.services.test_reception import FakeAnswer, failing, stored
from tests.services.world import World, fault, until

URL = "https://cdn.example/start.png"
NOWHERE = reply(message_id=None)


@pytest.fixture
def world(world: World) -> World:
    world.attachments.files[URL] = b"sketch"
    return world


async def take_in(world: World, answer: FakeAnswer, number: int = 1, *, url: str = URL, strength: float = 0.5) -> None:
    who = origin(number)
    propose = partial(world.services.generation.propose, Draft(prompt="a hat"), who)
    start = Start(url=url, strength=strength)
    await world.services.generation.take_in_with_picture(propose, start, who, NOWHERE, answer)


async def open_intakes(world: World) -> int:
    return await world.database.read(lambda c: c.execute("SELECT COUNT(*) FROM intakes").fetchone()[0])


async def cut_off(world: World, answer: FakeAnswer, number: int = 1) -> None:
    """Kill the process while the file is read: what is on disk then is all that is left."""
    world.attachments.gate.clear()
    taking = asyncio.create_task(take_in(world, answer, number))
    await until(lambda: bool(world.attachments.fetched))
    for task in asyncio.all_tasks():
        if task.get_name().startswith("intake-"):
            task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await taking
    world.attachments.gate.set()
    world.attachments.fetched.clear()
    world.build()


async def test_the_intake_is_on_disk_before_the_answer_and_gone_with_the_job(world: World):
    answer, seen = FakeAnswer(), []
    think = answer.think

    async def looking() -> int | None:
        seen.append((await open_intakes(world), len(world.store.files), world.attachments.fetched.copy()))
        return await think()

    answer.think = looking  # type: ignore[method-assign]
    await take_in(world, answer)

    job = await stored(world)
    assert seen == [(1, 0, [])]
    assert answer.said == ["thinking"]
    assert await open_intakes(world) == 0
    assert job.reply.message_id == 42
    assert world.store.files[job.request.init_image.key] == b"sketch as 64x64"


@pytest.mark.parametrize("limits", [Limits(daily_credits=0), Limits(waiting_jobs=0)])
async def test_credits_and_places_are_asked_for_before_a_byte_is_fetched(world: World, limits: Limits):
    world.limits = limits
    answer = FakeAnswer()

    with pytest.raises(QuotaError):
        await take_in(world, answer)

    assert (answer.said, world.attachments.fetched, world.store.files, await open_intakes(world)) == ([], [], {}, 0)


async def test_a_blocked_member_is_refused_before_a_byte_is_fetched(world: World):
    await SqliteModeration(world.database).block(
        Block(guild_id=GUILD, user_id=MEMBER, reason="", blocked_by=9, blocked_at=world.clock.now())
    )

    with pytest.raises(NotAllowedError):
        await take_in(world, FakeAnswer())

    assert (world.attachments.fetched, world.store.files) == ([], {})


async def test_what_is_refused_only_when_it_is_stored_leaves_no_file(world: World):
    """Somebody spends the last credit while the file is fetched."""
    world.limits = Limits(daily_credits=1)
    world.attachments.gate.clear()
    answer = FakeAnswer()
    taking = asyncio.create_task(take_in(world, answer))
    await until(lambda: bool(world.attachments.fetched))
    await world.add(2)
    world.attachments.gate.set()
    await taking

    assert answer.said[0] == "thinking"
    assert "credit" in answer.said[1]
    assert (await stored(world), world.store.files, await open_intakes(world)) == (None, {}, 0)


async def test_a_file_that_is_stored_and_refused_goes_again(world: World):
    proposal = await world.services.generation.propose(Draft(prompt="a hat"), origin())
    proposal = await world.services.generation.with_upload(proposal, b"sketch", 0.5)
    check, limits = world.jobs.check, world.limits

    async def spend_meanwhile(*args: object, **kwargs: object) -> None:
        await check(*args, **kwargs)  # type: ignore[arg-type]
        await world.add(2)

    world.limits = replace(limits, daily_credits=1)
    world.jobs.check = spend_meanwhile  # type: ignore[method-assign]
    with pytest.raises(QuotaError):
        await world.services.generation.submit(proposal, origin(), reply())

    assert world.store.files == {}


@pytest.mark.parametrize("data", [b"broken", None])
async def test_a_file_that_cannot_be_had_or_read_is_said_in_the_answer(world: World, data: bytes | None):
    world.attachments.files = {} if data is None else {URL: data}
    answer = FakeAnswer()

    await take_in(world, answer)

    assert len(answer.said) == 2
    assert await open_intakes(world) == 0


async def test_three_may_be_open_a_member_and_no_more(world: World):
    world.attachments.gate.clear()
    taking = [asyncio.create_task(take_in(world, FakeAnswer(), number)) for number in range(1, MAX_INTAKES + 1)]
    async with asyncio.timeout(10):
        while await open_intakes(world) < MAX_INTAKES:  # noqa: ASYNC110 - the database is asked
            await asyncio.sleep(0.001)

    with pytest.raises(QuotaError, match="still reading"):
        await take_in(world, FakeAnswer(), 9)

    world.attachments.gate.set()
    await asyncio.gather(*taking)
    await take_in(world, FakeAnswer(), 10)


async def test_a_replayed_event_is_one_job(world: World):
    await take_in(world, FakeAnswer())
    again = FakeAnswer()

    await take_in(world, again)

    assert again.said == []
    assert (await world.jobs.waiting(MEMBER, limit=9)).total == 1


async def test_a_start_goes_on_where_a_kill_cut_off(world: World):
    await cut_off(world, FakeAnswer())
    assert await open_intakes(world) == 1

    assert await world.services.intakes.look()

    job = await stored(world)
    assert (job.status, job.reply.message_id) == (JobStatus.QUEUED, 500)
    assert await open_intakes(world) == 0


async def test_a_start_says_that_a_file_was_lost_and_costs_nothing(world: World):
    await cut_off(world, FakeAnswer())
    world.attachments.files.clear()

    assert await world.services.intakes.look()

    assert world.messenger.sentences == [LOST]
    assert (await stored(world), await open_intakes(world)) == (None, 0)


async def test_a_start_forgets_what_nobody_was_shown(world: World):
    await cut_off(world, FakeAnswer())
    world.messenger.fail("first_answer", fault(DeliveryFault.TOKEN_DEAD))
    world.clock.advance(10)

    assert await world.services.intakes.look()

    assert (await stored(world), await open_intakes(world), world.messenger.sentences) == (None, 0, [])


async def test_a_start_does_not_take_a_private_sentence_for_the_answer(world: World):
    await cut_off(world, FakeAnswer())
    world.messenger.seen = SeenAnswer(message_id=3, is_private=True)

    assert await world.services.intakes.look()

    assert (await stored(world), await open_intakes(world)) == (None, 0)


async def test_an_outage_decides_nothing(world: World):
    await cut_off(world, FakeAnswer())
    world.messenger.fail("first_answer", fault(DeliveryFault.UNAVAILABLE))

    assert not await world.services.intakes.look()
    assert await open_intakes(world) == 1

    assert await world.services.intakes.look()
    assert await stored(world) is not None


@pytest.mark.parametrize("kind", sorted(REFUSED_HERE))
async def test_an_answer_that_is_refused_for_good_ends_the_intake(world: World, kind: DeliveryFault):
    await take_in(world, failing(fault(kind)))

    assert (await open_intakes(world), world.attachments.fetched) == (0, [])


async def test_an_answer_that_got_lost_is_found_out(world: World):
    await take_in(world, failing(fault(DeliveryFault.UNAVAILABLE)))
    assert (await stored(world), await open_intakes(world)) == (None, 1)

    assert await world.services.intakes.look()

    assert (await stored(world)).reply.message_id == 500


async def test_a_clock_that_is_set_ahead_drops_no_file_that_was_sent(world: World):
    await take_in(world, failing(fault(DeliveryFault.UNAVAILABLE)))
    world.messenger.fail("first_answer", fault(DeliveryFault.TOKEN_DEAD))

    world.clock.set_ahead(timedelta(days=365))
    assert not await world.services.intakes.look()  # the answer may still be on its way
    assert await world.services.intakes.look()

    assert (await stored(world)).reply.message_id == 500


async def test_a_slow_disk_refuses_a_file_in_place_of_reading_it(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(world.services.intakes, "_patience", 0.0)
    answer = FakeAnswer()

    with pytest.raises(InvalidRequestError, match="nothing was taken"):
        await take_in(world, answer)

    assert (answer.said, await open_intakes(world), world.attachments.fetched) == (["patience"], 0, [])


async def test_an_erasure_takes_open_intakes_back(world: World):
    world.attachments.gate.clear()
    answer = FakeAnswer()
    taking = asyncio.create_task(take_in(world, answer))
    await until(lambda: bool(world.attachments.fetched))
    erasing = asyncio.create_task(world.services.privacy.erase(MEMBER, Actor(user_id=MEMBER)))
    await until(lambda: _none_open(world))
    world.attachments.gate.set()
    await taking
    while not erasing.done():
        world.clock.advance(1)
        await asyncio.sleep(0.01)

    assert (await stored(world), world.store.files) == (None, {})
    assert "deleted while" in answer.said[-1]


async def _none_open(world: World) -> bool:
    return await open_intakes(world) == 0


async def test_a_drain_waits_for_files_that_are_being_read(world: World):
    world.attachments.gate.clear()
    taking = asyncio.create_task(take_in(world, FakeAnswer()))
    await until(lambda: bool(world.attachments.fetched))
    world.services.drain.begin()

    assert await world.jobs.backlog() == 1
    world.attachments.gate.set()
    await taking

    assert (await stored(world)).status is JobStatus.QUEUED


async def test_a_stop_gives_what_is_under_way_a_moment(world: World):
    world.attachments.gate.clear()
    taking = asyncio.create_task(take_in(world, FakeAnswer()))
    await until(lambda: bool(world.attachments.fetched))
    stopping = asyncio.create_task(world.services.intakes.stop())
    await asyncio.sleep(0)
    world.attachments.gate.set()

    await stopping
    assert await stored(world) is not None
    await taking


async def test_an_export_names_what_is_being_read_and_no_secret(world: World):
    world.attachments.gate.clear()
    taking = asyncio.create_task(take_in(world, FakeAnswer()))
    await until(lambda: bool(world.attachments.fetched))

    files = [file async for file in world.services.privacy.export(MEMBER, max_bytes=10**6)]

    (reading,) = json.loads(files[0].data)["files_being_read"]
    assert (reading["request"]["prompt"], reading["file"]) == ("a hat", URL)
    assert "token" not in files[0].data.decode()
    world.attachments.gate.set()
    await taking
