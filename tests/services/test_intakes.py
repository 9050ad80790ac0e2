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
from bot.domain.language import Language
from bot.domain.moderation import Block
from bot.domain.quota import Limits
from bot.domain.request import Draft
from bot.errors import InvalidRequestError, NotAllowedError, QuotaError
from bot.services.generation import Start
from bot.services.intakes import LOST
from tests.examples import GUILD, MEMBER, origin, reply
from tests.services.harness import ServicesHarness, fault, until
from tests.services.test_reception import FakeAnswer, failing, stored

URL = "https://cdn.example/start.png"
NOWHERE = reply(message_id=None)


@pytest.fixture
def harness(harness: ServicesHarness) -> ServicesHarness:
    harness.attachments.files[URL] = b"sketch"
    return harness


async def take_in(
    harness: ServicesHarness, answer: FakeAnswer, number: int = 1, *, url: str = URL, strength: float = 0.5
) -> None:
    who = replace(origin(number), language=Language.JAPANESE)
    propose = partial(harness.services.generation.propose, Draft(prompt="a hat"), who)
    start = Start(url=url, strength=strength)
    await harness.services.generation.take_in_with_picture(propose, start, who, NOWHERE, answer)


async def open_intakes(harness: ServicesHarness) -> int:
    return await harness.database.read(lambda c: c.execute("SELECT COUNT(*) FROM intakes").fetchone()[0])


async def cut_off(harness: ServicesHarness, answer: FakeAnswer, number: int = 1) -> None:
    """Kill the process while the file is read: what is on disk then is all that is left."""
    harness.attachments.gate.clear()
    taking = asyncio.create_task(take_in(harness, answer, number))
    await until(lambda: bool(harness.attachments.fetched))
    for task in asyncio.all_tasks():
        if task.get_name().startswith("intake-"):
            task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await taking
    harness.attachments.gate.set()
    harness.attachments.fetched.clear()
    harness.build()


async def test_the_intake_is_on_disk_before_the_answer_and_gone_with_the_job(harness: ServicesHarness):
    answer, seen = FakeAnswer(), []
    think = answer.think

    async def looking() -> int | None:
        seen.append((await open_intakes(harness), len(harness.store.files), harness.attachments.fetched.copy()))
        return await think()

    answer.think = looking  # type: ignore[method-assign]
    await take_in(harness, answer)

    job = await stored(harness)
    assert seen == [(1, 0, [])]
    assert answer.said == ["thinking"]
    assert await open_intakes(harness) == 0
    assert job.reply.message_id == 42
    assert harness.store.files[job.request.init_image.key] == b"sketch as 64x64"


@pytest.mark.parametrize("limits", [Limits(daily_credits=0), Limits(waiting_jobs=0)])
async def test_credits_and_places_are_asked_for_before_a_byte_is_fetched(harness: ServicesHarness, limits: Limits):
    harness.limits = limits
    answer = FakeAnswer()

    with pytest.raises(QuotaError):
        await take_in(harness, answer)

    assert (answer.said, harness.attachments.fetched, harness.store.files, await open_intakes(harness)) == ([], [], {}, 0)


async def test_a_blocked_member_is_refused_before_a_byte_is_fetched(harness: ServicesHarness):
    await harness.repositories.moderation.block(
        Block(guild_id=GUILD, user_id=MEMBER, reason="", blocked_by=9, blocked_at=harness.clock.now())
    )

    with pytest.raises(NotAllowedError):
        await take_in(harness, FakeAnswer())

    assert (harness.attachments.fetched, harness.store.files) == ([], {})


async def test_what_is_refused_only_when_it_is_stored_leaves_no_file(harness: ServicesHarness):
    """Somebody spends the last credit while the file is fetched."""
    harness.limits = Limits(daily_credits=1)
    harness.attachments.gate.clear()
    answer = FakeAnswer()
    taking = asyncio.create_task(take_in(harness, answer))
    await until(lambda: bool(harness.attachments.fetched))
    await harness.add(2)
    harness.attachments.gate.set()
    await taking

    assert answer.said[0] == "thinking"
    assert "credit" in str(answer.said[1])
    assert (await stored(harness), harness.store.files, await open_intakes(harness)) == (None, {}, 0)


