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
from tests.examples import GUILD, MEMBER, MODERATOR, OTHER, origin, request
from tests.services.harness import ServicesHarness, fault, until

REPORTS = 70
REPORTER = origin(100, user_id=OTHER)
OWNER = Actor(user_id=MEMBER, guild_id=GUILD)
A_MODERATOR = Actor(user_id=MODERATOR, guild_id=GUILD, manages_messages=True)
FOR_THE_MOMENT = [DeliveryFault.UNAVAILABLE, DeliveryFault.RATE_LIMITED, DeliveryFault.REFUSED]
FOR_GOOD = [DeliveryFault.MESSAGE_GONE, DeliveryFault.CHANNEL_GONE, DeliveryFault.FORBIDDEN]


@pytest.fixture
async def job(harness: ServicesHarness) -> Job:
    """Pictures that moderators were shown in a report."""
    await set_rules(harness, report_channel=REPORTS)
    return await reported(harness)


async def reported(harness: ServicesHarness, number: int = 1) -> Job:
    job = await harness.delivered(number, request=request(num_images=2))
    await harness.services.reports.report(job.id, REPORTER, "bloody")
    return job


async def set_rules(harness: ServicesHarness, **values: int) -> None:
    rules = harness.repositories.guild_settings
    await rules.change(GUILD, lambda before: replace(before, **values), by=MODERATOR, now=harness.clock.now())


async def let_the_time_pass(harness: ServicesHarness, **days: int) -> None:
    await set_rules(harness, **days)
    harness.clock.advance(timedelta(days=2).total_seconds())
    await a_round(harness)


async def a_round(harness: ServicesHarness) -> None:
    """Of retention, as every hour."""
    round_trip = asyncio.create_task(harness.services.retention.run())
    await until(lambda: 3600.0 in harness.clock.pauses)
    round_trip.cancel()
    await asyncio.wait({round_trip})


async def settled(harness: ServicesHarness) -> None:
    await until(lambda: _is_erased(harness))


async def _is_erased(harness: ServicesHarness) -> bool:
    return await harness.repositories.privacy.open() == ()


@pytest.mark.parametrize("kind", ["picture_days", "prompt_days"])
async def test_a_report_loses_what_is_no_longer_kept_and_moderators_can_still_remove_the_card(
    harness: ServicesHarness, job: Job, kind: str
) -> None:
    await let_the_time_pass(harness, **{kind: 1})

    shown = harness.board.only
    assert (shown.report.is_open, shown.pictures, harness.board.edits) == (True, (), 1)
    assert (shown.job.request == REMOVED) == (kind == "prompt_days")
    assert "delete" not in harness.messenger.ways
    await harness.services.reports.block_author(job.id, A_MODERATOR)
    await harness.services.reports.remove(job.id, A_MODERATOR)
    assert harness.board.only.report.outcome is Outcome.REMOVED
    assert harness.messenger.ways[-1] == "delete"


async def test_a_closed_report_loses_its_words_too(harness: ServicesHarness, job: Job) -> None:
    await harness.services.reports.dismiss(job.id, A_MODERATOR)

    await let_the_time_pass(harness, prompt_days=1)

    assert harness.board.only.job.request == REMOVED
    assert harness.board.only.report.outcome is Outcome.DISMISSED


async def test_rounds_change_nothing_in_messages_that_are_up_to_date(harness: ServicesHarness, job: Job) -> None:
    await let_the_time_pass(harness, prompt_days=1)
    await a_round(harness)
    await harness.services.reports.display.catch_up()

    assert harness.board.edits == 1


@pytest.mark.parametrize("kind", FOR_GOOD)
async def test_a_message_that_is_gone_for_good_is_neither_brought_back_nor_tried_again(
    harness: ServicesHarness, job: Job, kind: DeliveryFault
) -> None:
    harness.board.faults.append(fault(kind))

    await let_the_time_pass(harness, picture_days=1)
    await a_round(harness)
    await harness.services.reports.display.catch_up()

    assert (harness.board.channels, harness.board.edits) == ([REPORTS], 0)
    assert harness.store.files == {}


@pytest.mark.parametrize("kind", FOR_THE_MOMENT)
async def test_what_discord_refuses_for_the_moment_is_taken_out_an_hour_later(
    harness: ServicesHarness, job: Job, kind: DeliveryFault
) -> None:
    harness.board.faults.append(fault(kind, retry_after=1.0))
    await let_the_time_pass(harness, prompt_days=1)
    assert harness.board.only.pictures

    await a_round(harness)

    assert harness.board.only.pictures == ()
    assert harness.board.only.job.request == REMOVED


async def test_where_discord_refuses_everything_no_further_message_is_tried(harness: ServicesHarness, job: Job) -> None:
    await reported(harness, 2)
    harness.board.faults.append(fault(DeliveryFault.RATE_LIMITED))

    await let_the_time_pass(harness, picture_days=1)
    assert harness.board.edits == 0
    await a_round(harness)

    assert harness.board.edits == 2
    assert [shown.pictures for shown in harness.board.messages.values()] == [(), ()]


