"""Reports: who may report what, what moderators are shown, and what they do about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from bot.domain.delivery import DeliveryFault
from bot.domain.job import Actor, Job, Origin
from bot.domain.moderation import Rank
from bot.domain.report import Outcome, Report, Step
from bot.errors import InvalidRequestError, NotAllowedError, NotFoundError, UserError
from bot.services.removal import CARD_STAYS
from bot.services.reports import Reports
from tests.examples import GUILD, MEMBER, MODERATOR, OTHER, origin, request
from tests.services.harness import ServicesHarness, fault

REPORTS, ELSEWHERE = 70, GUILD + 1
REPORTER = origin(100, user_id=OTHER)
A_MODERATOR = Actor(user_id=MODERATOR, guild_id=GUILD, manages_messages=True)
STRANGERS = [
    Actor(user_id=OTHER, guild_id=GUILD),
    Actor(user_id=MEMBER, guild_id=GUILD),
    Actor(user_id=OTHER, manages_messages=True, manages_guild=True),
    Actor(user_id=OTHER, guild_id=ELSEWHERE, manages_messages=True, manages_guild=True),
]

Deed = Callable[[Reports, str, Actor], Awaitable[None]]
DEEDS: list[Deed] = [Reports.remove, Reports.block_author, Reports.dismiss]


@pytest.fixture
async def job(harness: ServicesHarness) -> Job:
    """A shown job in a server that has a report channel."""
    await choose_channel(harness, REPORTS)
    return await harness.delivered(request=request(num_images=2))


async def choose_channel(harness: ServicesHarness, channel_id: int | None) -> None:
    rules = harness.repositories.guild_settings
    await rules.change(GUILD, lambda before: replace(before, report_channel=channel_id), by=MODERATOR, now=harness.clock.now())


async def latest(harness: ServicesHarness, job: Job) -> Report:
    report = await harness.repositories.reports.latest(job.id)
    assert report is not None
    return report


async def test_a_report_is_kept_and_shown_in_the_report_channel_with_copies_of_the_pictures(
    harness: ServicesHarness, job: Job
) -> None:
    await harness.services.reports.check(job.id, REPORTER)
    await harness.services.reports.report(job.id, REPORTER, "  too\nbloody ")

    shown = harness.board.only
    assert harness.board.channels == [REPORTS]
    assert [(complaint.reporter_id, complaint.reason) for complaint in shown.report.complaints] == [(OTHER, "too bloody")]
    assert shown.job.id == job.id
    assert [picture.data for picture in shown.pictures] == [b"PNG of 1000", b"PNG of 1001"]
    assert (await latest(harness, job)).message is not None


@pytest.mark.parametrize(
    ("who", "error", "sentence"),
    [
        (origin(1, user_id=MEMBER), InvalidRequestError, "one's yours"),
        (origin(1, user_id=OTHER, guild_id=ELSEWHERE), NotFoundError, "picture is gone"),
        (origin(1, user_id=OTHER, guild_id=None), NotFoundError, "picture is gone"),
        (origin(1, user_id=MEMBER, guild_id=None), NotAllowedError, "direct messages"),
    ],
)
async def test_owners_and_strangers_report_nothing(
    harness: ServicesHarness, job: Job, who: Origin, error: type[UserError], sentence: str
) -> None:
    for attempt in (harness.services.reports.check(job.id, who), harness.services.reports.report(job.id, who, "")):
        with pytest.raises(error, match=sentence):
            await attempt

    assert harness.board.messages == {}


async def test_without_a_report_channel_the_member_is_told_whom_to_ask(harness: ServicesHarness) -> None:
    job = await harness.delivered()

    with pytest.raises(NotAllowedError, match=r"no report channel.*tell a moderator"):
        await harness.services.reports.check(job.id, REPORTER)


async def test_what_is_gone_cannot_be_reported(harness: ServicesHarness, job: Job) -> None:
    await harness.services.generation.delete(job.id, A_MODERATOR)

    for job_id in (job.id, "f" * 16):
        with pytest.raises(NotFoundError):
            await harness.services.reports.report(job_id, REPORTER, "")


async def test_a_reason_that_no_form_lets_through_is_refused(harness: ServicesHarness, job: Job) -> None:
    with pytest.raises(InvalidRequestError, match="up to 300"):
        await harness.services.reports.report(job.id, REPORTER, "x" * 301)

    assert harness.board.messages == {}


async def test_a_second_reporter_joins_the_report_and_the_same_one_changes_nothing(harness: ServicesHarness, job: Job) -> None:
    reports = harness.services.reports
    await reports.report(job.id, REPORTER, "first")
    await reports.report(job.id, origin(101, user_id=77), "second")
    await reports.report(job.id, REPORTER, "again")

    assert harness.board.channels == [REPORTS]
    assert harness.board.edits == 1
    assert [complaint.reason for complaint in harness.board.only.report.complaints] == ["first", "second"]


async def test_reports_of_one_picture_at_the_same_moment_make_one_message(harness: ServicesHarness, job: Job) -> None:
    who = [origin(100 + number, user_id=200 + number) for number in range(5)]

    await asyncio.gather(*(harness.services.reports.report(job.id, one, "") for one in who))

    assert len(harness.board.only.report.complaints) == 5


async def test_a_member_reports_five_pictures_an_hour(harness: ServicesHarness, job: Job) -> None:
    others = [await harness.add(number) for number in range(2, 7)]
    for other in others:
        await harness.services.reports.report(other.id, REPORTER, "")

    with pytest.raises(NotAllowedError, match="5 pictures in the last hour"):
        await harness.services.reports.report(job.id, REPORTER, "")
    harness.clock.advance(3601)
    await harness.services.reports.report(job.id, REPORTER, "")


@pytest.mark.parametrize("kind", [DeliveryFault.FORBIDDEN, DeliveryFault.CHANNEL_GONE, DeliveryFault.UNAVAILABLE])
async def test_a_report_that_cannot_be_shown_is_kept_and_its_member_is_told(
    harness: ServicesHarness, job: Job, kind: DeliveryFault, caplog: pytest.LogCaptureFixture
) -> None:
    harness.board.faults.append(fault(kind))

    with pytest.raises(UserError, match="I kept your report, but"):
        await harness.services.reports.report(job.id, REPORTER, "a secret")

    report = await latest(harness, job)
    assert report.is_open
    assert report.message is None
    assert job.id in caplog.text
    assert "secret" not in caplog.text
    await harness.services.reports.report(job.id, REPORTER, "again")
    assert harness.board.only.report.complaints[0].reason == "a secret"


async def test_what_was_kept_and_not_shown_is_shown_after_the_next_start(harness: ServicesHarness, job: Job) -> None:
    harness.board.faults.append(fault(DeliveryFault.UNAVAILABLE))
    with pytest.raises(UserError):
        await harness.services.reports.report(job.id, REPORTER, "")

    harness.build()
    await harness.services.reports.display.catch_up()
    await harness.services.reports.display.catch_up()

    assert harness.board.only.job.id == job.id


async def test_a_message_that_was_deleted_is_posted_again_by_the_next_report(harness: ServicesHarness, job: Job) -> None:
    await harness.services.reports.report(job.id, REPORTER, "first")
    harness.board.faults.append(fault(DeliveryFault.MESSAGE_GONE))

    await harness.services.reports.report(job.id, origin(101, user_id=77), "second")

    assert len(harness.board.channels) == 2
    assert await latest(harness, job) == replace(
        list(harness.board.messages.values())[-1].report, message=(await latest(harness, job)).message
    )


async def test_remove_takes_card_and_pictures_away_and_says_who_did_it(harness: ServicesHarness, job: Job) -> None:
    await harness.services.reports.report(job.id, REPORTER, "")

    await harness.services.reports.remove(job.id, A_MODERATOR)

    assert (await harness.job(job.id)).deleted_at is not None
    assert harness.store.files == {}
    shown = harness.board.only
    assert (shown.report.outcome, shown.report.closed) == (Outcome.REMOVED, Step(by=MODERATOR, at=harness.clock.now()))
    assert shown.pictures == ()


@pytest.mark.parametrize(("way", "by"), [("delete", MEMBER), ("moderation", MODERATOR), ("erasure", MEMBER)])
async def test_a_reported_picture_that_goes_another_way_closes_its_report_and_says_so(
    harness: ServicesHarness, job: Job, way: str, by: int
) -> None:
    await harness.services.reports.report(job.id, REPORTER, "")

    if way == "delete":
        await harness.services.generation.delete(job.id, Actor(user_id=MEMBER, guild_id=GUILD))
    elif way == "moderation":
        await harness.services.moderation.remove(A_MODERATOR, job.id)
    else:
        await harness.services.privacy.erase(MEMBER, Actor(user_id=MEMBER))
        await asyncio.gather(*await harness.services.eraser.resume())

    shown = harness.board.only
    assert (shown.report.outcome, shown.report.closed) == (Outcome.REMOVED, Step(by=by, at=harness.clock.now()))
    assert shown.pictures == ()
    assert await latest(harness, job) == shown.report
    with pytest.raises(InvalidRequestError, match="already closed"):
        await harness.services.reports.remove(job.id, A_MODERATOR)


async def test_a_report_that_nobody_was_shown_and_whose_picture_is_gone_is_not_shown_any_more(
    harness: ServicesHarness, job: Job
) -> None:
    harness.board.faults.append(fault(DeliveryFault.UNAVAILABLE))
    with pytest.raises(UserError):
        await harness.services.reports.report(job.id, REPORTER, "")

    await harness.services.generation.delete(job.id, A_MODERATOR)
    await harness.services.reports.display.catch_up()

    assert harness.board.messages == {}
    assert not (await latest(harness, job)).is_open


async def test_a_deletion_is_done_although_the_reports_message_cannot_be_changed(harness: ServicesHarness, job: Job) -> None:
    await harness.services.reports.report(job.id, REPORTER, "")
    harness.board.faults.append(fault(DeliveryFault.UNAVAILABLE))

    await harness.services.generation.delete(job.id, A_MODERATOR)

    assert not (await latest(harness, job)).is_open
    assert harness.messenger.ways[-1] == "delete"


async def test_remove_tells_when_the_reports_message_cannot_be_changed(harness: ServicesHarness, job: Job) -> None:
    await harness.services.reports.report(job.id, REPORTER, "")
    harness.board.faults.append(fault(DeliveryFault.UNAVAILABLE))

    with pytest.raises(UserError, match="couldn't update the report"):
        await harness.services.reports.remove(job.id, A_MODERATOR)

    assert (await latest(harness, job)).outcome is Outcome.REMOVED


async def test_a_dismissed_report_stays_dismissed_when_the_picture_goes(harness: ServicesHarness, job: Job) -> None:
    await harness.services.reports.report(job.id, REPORTER, "")
    await harness.services.reports.dismiss(job.id, A_MODERATOR)

    await harness.services.generation.delete(job.id, Actor(user_id=MEMBER, guild_id=GUILD))

    assert (await latest(harness, job)).outcome is Outcome.DISMISSED


async def test_a_card_that_discord_keeps_is_told_and_the_report_closed(harness: ServicesHarness, job: Job) -> None:
    await harness.services.reports.report(job.id, REPORTER, "")
    harness.messenger.fail("delete", fault(DeliveryFault.FORBIDDEN))

    with pytest.raises(UserError, match=CARD_STAYS[:20]):
        await harness.services.reports.remove(job.id, A_MODERATOR)

    assert harness.board.only.report.outcome is Outcome.REMOVED


async def test_block_stops_the_author_and_leaves_the_picture_to_be_removed(harness: ServicesHarness, job: Job) -> None:
    waiting = await harness.add(2)
    await harness.services.reports.report(job.id, REPORTER, "")

    await harness.services.reports.block_author(job.id, A_MODERATOR)

    (block,) = await harness.services.moderation.blocks(A_MODERATOR, limit=5)
    assert (block.user_id, block.reason, block.blocked_by, block.ends_at) == (MEMBER, "report", MODERATOR, None)
    assert (await harness.job(waiting.id)).status == "cancelled"
    shown = harness.board.only.report
    assert (shown.is_open, shown.may_block) == (True, False)
    assert shown.blocked == Step(by=MODERATOR, at=harness.clock.now())
    assert len(harness.board.only.pictures) == 2
    with pytest.raises(InvalidRequestError, match="already blocked"):
        await harness.services.reports.block_author(job.id, A_MODERATOR)
    await harness.services.reports.remove(job.id, A_MODERATOR)


async def test_the_author_of_a_removed_picture_can_still_be_blocked(harness: ServicesHarness, job: Job) -> None:
    await harness.services.reports.report(job.id, REPORTER, "")
    await harness.services.reports.remove(job.id, A_MODERATOR)

    await harness.services.reports.block_author(job.id, A_MODERATOR)

    assert harness.board.only.report.blocked is not None


async def test_who_manages_the_server_is_not_blocked_by_a_report(harness: ServicesHarness, job: Job) -> None:
    harness.member_ranks.ranks = {MEMBER: Rank.MANAGER}
    await harness.services.reports.report(job.id, REPORTER, "")

    with pytest.raises(NotAllowedError, match="can't block"):
        await harness.services.reports.block_author(job.id, A_MODERATOR)

    assert (await latest(harness, job)).blocked is None


async def test_dismiss_leaves_everything_as_it_is_and_ends_the_report(harness: ServicesHarness, job: Job) -> None:
    await harness.services.reports.report(job.id, REPORTER, "")

    await harness.services.reports.dismiss(job.id, A_MODERATOR)

    assert (await harness.job(job.id)).deleted_at is None
    assert harness.board.only.report.outcome is Outcome.DISMISSED
    for deed in DEEDS:
        with pytest.raises(InvalidRequestError, match="already closed"):
            await deed(harness.services.reports, job.id, A_MODERATOR)


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("actor", STRANGERS)
async def test_only_moderators_of_the_jobs_own_server_decide(
    harness: ServicesHarness, job: Job, deed: Deed, actor: Actor
) -> None:
    await harness.services.reports.report(job.id, REPORTER, "")

    with pytest.raises(UserError, match=r"Manage Messages|don't know that report"):
        await deed(harness.services.reports, job.id, actor)

    report = await latest(harness, job)
    assert (report.is_open, report.blocked) == (True, None)
    assert (await harness.job(job.id)).deleted_at is None


@pytest.mark.parametrize("deed", DEEDS)
async def test_a_job_that_nobody_reported_is_not_decided_about(harness: ServicesHarness, job: Job, deed: Deed) -> None:
    with pytest.raises(NotFoundError, match="don't know that report"):
        await deed(harness.services.reports, job.id, A_MODERATOR)


async def test_what_was_decided_holds_when_the_message_cannot_be_changed_and_the_next_press_mends_it(
    harness: ServicesHarness, job: Job
) -> None:
    await harness.services.reports.report(job.id, REPORTER, "")
    harness.board.faults.append(fault(DeliveryFault.UNAVAILABLE))

    with pytest.raises(UserError, match="couldn't update the report"):
        await harness.services.reports.dismiss(job.id, A_MODERATOR)
    assert harness.board.only.report.is_open
    with pytest.raises(InvalidRequestError, match="already closed"):
        await harness.services.reports.dismiss(job.id, A_MODERATOR)

    assert harness.board.only.report.outcome is Outcome.DISMISSED
