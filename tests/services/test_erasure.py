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
from bot.services.request_builder import JOB_GONE
from tests.examples import GUILD, MEMBER, OTHER, origin, reply, request
from tests.services.harness import ServicesHarness, fault, until

SELF = Actor(user_id=MEMBER, guild_id=GUILD)
SECRET = "tattletale"


async def ask(harness: ServicesHarness, actor: Actor = SELF) -> bool | None:
    return await harness.services.privacy.erase(MEMBER, actor)


async def settled(harness: ServicesHarness) -> None:
    """Wait until the cards were tried too."""
    await until(lambda: _is_closed(harness))


async def choose_report_channel(harness: ServicesHarness) -> None:
    rules = harness.repositories.guild_settings
    await rules.change(GUILD, lambda before: replace(before, report_channel=70), by=1, now=harness.clock.now())


async def _is_closed(harness: ServicesHarness) -> bool:
    return await harness.repositories.privacy.open() == ()


async def overwritten(harness: ServicesHarness) -> None:
    """What the service does once a day."""
    await harness.repositories.traces.overwrite(now=harness.clock.now())


async def erased(harness: ServicesHarness, *jobs: Job) -> bool:
    return all([(await harness.job(job.id)).request == REMOVED for job in jobs])


async def test_nothing_is_left_of_what_a_member_gave_but_the_credits(harness: ServicesHarness) -> None:
    shown = await harness.delivered(1, request=request(prompt=SECRET, num_images=2))
    waiting = await harness.submit(2, request=request(prompt=SECRET))

    assert await ask(harness) is True
    await settled(harness)

    assert await erased(harness, shown, waiting)
    assert harness.store.files == {}
    assert await harness.status(waiting) is JobStatus.CANCELLED
    assert harness.messenger.ways[-2:] == ["delete", "delete"]
    assert await harness.services.privacy.holdings(MEMBER) == Holdings()
    await overwritten(harness)
    assert SECRET.encode() not in harness.database.path.read_bytes()
    usage = await harness.services.quotas.balance(shown.origin)
    assert (usage.usage.spent, usage.usage.reserved) == (1, 0)