async def time_is_over(harness: ServicesHarness, job: Job) -> None:
    soon = harness.clock.now() + timedelta(days=1)
    content = await harness.repositories.retention.expired(GUILD, before=soon, now=soon, words=False)
    assert content.job_ids == (job.id,)
    await harness.store.delete(content.keys)
    await harness.repositories.retention.remove(content, words=False, now=harness.clock.now())


async def moderator_removes(harness: ServicesHarness, job: Job) -> None:
    await harness.store.delete(await harness.jobs.mark_deleted(job.id, by=MODERATOR, now=harness.clock.now()))


async def member_erases(harness: ServicesHarness, job: Job) -> None:
    del job
    privacy = harness.repositories.privacy
    erasure = await privacy.begin(MEMBER, now=harness.clock.now())
    assert erasure is not None
    content = await privacy.content(erasure)
    await harness.store.delete(content.keys)
    await privacy.remove(erasure, content, now=harness.clock.now())


async def moderator_dismisses(harness: ServicesHarness, job: Job) -> None:
    report = await harness.repositories.reports.latest(job.id)
    assert report is not None
    await harness.repositories.reports.close(report.id, Outcome.DISMISSED, Step(by=MODERATOR, at=harness.clock.now()))


Deed = Callable[[ServicesHarness, Job], Awaitable[None]]
DEEDS: list[Deed] = [time_is_over, moderator_removes, member_erases, moderator_dismisses]


@pytest.mark.parametrize("deed", DEEDS)
async def test_what_was_removed_before_a_crash_is_taken_out_by_the_next_start(
    harness: ServicesHarness, job: Job, deed: Deed
) -> None:
    await deed(harness, job)  # and the process dies
    assert harness.board.only.pictures

    harness.build()
    await harness.services.reports.display.catch_up()

    assert (harness.board.only.pictures, harness.board.edits) == ((), 1)


async def test_a_removal_whose_message_discord_refuses_to_change_is_shown_an_hour_later(
    harness: ServicesHarness, job: Job
) -> None:
    harness.board.faults.append(fault(DeliveryFault.UNAVAILABLE))
    with pytest.raises(UserError, match="couldn't update the report"):
        await harness.services.reports.remove(job.id, A_MODERATOR)

    await a_round(harness)

    assert harness.board.only.report.outcome is Outcome.REMOVED
    assert harness.board.only.pictures == ()


async def test_an_erasure_whose_message_discord_refuses_to_change_is_shown_an_hour_later(
    harness: ServicesHarness, job: Job
) -> None:
    harness.board.faults.append(fault(DeliveryFault.UNAVAILABLE))
    await harness.services.privacy.erase(MEMBER, OWNER)
    await settled(harness)
    assert harness.board.only.pictures

    await a_round(harness)

    assert harness.board.only.job.request == REMOVED
    assert harness.board.only.pictures == ()


async def test_a_reason_that_its_reporter_erased_goes_an_hour_later_too(harness: ServicesHarness, job: Job) -> None:
    harness.board.faults.append(fault(DeliveryFault.UNAVAILABLE))
    await harness.services.privacy.erase(OTHER, Actor(user_id=OTHER, guild_id=GUILD))
    await settled(harness)

    await a_round(harness)

    assert [said.reason for said in harness.board.only.report.complaints] == [""]


async def test_a_change_while_the_message_is_being_changed_is_shown_after_it(
    harness: ServicesHarness, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit = harness.board.edit

    async def meanwhile(message: ReportMessage, notice: ReportNotice) -> None:
        await edit(message, notice)
        if notice.report.is_open:
            await moderator_dismisses(harness, job)

    monkeypatch.setattr(harness.board, "edit", meanwhile)
    await let_the_time_pass(harness, picture_days=1)
    assert harness.board.only.report.is_open

    await a_round(harness)

    assert harness.board.only.report.outcome is Outcome.DISMISSED


async def test_a_folder_that_cannot_be_written_keeps_no_message_as_it_is(
    harness: ServicesHarness, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    await time_is_over(harness, job)

    async def refuse(self: object) -> int:
        raise FolderError("The folder cannot be written.")

    monkeypatch.setattr(type(harness.services.retention), "enforce", refuse)
    await a_round(harness)

    assert harness.board.only.pictures == ()


async def test_a_program_without_discord_leaves_the_messages_to_one_with_it(harness: ServicesHarness, job: Job) -> None:
    await time_is_over(harness, job)
    display = ReportDisplay(
        records=harness.repositories.reports,
        rules=harness.repositories.guild_settings,
        jobs=harness.jobs,
        store=harness.store,
        codec=harness.codec,
        board=None,
        metrics=harness.metrics,
    )

    await display.catch_up()
    await harness.services.reports.display.catch_up()

    assert harness.board.only.pictures == ()
