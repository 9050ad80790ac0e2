"""What moderators read in a report."""

from __future__ import annotations

from dataclasses import replace

import pytest
from simcord.components import walk_components

from bot.chat.views.report import NO_COPY, render_report
from bot.domain.image import ImageFile
from bot.domain.job import Job, JobStatus
from bot.domain.report import Complaint, Outcome, Report, ReportNotice, Step
from tests.examples import GUILD, MEMBER, MODERATOR, OTHER, job, reply
from tests.fakes import START

PICTURE = ImageFile(name="report-1.png", data=b"PNG", description="1girl")
COMPLAINT = Complaint(reporter_id=OTHER, reason="", reported_at=START)


@pytest.mark.parametrize(
    ("status", "pictures", "outcome", "expected"),
    [
        (JobStatus.DELIVERED, (), None, True),
        (JobStatus.DELIVERED, (PICTURE,), None, False),
        (JobStatus.QUEUED, (), None, False),
        (JobStatus.DELIVERED, (), Outcome.REMOVED, False),
    ],
)
def test_a_report_without_copies_of_shown_pictures_says_that_their_card_stays(
    status: JobStatus, pictures: tuple[ImageFile, ...], outcome: Outcome | None, expected: bool
):
    closed = None if outcome is None else Step(by=MODERATOR, at=START)
    report = Report(id=1, job_id="f" * 16, guild_id=GUILD, complaints=(COMPLAINT,), outcome=outcome, closed=closed)

    assert (f"-# {NO_COPY}" in texts(report, job(status=status), pictures)) == expected


def test_an_open_report_leads_to_its_card_although_the_words_are_no_longer_kept():
    shown = job(status=JobStatus.DELIVERED, reply=reply(message_id=40), deleted_at=START)
    report = Report(id=1, job_id=shown.id, guild_id=GUILD, complaints=(COMPLAINT,))
    closed = replace(report, outcome=Outcome.REMOVED, closed=Step(by=MODERATOR, at=START))

    assert any("jump to it" in text for text in texts(report, shown))
    assert not any("jump to it" in text for text in texts(closed, shown))


def test_what_each_reporter_says_stands_by_itself_and_ends_with_their_reason():
    more = replace(COMPLAINT, reporter_id=MEMBER, reason="too bloody")
    report = Report(id=1, job_id="f" * 16, guild_id=GUILD, complaints=(COMPLAINT, more))

    said = texts(report, job())

    assert [text.split("\n")[1] for text in said if "reported by" in text] == ["> *no reason given*", "> too bloody"]


def texts(report: Report, about: Job, pictures: tuple[ImageFile, ...] = ()) -> list[str]:
    view = render_report(ReportNotice(report=report, job=about, pictures=pictures)).view
    return [part["content"] for part in walk_components(view.to_components()) if part["type"] == 10]
