"""A member's wish that everything goes, and whatever may come between."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.delivery import DeliveryFault
from bot.domain.job import Actor, Job, JobStatus, Parent, Relation
from bot.domain.privacy import REMOVED, Holdings
from bot.domain.request import InitImage
from bot.errors import FolderError, NotAllowedError, NotFoundError
from bot.services import erasure
from bot.services.proposals import JOB_GONE
from bot.storage.house_rules import SqliteHouseRules
from bot.storage.privacy import SqlitePrivacy
from bot.storage.traces import SqliteTraces
from tests.examples import GUILD, MEMBER, OTHER, origin, reply, request
from tests.services.world import World, fault, until

SELF = Actor(user_id=MEMBER, guild_id=GUILD)
SECRET = "tattletale"


async def ask(world: World, actor: Actor = SELF) -> bool | None:
    return await world.services.privacy.erase(MEMBER, actor)


async def settled(world: World) -> None:
    """Wait until the cards were tried too."""
    await until(lambda: _is_closed(world))


async def choose_report_channel(world: World) -> None:
    rules = SqliteHouseRules(world.database)
    await rules.change(GUILD, lambda before: replace(before, report_channel=70), by=1, now=world.clock.now())


async def _is_closed(world: World) -> bool:
    return await SqlitePrivacy(world.database).open() == ()


async def overwritten(world: World) -> None:
    """What the service does once a day."""
    await SqliteTraces(world.database).overwrite(now=world.clock.now())


async def erased(world: World, *jobs: Job) -> bool:
    return all([(await world.job(job.id)).request == REMOVED for job in jobs])


async def test_nothing_is_left_of_what_a_member_gave_but_the_credits(world: World) -> None:
    shown = await world.delivered(1, request=request(prompt=SECRET, num_images=2))
    waiting = await world.submit(2, request=request(prompt=SECRET))

    assert await ask(world) is True
    await settled(world)

    assert await erased(world, shown, waiting)
    assert world.store.files == {}
    assert await world.status(waiting) is JobStatus.CANCELLED
    assert world.messenger.ways[-2:] == ["delete", "delete"]
    assert await world.services.privacy.holdings(MEMBER) == Holdings()
    await overwritten(world)
    assert SECRET.encode() not in world.database.path.read_bytes()
    standing = await world.services.quotas.statement(shown.origin)
    assert (standing.standing.spent, standing.standing.reserved) == (1, 0)


async def test_words_do_not_stay_in_the_log_because_somebody_reads_it_in_that_moment(world: World) -> None:
    await world.delivered(1, request=request(prompt=SECRET))
    log = world.database.path.with_name(f"{world.database.path.name}-wal")
    with closing(sqlite3.connect(world.database.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM jobs").fetchone()
        asking = asyncio.create_task(ask(world))
        await until(lambda: erasure.FOLD_PAUSE in world.clock.pauses)
        assert SECRET.encode() in log.read_bytes()

    world.clock.advance(erasure.FOLD_PAUSE)

    assert await asking
    assert SECRET.encode() not in log.read_bytes()


async def test_only_the_member_can_want_it(world: World) -> None:
    job = await world.delivered()
    stranger = Actor(user_id=OTHER, guild_id=GUILD, manages_guild=True, manages_messages=True)

    with pytest.raises(NotAllowedError):
        await ask(world, stranger)

    assert not await erased(world, job)


async def test_who_never_drew_has_nothing_to_delete(world: World) -> None:
    assert await ask(world) is None


async def test_a_running_drawing_stops_and_its_pictures_are_not_kept(world: World) -> None:
    world.generator.gate.clear()
    world.start_worker()
    job = await world.submit()
    await until(lambda: len(world.generator.started) == 1)

    assert await ask(world) is True

    await until(lambda: len(world.generator.ended) == 1)
    assert await erased(world, job)
    assert world.store.files == {}
    assert await world.status(job) is JobStatus.CANCELLED


async def test_others_keep_their_pictures_and_what_they_made_of_the_members(world: World) -> None:
    mine = await world.delivered(1, request=request(prompt=SECRET))
    parent = Parent(job_id=mine.id, relation=Relation.REMIX)
    theirs = await world.delivered(2, origin=origin(2, OTHER), parent=parent)
    files = dict(world.store.files)

    await ask(world)
    await settled(world)

    assert (await world.job(theirs.id)) == theirs
    assert set(world.store.files) == {key for key in files if theirs.id in key}
    assert theirs.parent == parent


async def test_an_upload_that_somebody_else_draws_over_stays(world: World) -> None:
    shared, own = (
        await world.upload(b"shared"),
        await world.upload(b"mine only"),
    )
    await world.delivered(1, request=request(init_image=InitImage(key=own, strength=0.5)))
    await world.add(2, request=request(init_image=InitImage(key=shared, strength=0.5)))
    await world.add(3, origin=origin(3, OTHER), request=request(init_image=InitImage(key=shared, strength=0.5)))

    await ask(world)

    assert set(world.store.files) == {shared}


async def test_buttons_of_what_was_erased_say_that_it_is_gone(world: World) -> None:
    job = await world.delivered()
    await ask(world)
    await settled(world)
    generation = world.services.generation

    for asking in (generation.cancel(job.id, SELF), generation.delete(job.id, SELF)):
        with pytest.raises(NotFoundError) as refused:
            await asking
        assert str(refused.value) == JOB_GONE


async def test_a_result_that_waits_to_be_shown_never_appears(world: World) -> None:
    job = await world.drawn()

    await ask(world)
    calls = len(world.messenger.calls)
    await world.services.delivery.deliver_due()

    assert {call.way for call in world.messenger.calls[calls:]} <= {"delete"}
    assert not await world.is_open(job)


async def test_a_card_that_is_just_being_posted_is_removed_too(world: World) -> None:
    await world.drawn(reply=reply(message_id=None, token=None))
    world.messenger.slow = lambda call: call.way == "post"
    turn = asyncio.create_task(world.services.delivery.deliver_due())
    await until(lambda: world.messenger.ways == ["find_post", "post"])

    asking = asyncio.create_task(ask(world))
    await asyncio.wait({asking}, timeout=0.3)  # long enough to be over if it did not wait for the post
    world.messenger.slow_gate.set()
    await asking
    await turn
    await settled(world)

    assert world.messenger.calls[-1].way == "delete"
    assert world.messenger.calls[-1].reply.message_id == 900


async def test_what_moderators_were_shown_in_a_report_loses_its_words_and_pictures(world: World) -> None:
    await choose_report_channel(world)
    job = await world.delivered(request=request(prompt=SECRET))
    await world.services.reports.report(job.id, origin(100, OTHER), "too bloody")
    assert world.board.only.pictures

    await ask(world)
    await settled(world)

    assert world.board.only.job.request == REMOVED
    assert world.board.only.pictures == ()
    assert [complaint.reason for complaint in world.board.only.report.complaints] == ["too bloody"]


async def test_what_the_member_told_moderators_goes_and_that_they_did_stays(world: World) -> None:
    await choose_report_channel(world)
    theirs = await world.delivered(origin=origin(1, OTHER))
    await world.services.reports.report(theirs.id, origin(100, MEMBER), SECRET)

    await ask(world)
    await settled(world)

    assert [(said.reporter_id, said.reason) for said in world.board.only.report.complaints] == [(MEMBER, "")]
    assert world.board.only.pictures
    await overwritten(world)
    assert SECRET.encode() not in world.database.path.read_bytes()


async def test_a_refusal_of_discord_keeps_one_card_and_nothing_else(world: World) -> None:
    jobs = [await world.delivered(number) for number in (1, 2, 3)]
    world.messenger.fail("delete", fault(DeliveryFault.FORBIDDEN))

    assert await ask(world) is True
    await settled(world)

    assert world.messenger.ways.count("delete") == 3
    assert [call.way for call in world.messenger.shown].count("delete") == 2
    assert await erased(world, *jobs)


async def test_where_discord_refuses_everything_no_further_card_is_tried(world: World) -> None:
    for number in (1, 2, 3):
        await world.delivered(number)
    world.messenger.fail("delete", fault(DeliveryFault.RATE_LIMITED))

    await ask(world)
    await settled(world)

    assert world.messenger.ways.count("delete") == 1


async def test_a_discord_that_hangs_delays_neither_the_answer_nor_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "CARD_SECONDS", 0.2)
    job = await world.delivered()
    world.messenger.gate.clear()

    assert await ask(world) is True
    assert await erased(world, job)
    await settled(world)

    assert (await world.job(job.id)).reply.message_id is None


async def test_a_folder_that_cannot_be_written_is_waited_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(erasure, "IDLE_SECONDS", 0.05)  # the first try may still be failing when the loop looks
    job = await world.delivered()
    delete = world.store.delete
    refusing = True

    async def refuse(keys: Sequence[str]) -> None:
        if refusing:
            raise FolderError("The folder cannot be written.")
        await delete(keys)

    monkeypatch.setattr(world.store, "delete", refuse)

    assert await ask(world) is False
    assert not await erased(world, job)
    refusing = False
    world.tasks.append(asyncio.create_task(world.services.eraser.run()))

    await settled(world)
    assert await erased(world, job)
    assert world.store.files == {}


async def test_a_start_finishes_what_was_asked_for_before(world: World) -> None:
    job = await world.delivered(request=request(prompt=SECRET))
    await SqlitePrivacy(world.database).begin(MEMBER, now=world.clock.now())  # and the process dies

    world.build()
    world.tasks.append(asyncio.create_task(world.services.eraser.run()))
    await settled(world)

    assert await erased(world, job)
    assert world.store.files == {}
    assert world.messenger.ways[-1] == "delete"


async def test_a_stop_in_the_middle_leaves_the_rest_to_the_next_start(world: World) -> None:
    job = await world.delivered()
    world.messenger.gate.clear()
    await ask(world)
    await until(lambda: world.messenger.ways[-1] == "delete")

    await world.services.eraser.stop()
    world.messenger.gate.set()

    assert not await _is_closed(world)
    assert (await world.job(job.id)).reply.message_id is not None
    world.build()
    world.tasks.append(asyncio.create_task(world.services.eraser.run()))
    await settled(world)
    assert (await world.job(job.id)).reply.message_id is None


async def test_two_members_do_not_wait_for_each_other(world: World) -> None:
    mine, theirs = await world.delivered(1), await world.delivered(2, origin=origin(2, OTHER))
    world.messenger.gate.clear()

    both = await asyncio.gather(ask(world), world.services.privacy.erase(OTHER, replace(SELF, user_id=OTHER)))

    assert both == [True, True]
    assert await erased(world, mine, theirs)
    await until(lambda: world.messenger.ways.count("delete") == 2)


async def test_the_log_says_that_something_was_erased_and_not_whose(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await world.delivered(request=request(prompt=SECRET))

    await ask(world)
    await settled(world)

    assert "words, pictures and files are gone" in caplog.text
    assert SECRET not in caplog.text


async def test_the_members_next_picture_is_drawn_as_ever(world: World) -> None:
    await world.delivered(1)
    await ask(world)
    await settled(world)
    world.clock.advance(timedelta(minutes=1).total_seconds())

    job = await world.delivered(2)

    assert job.status is JobStatus.DELIVERED
    assert len(world.store.files) == 1