async def test_a_file_that_is_stored_and_refused_goes_again(harness: ServicesHarness):
    proposal = await harness.services.generation.propose(Draft(prompt="a hat"), origin())
    proposal = await harness.services.generation.with_upload(proposal, b"sketch", 0.5)
    check, limits = harness.jobs.check, harness.limits

    async def spend_meanwhile(*args: object, **kwargs: object) -> None:
        await check(*args, **kwargs)  # type: ignore[arg-type]
        await harness.add(2)

    harness.limits = replace(limits, daily_credits=1)
    harness.jobs.check = spend_meanwhile  # type: ignore[method-assign]
    with pytest.raises(QuotaError):
        await harness.services.generation.submit(proposal, origin(), reply())

    assert harness.store.files == {}


@pytest.mark.parametrize("data", [b"broken", None])
async def test_a_file_that_cannot_be_had_or_read_is_said_in_the_answer(harness: ServicesHarness, data: bytes | None):
    harness.attachments.files = {} if data is None else {URL: data}
    answer = FakeAnswer()

    await take_in(harness, answer)

    assert len(answer.said) == 2
    assert await open_intakes(harness) == 0


async def test_three_may_be_open_a_member_and_no_more(harness: ServicesHarness):
    harness.attachments.gate.clear()
    taking = [asyncio.create_task(take_in(harness, FakeAnswer(), number)) for number in range(1, MAX_INTAKES + 1)]
    async with asyncio.timeout(10):
        while await open_intakes(harness) < MAX_INTAKES:  # noqa: ASYNC110 - the database is asked
            await asyncio.sleep(0.001)

    with pytest.raises(QuotaError, match="still reading"):
        await take_in(harness, FakeAnswer(), 9)

    harness.attachments.gate.set()
    await asyncio.gather(*taking)
    await take_in(harness, FakeAnswer(), 10)


async def test_a_replayed_event_is_one_job(harness: ServicesHarness):
    await take_in(harness, FakeAnswer())
    again = FakeAnswer()

    await take_in(harness, again)

    assert again.said == []
    assert (await harness.jobs.waiting(MEMBER, limit=9)).total == 1


async def test_a_start_goes_on_where_a_kill_cut_off(harness: ServicesHarness):
    await cut_off(harness, FakeAnswer())
    assert await open_intakes(harness) == 1

    assert await harness.services.intakes.look()

    job = await stored(harness)
    assert (job.status, job.reply.message_id, job.language) == (JobStatus.QUEUED, 500, Language.JAPANESE)
    assert await open_intakes(harness) == 0


async def test_a_start_says_that_a_file_was_lost_and_costs_nothing(harness: ServicesHarness):
    await cut_off(harness, FakeAnswer())
    harness.attachments.files.clear()

    assert await harness.services.intakes.look()

    assert harness.messenger.sentences == [str(LOST)]
    assert harness.messenger.languages == [Language.JAPANESE]
    assert (await stored(harness), await open_intakes(harness)) == (None, 0)


async def test_a_start_forgets_what_nobody_was_shown(harness: ServicesHarness):
    await cut_off(harness, FakeAnswer())
    harness.messenger.fail("first_answer", fault(DeliveryFault.TOKEN_DEAD))
    harness.clock.advance(10)

    assert await harness.services.intakes.look()

    assert (await stored(harness), await open_intakes(harness), harness.messenger.sentences) == (None, 0, [])


async def test_a_start_does_not_take_a_private_sentence_for_the_answer(harness: ServicesHarness):
    await cut_off(harness, FakeAnswer())
    harness.messenger.seen = SeenAnswer(message_id=3, is_private=True)

    assert await harness.services.intakes.look()

    assert (await stored(harness), await open_intakes(harness)) == (None, 0)


async def test_an_outage_decides_nothing(harness: ServicesHarness):
    await cut_off(harness, FakeAnswer())
    harness.messenger.fail("first_answer", fault(DeliveryFault.UNAVAILABLE))

    assert not await harness.services.intakes.look()
    assert await open_intakes(harness) == 1

    assert await harness.services.intakes.look()
    assert await stored(harness) is not None