async def test_words_do_not_stay_in_the_log_because_somebody_reads_it_in_that_moment(harness: ServicesHarness) -> None:
    await harness.delivered(1, request=request(prompt=SECRET))
    log = harness.database.path.with_name(f"{harness.database.path.name}-wal")
    with closing(sqlite3.connect(harness.database.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM jobs").fetchone()
        asking = asyncio.create_task(ask(harness))
        await until(lambda: erasure.FOLD_PAUSE in harness.clock.pauses)
        assert SECRET.encode() in log.read_bytes()

    harness.clock.advance(erasure.FOLD_PAUSE)

    assert await asking
    assert SECRET.encode() not in log.read_bytes()


async def test_only_the_member_can_want_it(harness: ServicesHarness) -> None:
    job = await harness.delivered()
    stranger = Actor(user_id=OTHER, guild_id=GUILD, manages_guild=True, manages_messages=True)

    with pytest.raises(NotAllowedError):
        await ask(harness, stranger)

    assert not await erased(harness, job)


async def test_who_never_drew_has_nothing_to_delete(harness: ServicesHarness) -> None:
    assert await ask(harness) is None


async def test_a_running_drawing_stops_and_its_pictures_are_not_kept(harness: ServicesHarness) -> None:
    harness.generator.gate.clear()
    harness.start_worker()
    job = await harness.submit()
    await until(lambda: len(harness.generator.started) == 1)

    assert await ask(harness) is True

    await until(lambda: len(harness.generator.ended) == 1)
    assert await erased(harness, job)
    assert harness.store.files == {}
    assert await harness.status(job) is JobStatus.CANCELLED


async def test_others_keep_their_pictures_and_what_they_made_of_the_members(harness: ServicesHarness) -> None:
    mine = await harness.delivered(1, request=request(prompt=SECRET))
    parent = Parent(job_id=mine.id, relation=Relation.REMIX)
    theirs = await harness.delivered(2, origin=origin(2, OTHER), parent=parent)
    files = dict(harness.store.files)

    await ask(harness)
    await settled(harness)

    assert (await harness.job(theirs.id)) == theirs
    assert set(harness.store.files) == {key for key in files if theirs.id in key}
    assert theirs.parent == parent


async def test_an_upload_that_somebody_else_draws_over_stays(harness: ServicesHarness) -> None:
    shared, own = (
        await harness.upload(b"shared"),
        await harness.upload(b"mine only"),
    )
    await harness.delivered(1, request=request(init_image=InitImage(key=own, strength=0.5)))
    await harness.add(2, request=request(init_image=InitImage(key=shared, strength=0.5)))
    await harness.add(3, origin=origin(3, OTHER), request=request(init_image=InitImage(key=shared, strength=0.5)))

    await ask(harness)

    assert set(harness.store.files) == {shared}


async def test_buttons_of_what_was_erased_say_that_it_is_gone(harness: ServicesHarness) -> None:
    job = await harness.delivered()
    await ask(harness)
    await settled(harness)
    generation = harness.services.generation

    for asking in (generation.cancel(job.id, SELF), generation.delete(job.id, SELF)):
        with pytest.raises(NotFoundError) as refused:
            await asking
        assert str(refused.value) == JOB_GONE


async def test_a_result_that_waits_to_be_shown_never_appears(harness: ServicesHarness) -> None:
    job = await harness.drawn()

    await ask(harness)
    calls = len(harness.messenger.calls)
    await harness.services.delivery.deliver_due()

    assert {call.way for call in harness.messenger.calls[calls:]} <= {"delete"}
    assert not await harness.is_open(job)


async def test_a_card_that_is_just_being_posted_is_removed_too(harness: ServicesHarness) -> None:
    await harness.drawn(reply=reply(message_id=None, token=None))
    harness.messenger.slow = lambda call: call.way == "post"
    turn = asyncio.create_task(harness.services.delivery.deliver_due())
    await until(lambda: harness.messenger.ways == ["find_post", "post"])

    asking = asyncio.create_task(ask(harness))
    await asyncio.wait({asking}, timeout=0.3)  # long enough to be over if it did not wait for the post
    harness.messenger.slow_gate.set()
    await asking
    await turn
    await settled(harness)

    assert harness.messenger.calls[-1].way == "delete"
    assert harness.messenger.calls[-1].reply.message_id == 900


async def test_what_moderators_were_shown_in_a_report_loses_its_words_and_pictures(harness: ServicesHarness) -> None:
    await choose_report_channel(harness)
    job = await harness.delivered(request=request(prompt=SECRET))
    await harness.services.reports.report(job.id, origin(100, OTHER), "too bloody")
    assert harness.board.only.pictures

    await ask(harness)
    await settled(harness)

    assert harness.board.only.job.request == REMOVED
    assert harness.board.only.pictures == ()
    assert [complaint.reason for complaint in harness.board.only.report.complaints] == ["too bloody"]


async def test_what_the_member_told_moderators_goes_and_that_they_did_stays(harness: ServicesHarness) -> None:
    await choose_report_channel(harness)
    theirs = await harness.delivered(origin=origin(1, OTHER))
    await harness.services.reports.report(theirs.id, origin(100, MEMBER), SECRET)

    await ask(harness)
    await settled(harness)

    assert [(said.reporter_id, said.reason) for said in harness.board.only.report.complaints] == [(MEMBER, "")]
    assert harness.board.only.pictures
    await overwritten(harness)
    assert SECRET.encode() not in harness.database.path.read_bytes()


async def test_a_refusal_of_discord_keeps_one_card_and_nothing_else(harness: ServicesHarness) -> None:
    jobs = [await harness.delivered(number) for number in (1, 2, 3)]
    harness.messenger.fail("delete", fault(DeliveryFault.FORBIDDEN))

    assert await ask(harness) is True
    await settled(harness)

    assert harness.messenger.ways.count("delete") == 3
    assert [call.way for call in harness.messenger.shown].count("delete") == 2
    assert await erased(harness, *jobs)


async def test_where_discord_refuses_everything_no_further_card_is_tried(harness: ServicesHarness) -> None:
    for number in (1, 2, 3):
        await harness.delivered(number)
    harness.messenger.fail("delete", fault(DeliveryFault.RATE_LIMITED))

    await ask(harness)
    await settled(harness)

    assert harness.messenger.ways.count("delete") == 1


async def test_a_discord_that_hangs_delays_neither_the_answer_nor_the_end(
    harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "CARD_SECONDS", 0.2)
    job = await harness.delivered()
    harness.messenger.gate.clear()

    assert await ask(harness) is True
    assert await erased(harness, job)
    await settled(harness)

    assert (await harness.job(job.id)).reply.message_id is None


async def test_a_folder_that_cannot_be_written_is_waited_out(harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(erasure, "IDLE_SECONDS", 0.05)  # the first try may still be failing when the loop looks
    job = await harness.delivered()
    delete = harness.store.delete
    refusing = True

    async def refuse(keys: Sequence[str]) -> None:
        if refusing:
            raise FolderError("The folder cannot be written.")
        await delete(keys)

    monkeypatch.setattr(harness.store, "delete", refuse)

    assert await ask(harness) is False
    assert not await erased(harness, job)
    refusing = False
    harness.tasks.append(asyncio.create_task(harness.services.eraser.run()))

    await settled(harness)
    assert await erased(harness, job)
    assert harness.store.files == {}


async def test_a_start_finishes_what_was_asked_for_before(harness: ServicesHarness) -> None:
    job = await harness.delivered(request=request(prompt=SECRET))
    await harness.repositories.privacy.begin(MEMBER, now=harness.clock.now())  # and the process dies

    harness.build()
    harness.tasks.append(asyncio.create_task(harness.services.eraser.run()))
    await settled(harness)

    assert await erased(harness, job)
    assert harness.store.files == {}
    assert harness.messenger.ways[-1] == "delete"


async def test_a_stop_in_the_middle_leaves_the_rest_to_the_next_start(harness: ServicesHarness) -> None:
    job = await harness.delivered()
    harness.messenger.gate.clear()
    await ask(harness)
    await until(lambda: harness.messenger.ways[-1] == "delete")

    await harness.services.eraser.stop()
    harness.messenger.gate.set()

    assert not await _is_closed(harness)
    assert (await harness.job(job.id)).reply.message_id is not None
    harness.build()
    harness.tasks.append(asyncio.create_task(harness.services.eraser.run()))
    await settled(harness)
    assert (await harness.job(job.id)).reply.message_id is None


async def test_two_members_do_not_wait_for_each_other(harness: ServicesHarness) -> None:
    mine, theirs = await harness.delivered(1), await harness.delivered(2, origin=origin(2, OTHER))
    harness.messenger.gate.clear()

    both = await asyncio.gather(ask(harness), harness.services.privacy.erase(OTHER, replace(SELF, user_id=OTHER)))

    assert both == [True, True]
    assert await erased(harness, mine, theirs)
    await until(lambda: harness.messenger.ways.count("delete") == 2)


async def test_the_log_says_that_something_was_erased_and_not_whose(
    harness: ServicesHarness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await harness.delivered(request=request(prompt=SECRET))

    await ask(harness)
    await settled(harness)

    assert "words, pictures and files are gone" in caplog.text
    assert SECRET not in caplog.text


async def test_the_members_next_picture_is_drawn_as_ever(harness: ServicesHarness) -> None:
    await harness.delivered(1)
    await ask(harness)
    await settled(harness)
    harness.clock.advance(timedelta(minutes=1).total_seconds())

    job = await harness.delivered(2)

    assert job.status is JobStatus.DELIVERED
    assert len(harness.store.files) == 1
