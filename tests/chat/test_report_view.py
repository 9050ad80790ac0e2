"""What moderators read in a report."""

from __future__ import annotations

import pytest
from simcord.components import walk_components

from bot.chat.report_view import NO_COPY, render_report
from bot.domain.image import ImageFile
from bot.domain.job import JobStatus
from bot.domain.report import Complaint, Outcome, Report, ReportNotice, Step
from tests.examples import GUILD, MODERATOR, OTHER, job
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

    view = render_report(ReportNotice(report=report, job=job(status=status), pictures=pictures)).view

    texts = [part["content"] for part in walk_components(view.to_components()) if part["type"] == 10]
    assert (NO_COPY in texts) == expected
