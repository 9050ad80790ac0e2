"""Reports on a real database."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta

import pytest

from bot.domain.message_reference import MessageReference
from bot.domain.report import Complaint, Filed, Outcome, ReportMessage, Step
from bot.storage.reports import OUTDATED
from tests.storage.conftest import Store
from tests.storage.erasures import LATER, erase
from tests.storage.samples import NOW

GUILD = 200
HOUR = timedelta(hours=1)
STEP = Step(by=900, at=NOW)


async def file(
    store: Store, job_id: str, reporter_id: int = 300, *, reason: str = "blood", now: datetime = NOW, most: int = 5
) -> Filed | None:
    complaint = Complaint(reporter_id=reporter_id, reason=reason, reported_at=now)
    return await store.repositories.reports.file(complaint, job_id=job_id, guild_id=GUILD, most=most, since=now - HOUR)


async def filed(store: Store, job_id: str, reporter_id: int = 300) -> Filed:
    result = await file(store, job_id, reporter_id)
    assert result is not None
    return result


async def test_complaints_about_one_picture_meet_in_one_report(store: Store) -> None:
    job = await store.succeeded(1)

    first = await filed(store, job.id, 300)
    second = await filed(store, job.id, 301)

    assert (first.is_new, second.is_new) == (True, True)
    assert first.report.id == second.report.id
    assert [complaint.reporter_id for complaint in second.report.complaints] == [300, 301]
    assert second.report.complaints[0] == Complaint(reporter_id=300, reason="blood", reported_at=NOW)
    assert (second.report.job_id, second.report.guild_id, second.report.is_open) == (job.id, GUILD, True)


async def test_a_second_complaint_of_the_same_member_changes_nothing_even_after_the_end(store: Store) -> None:
    job = await store.succeeded(1)
    first = await filed(store, job.id)

    again = await file(store, job.id, reason="more blood")
    await store.repositories.reports.close(first.report.id, Outcome.DISMISSED, STEP)
    after = await filed(store, job.id)

    assert again == Filed(report=first.report, is_new=False)
    assert (after.report.id, after.is_new) == (first.report.id, False)


async def test_a_deletion_closes_the_open_report_about_that_picture_alone(store: Store) -> None:
    gone, kept, waiting = await store.succeeded(1), await store.succeeded(2), await store.add(3)
    for job in (gone, kept, waiting):
        await filed(store, job.id)

    for job in (gone, waiting):
        await store.jobs.mark_deleted(job.id, by=900, now=NOW)
        await store.jobs.mark_deleted(job.id, by=901, now=NOW + HOUR)

    reports = store.repositories.reports
    ended, still, undone = [await reports.latest(job.id) for job in (gone, kept, waiting)]
    assert ended is not None
    assert (ended.outcome, ended.closed) == (Outcome.REMOVED, STEP)
    assert still is not None
    assert still.is_open
    assert undone is not None
    assert undone.is_open  # what has not ended cannot be deleted


async def test_an_erasure_closes_the_open_reports_about_the_members_pictures_alone(store: Store) -> None:
    own, dismissed, others = [await store.succeeded(1), await store.succeeded(2), await store.succeeded(3, user_id=101)]
    found = [await filed(store, job.id) for job in (own, dismissed, others)]
    reports = store.repositories.reports
    await reports.close(found[1].report.id, Outcome.DISMISSED, STEP)

    await erase(store.database, own.origin.user_id)

    first, second, third = [await reports.get(filing.report.id) for filing in found]
    assert (first.outcome, first.closed) == (Outcome.REMOVED, Step(by=own.origin.user_id, at=LATER))
    assert (second.outcome, second.closed) == (Outcome.DISMISSED, STEP)
    assert third.is_open


async def test_another_member_opens_a_new_report_after_the_end_of_the_first(store: Store) -> None:
    reports = store.repositories.reports
    job = await store.succeeded(1)
    first = await filed(store, job.id)
    await reports.close(first.report.id, Outcome.DISMISSED, STEP)

    second = await filed(store, job.id, 301)

    assert second.report.id != first.report.id
    assert await reports.latest(job.id) == second.report


async def test_a_member_files_so_many_within_the_time_and_no_more(store: Store) -> None:
    jobs = [await store.add(number) for number in range(1, 5)]
    for job in jobs[:2]:
        assert await file(store, job.id, most=2) is not None

    assert await file(store, jobs[2].id, most=2) is None
    assert await store.scalar("SELECT COUNT(*) FROM reports") == 2
    assert await file(store, jobs[2].id, 301, most=2) is not None
    assert await file(store, jobs[3].id, most=2, now=NOW + HOUR) is not None


async def test_reports_of_before_the_clock_was_set_back_count_towards_no_limit(store: Store) -> None:
    jobs = [await store.add(number) for number in range(1, 4)]
    for job in jobs[:2]:
        assert await file(store, job.id, most=2, now=NOW + timedelta(days=4000)) is not None

    assert await file(store, jobs[2].id, most=2) is not None


async def test_what_was_done_is_kept_with_who_did_it_and_the_end_happens_once(store: Store) -> None:
    reports = store.repositories.reports
    job = await store.succeeded(1)
    report_id = (await filed(store, job.id)).report.id
    assert await reports.unseen(after=0, limit=9) == (report_id,)

    await reports.shown(await reports.get(report_id), ReportMessage(channel_id=5, message_id=6))
    await reports.blocked(report_id, STEP)
    await reports.blocked(report_id, Step(by=901, at=NOW))
    closed = [await reports.close(report_id, outcome, STEP) for outcome in (Outcome.REMOVED, Outcome.DISMISSED)]

    report = await reports.get(report_id)
    assert closed == [True, False]
    assert (report.message, report.blocked) == (ReportMessage(channel_id=5, message_id=6), STEP)
    assert (report.outcome, report.closed) == (Outcome.REMOVED, STEP)
    assert await reports.unseen(after=0, limit=9) == ()


async def test_a_message_is_outdated_from_a_change_until_that_change_is_shown(store: Store) -> None:
    reports, message = store.repositories.reports, ReportMessage(channel_id=5, message_id=6)
    job = await store.succeeded(1)
    report_id = (await filed(store, job.id)).report.id
    assert await reports.outdated(after=0, limit=9) == ()  # there is no message yet
    await reports.shown(await reports.get(report_id), message)
    assert await reports.outdated(after=0, limit=9) == ()

    before = await reports.get(report_id)
    await filed(store, job.id, 301)
    between = await reports.get(report_id)
    await reports.blocked(report_id, STEP)
    await reports.shown(before, message)
    await reports.shown(between, message)
    assert await reports.outdated(after=0, limit=9) == (report_id,)
    await reports.shown(await reports.get(report_id), message)
    await reports.shown(between, message)  # one that was held up

    assert await reports.outdated(after=0, limit=9) == ()
    await reports.close(report_id, Outcome.DISMISSED, STEP)
    assert await reports.outdated(after=0, limit=9) == (report_id,)
    assert (await reports.get(report_id)).is_outdated


async def test_looking_for_outdated_messages_reads_no_other(store: Store) -> None:
    values = {"after": 0, "limit": 9}
    rows = await store.database.read(lambda connection: connection.execute(f"EXPLAIN QUERY PLAN {OUTDATED}", values).fetchall())

    assert "INDEX reports_outdated" in rows[0]["detail"]


async def test_a_closed_report_is_not_rewritten(store: Store) -> None:
    job = await store.succeeded(1)
    report_id = (await filed(store, job.id)).report.id
    await store.repositories.reports.close(report_id, Outcome.REMOVED, STEP)

    with pytest.raises(sqlite3.IntegrityError, match="stays as it was closed"):
        await store.database.transaction(lambda connection: connection.execute("UPDATE reports SET outcome = 'dismissed'"))


async def test_a_job_is_found_by_the_message_that_shows_it_in_its_own_server_only(store: Store) -> None:
    moderation = store.repositories.moderation
    job = await store.succeeded(1)
    await store.jobs.set_message(job.id, channel_id=7, message_id=8)

    for channel_id in (None, 7):
        found = await moderation.job_shown_in(GUILD, MessageReference(message_id=8, channel_id=channel_id))
        assert found is not None
        assert found.id == job.id
    assert await moderation.job_shown_in(GUILD, MessageReference(message_id=8, channel_id=9)) is None
    assert await moderation.job_shown_in(GUILD + 1, MessageReference(message_id=8)) is None
