"""What moderators were shown of a report follows what becomes of the picture, whatever comes between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.delivery import DeliveryFault
from bot.domain.job import Actor, Job
from bot.domain.privacy import REMOVED
from bot.domain.report import Outcome, ReportMessage, ReportNotice, Step
from bot.errors import FolderError, UserError
from bot.services.report_display import ReportDisplay
from bot.storage.house_rules import SqliteHouseRules
from bot.storage.privacy import SqlitePrivacy
from bot.storage.reports import SqliteReports
from bot.storage.retention import SqliteRetention
from tests.examples import GUILD, MEMBER, MODERATOR, OTHER, origin, request
from tests.services.world import World, fault, until

REPORTS = 70
REPORTER = origin(100, user_id=OTHER)
OWNER = Actor(user_id=MEMBER, guild_id=GUILD)
A_MODERATOR = Actor(user_id=MODERATOR, guild_id=GUILD, manages_messages=True)
FOR_THE_MOMENT = [DeliveryFault.UNAVAILABLE, DeliveryFault.RATE_LIMITED, DeliveryFault.REFUSED]
FOR_GOOD = [DeliveryFault.MESSAGE_GONE, DeliveryFault.CHANNEL_GONE, DeliveryFault.FORBIDDEN]


@pytest.fixture
async def job(world: World) -> Job:
    """Pictures that moderators were shown in a report."""
    await set_rules(world, report_channel=REPORTS)
    return await reported(world)


async def reported(world: World, number: int = 1) -> Job:
    job = await world.delivered(number, request=request(num_images=2))
    await world.services.reports.report(job.id, REPORTER, "bloody")
    return job


async def set_rules(world: World, **values: int) -> None:
    rules = SqliteHouseRules(world.database)
    await rules.change(GUILD, lambda before: replace(before, **values), by=MODERATOR, now=world.clock.now())


async def let_the_time_pass(world: World, **days: int) -> None:
    await set_rules(world, **days)
    world.clock.advance(timedelta(days=2).total_seconds())
    await a_round(world)


async def a_round(world: World) -> None:
    """Of retention, as every hour."""
    round_trip = asyncio.create_task(world.services.retention.run())
    await until(lambda: 3600.0 in world.clock.pauses)
    round_trip.cancel()
    await asyncio.wait({round_trip})


async def settled(world: World) -> None:
    await until(lambda: _is_erased(world))


async def _is_erased(world: World) -> bool:
    return await SqlitePrivacy(world.database).open() == ()


@pytest.mark.parametrize("kind", ["picture_days", "prompt_days"])
async def test_a_report_loses_what_is_no_longer_kept_and_moderators_can_still_remove_the_card(
    world: World, job: Job, kind: str
) -> None:
    await let_the_time_pass(world, **{kind: 1})

    shown = world.board.only
    assert (shown.report.is_open, shown.pictures, world.board.edits) == (True, (), 1)
    assert (shown.job.request == REMOVED) == (kind == "prompt_days")
    assert "delete" not in world.messenger.ways
    await world.services.reports.block_author(job.id, A_MODERATOR)
    await world.services.reports.remove(job.id, A_MODERATOR)
    assert world.board.only.report.outcome is Outcome.REMOVED
    assert world.messenger.ways[-1] == "delete"


async def test_a_closed_report_loses_its_words_too(world: World, job: Job) -> None:
    await world.services.reports.dismiss(job.id, A_MODERATOR)

    await let_the_time_pass(world, prompt_days=1)

    assert world.board.only.job.request == REMOVED
    assert world.board.only.report.outcome is Outcome.DISMISSED


async def test_rounds_change_nothing_in_messages_that_are_up_to_date(world: World, job: Job) -> None:
    await let_the_time_pass(world, prompt_days=1)
    await a_round(world)
    await world.services.reports.display.catch_up()

    assert world.board.edits == 1


@pytest.mark.parametrize("kind", FOR_GOOD)
async def test_a_message_that_is_gone_for_good_is_neither_brought_back_nor_tried_again(
    world: World, job: Job, kind: DeliveryFault
) -> None:
    world.board.faults.append(fault(kind))

    await let_the_time_pass(world, picture_days=1)
    await a_round(world)
    await world.services.reports.display.catch_up()

    assert (world.board.channels, world.board.edits) == ([REPORTS], 0)
    assert world.store.files == {}


@pytest.mark.parametrize("kind", FOR_THE_MOMENT)
async def test_what_discord_refuses_for_the_moment_is_taken_out_an_hour_later(
    world: World, job: Job, kind: DeliveryFault
) -> None:
    world.board.faults.append(fault(kind, retry_after=1.0))
    await let_the_time_pass(world, prompt_days=1)
    assert world.board.only.pictures

    await a_round(world)

    assert world.board.only.pictures == ()
    assert world.board.only.job.request == REMOVED


async def test_where_discord_refuses_everything_no_further_message_is_tried(world: World, job: Job) -> None:
    await reported(world, 2)
    world.board.faults.append(fault(DeliveryFault.RATE_LIMITED))

    await let_the_time_pass(world, picture_days=1)
    assert world.board.edits == 0
    await a_round(world)

    assert world.board.edits == 2
    assert [shown.pictures for shown in world.board.messages.values()] == [(), ()]


async def time_is_over(world: World, job: Job) -> None:
    soon = world.clock.now() + timedelta(days=1)
    content = await SqliteRetention(world.database).expired(GUILD, before=soon, now=soon, words=False)
    assert content.job_ids == (job.id,)
    await world.store.delete(content.keys)
    await SqliteRetention(world.database).remove(content, words=False, now=world.clock.now())


async def moderator_removes(world: World, job: Job) -> None:
    await world.store.delete(await world.jobs.mark_deleted(job.id, by=MODERATOR, now=world.clock.now()))


async def member_erases(world: World, job: Job) -> None:
    del job
    privacy = SqlitePrivacy(world.database)
    erasure = await privacy.begin(MEMBER, now=world.clock.now())
    assert erasure is not None
    content = await privacy.content(erasure)
    await world.store.delete(content.keys)
    await privacy.remove(erasure, content, now=world.clock.now())


async def moderator_dismisses(world: World, job: Job) -> None:
    report = await SqliteReports(world.database).latest(job.id)
    assert report is not None
    await SqliteReports(world.database).close(report.id, Outcome.DISMISSED, Step(by=MODERATOR, at=world.clock.now()))


Deed = Callable[[World, Job], Awaitable[None]]
DEEDS: list[Deed] = [time_is_over, moderator_removes, member_erases, moderator_dismisses]


@pytest.mark.parametrize("deed", DEEDS)
async def test_what_was_removed_before_a_crash_is_taken_out_by_the_next_start(world: World, job: Job, deed: Deed) -> None:
    await deed(world, job)  # and the process dies
    assert world.board.only.pictures

    world.build()
    await world.services.reports.display.catch_up()

    assert (world.board.only.pictures, world.board.edits) == ((), 1)


async def test_a_removal_whose_message_discord_refuses_to_change_is_shown_an_hour_later(world: World, job: Job) -> None:
    world.board.faults.append(fault(DeliveryFault.UNAVAILABLE))
    with pytest.raises(UserError, match="could not change the message"):
        await world.services.reports.remove(job.id, A_MODERATOR)

    await a_round(world)

    assert world.board.only.report.outcome is Outcome.REMOVED
    assert world.board.only.pictures == ()


async def test_an_erasure_whose_message_discord_refuses_to_change_is_shown_an_hour_later(world: World, job: Job) -> None:
    world.board.faults.append(fault(DeliveryFault.UNAVAILABLE))
    await world.services.privacy.erase(MEMBER, OWNER)
    await settled(world)
    assert world.board.only.pictures

    await a_round(world)

    assert world.board.only.job.request == REMOVED
    assert world.board.only.pictures == ()


async def test_a_reason_that_its_reporter_erased_goes_an_hour_later_too(world: World, job: Job) -> None:
    world.board.faults.append(fault(DeliveryFault.UNAVAILABLE))
    await world.services.privacy.erase(OTHER, Actor(user_id=OTHER, guild_id=GUILD))
    await settled(world)

    await a_round(world)

    assert [said.reason for said in world.board.only.report.complaints] == [""]


async def test_a_change_while_the_message_is_being_changed_is_shown_after_it(
    world: World, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit = world.board.edit

    async def meanwhile(message: ReportMessage, notice: ReportNotice) -> None:
        await edit(message, notice)
        if notice.report.is_open:
            await moderator_dismisses(world, job)

    monkeypatch.setattr(world.board, "edit", meanwhile)
    await let_the_time_pass(world, picture_days=1)
    assert world.board.only.report.is_open

    await a_round(world)

    assert world.board.only.report.outcome is Outcome.DISMISSED


async def test_a_folder_that_cannot_be_written_keeps_no_message_as_it_is(
    world: World, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    await time_is_over(world, job)

    async def refuse(self: object) -> int:
        raise FolderError("The folder cannot be written.")

    monkeypatch.setattr(type(world.services.retention), "enforce", refuse)
    await a_round(world)

    assert world.board.only.pictures == ()


async def test_a_program_without_discord_leaves_the_messages_to_one_with_it(world: World, job: Job) -> None:
    await time_is_over(world, job)
    display = ReportDisplay(
        records=SqliteReports(world.database),
        rules=SqliteHouseRules(world.database),
        jobs=world.jobs,
        store=world.store,
        codec=world.codec,
        board=None,
        metrics=world.metrics,
    )

    await display.catch_up()
    await world.services.reports.display.catch_up()

    assert world.board.only.pictures == ()