@pytest.mark.parametrize("kind", sorted(REFUSED_HERE))
async def test_an_answer_that_is_refused_for_good_ends_the_intake(harness: ServicesHarness, kind: DeliveryFault):
    await take_in(harness, failing(fault(kind)))

    assert (await open_intakes(harness), harness.attachments.fetched) == (0, [])


async def test_an_answer_that_got_lost_is_found_out(harness: ServicesHarness):
    await take_in(harness, failing(fault(DeliveryFault.UNAVAILABLE)))
    assert (await stored(harness), await open_intakes(harness)) == (None, 1)

    assert await harness.services.intakes.look()

    assert (await stored(harness)).reply.message_id == 500


async def test_a_clock_that_is_set_ahead_drops_no_file_that_was_sent(harness: ServicesHarness):
    await take_in(harness, failing(fault(DeliveryFault.UNAVAILABLE)))
    harness.messenger.fail("first_answer", fault(DeliveryFault.TOKEN_DEAD))

    harness.clock.set_ahead(timedelta(days=365))
    assert not await harness.services.intakes.look()  # the answer may still be on its way
    assert await harness.services.intakes.look()

    assert (await stored(harness)).reply.message_id == 500


async def test_a_slow_disk_refuses_a_file_in_place_of_reading_it(harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(harness.services.intakes, "_patience", 0.0)
    answer = FakeAnswer()

    with pytest.raises(InvalidRequestError, match="didn't take your request"):
        await take_in(harness, answer)

    assert (answer.said, await open_intakes(harness), harness.attachments.fetched) == (["patience"], 0, [])


async def test_an_erasure_takes_open_intakes_back(harness: ServicesHarness):
    harness.attachments.gate.clear()
    answer = FakeAnswer()
    taking = asyncio.create_task(take_in(harness, answer))
    await until(lambda: bool(harness.attachments.fetched))
    erasing = asyncio.create_task(harness.services.privacy.erase(MEMBER, Actor(user_id=MEMBER)))
    await until(lambda: _none_open(harness))
    harness.attachments.gate.set()
    await taking
    while not erasing.done():
        harness.clock.advance(1)
        await asyncio.sleep(0.01)

    assert (await stored(harness), harness.store.files) == (None, {})
    assert "deleted while" in str(answer.said[-1])


async def _none_open(harness: ServicesHarness) -> bool:
    return await open_intakes(harness) == 0


async def test_a_drain_waits_for_files_that_are_being_read(harness: ServicesHarness):
    harness.attachments.gate.clear()
    taking = asyncio.create_task(take_in(harness, FakeAnswer()))
    await until(lambda: bool(harness.attachments.fetched))
    harness.services.drain.begin()

    assert await harness.jobs.backlog() == 1
    harness.attachments.gate.set()
    await taking

    assert (await stored(harness)).status is JobStatus.QUEUED


async def test_a_stop_gives_what_is_under_way_a_moment(harness: ServicesHarness):
    harness.attachments.gate.clear()
    taking = asyncio.create_task(take_in(harness, FakeAnswer()))
    await until(lambda: bool(harness.attachments.fetched))
    stopping = asyncio.create_task(harness.services.intakes.stop())
    await asyncio.sleep(0)
    harness.attachments.gate.set()

    await stopping
    assert await stored(harness) is not None
    await taking


async def test_an_export_names_what_is_being_read_and_no_secret(harness: ServicesHarness):
    harness.attachments.gate.clear()
    taking = asyncio.create_task(take_in(harness, FakeAnswer()))
    await until(lambda: bool(harness.attachments.fetched))

    files = [file async for file in harness.services.privacy.export(MEMBER, max_bytes=10**6)]

    (reading,) = json.loads(files[0].data)["files_being_read"]
    assert (reading["request"]["prompt"], reading["file"]) == ("a hat", URL)
    assert "token" not in files[0].data.decode()
    harness.attachments.gate.set()
    await taking
