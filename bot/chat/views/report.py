"""A report as its reporter writes it (a form) and as moderators see it (a message). Pure."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import discord
from discord import ButtonStyle, TextStyle, ui

from bot.chat.actions import REPORT_BLOCK, REPORT_DISMISS, REPORT_FORM, REPORT_REMOVE, Press
from bot.chat.cards.card import GREY, RED, RenderedCard
from bot.chat.cards.markdown import shorten, visible
from bot.chat.cards.text import title, words
from bot.chat.replies import Interaction
from bot.chat.views.form_fields import given_values
from bot.domain.image import ImageFile
from bot.domain.job import Job, JobId, JobStatus
from bot.domain.links import job_link
from bot.domain.report import MAX_REPORT_LENGTH, Complaint, Outcome, Report, ReportNotice, Step

Item = ui.Item[Any]

REASON = "reason"
SEEN_BY = "You may leave this empty. The moderators of this server see it and your name."
THANKS = "Thank you. The moderators of this server have been shown your report."
MAX_SHOWN = 4  # complaints; the reasons may be twice as long once they are escaped, and Discord takes 4,000 characters
ALT_TEXT_LENGTH = 1024
NO_COPY = "-# I have no copy of the pictures to show here. The card in the channel stays until you press **Remove**."
KEPT_BACK = "-# The pictures may be for adults, and this channel is not age-restricted, so they are not shown here."
_OUTCOMES = {Outcome.REMOVED: "**🗑️ Pictures removed** by", Outcome.DISMISSED: "**✅ Dismissed** by"}
_BY_AUTHOR = "**🗑️ Pictures deleted** by their author"


def report_form(job_id: JobId) -> ui.Modal:
    """What a reporter fills in. Its custom id says all that is needed to read it, after a restart too."""
    form = ui.Modal(title="Report this picture", custom_id=Press(action=REPORT_FORM, job_id=job_id).custom_id)
    field: ui.TextInput[Any] = ui.TextInput(
        custom_id=REASON, style=TextStyle.paragraph, required=False, max_length=MAX_REPORT_LENGTH
    )
    form.add_item(ui.Label(text="What is wrong with it?", description=SEEN_BY, component=field))
    return form


def reason_of(interaction: Interaction) -> str:
    """What the reporter wrote, if anything; unchecked."""
    return given_values(interaction).get(REASON, "")


def render_report(notice: ReportNotice) -> RenderedCard:
    """Lay the report out; the pictures are hidden behind a click. The view counts as stopped, as a card's."""
    files = [_file(picture, number) for number, picture in enumerate(notice.pictures, start=1)]
    view = ui.LayoutView(timeout=None)
    view.add_item(ui.Container(*_body(notice, files), accent_colour=RED if notice.report.is_open else GREY))
    view.stop()
    return RenderedCard(view=view, files=files)


def _body(notice: ReportNotice, files: list[discord.File]) -> Iterator[Item]:
    report, job = notice.report, notice.job
    yield ui.TextDisplay("### 🚩 Reported picture" if report.is_open else "### Report closed")
    yield ui.TextDisplay(f"{title(job)}\n{_whose(job, report)}")
    yield from map(ui.TextDisplay[Any], _complaints(report))
    if files:
        yield ui.MediaGallery(*(discord.MediaGalleryItem(file, description=file.description, spoiler=True) for file in files))
    elif notice.is_kept_back:
        yield ui.TextDisplay(KEPT_BACK)
    elif report.is_open and job.status is JobStatus.DELIVERED:
        yield ui.TextDisplay(NO_COPY)
    steps = list(_steps(report, job))
    if steps:
        yield ui.TextDisplay("\n".join(steps))
    buttons = list(_buttons(report))
    if buttons:
        yield ui.ActionRow(*buttons)


def _whose(job: Job, report: Report) -> str:
    """The card of an open report stands, although a job counts as deleted once its words are no longer kept."""
    asked = discord.utils.format_dt(job.created_at, "R")
    link = job_link(replace(job, deleted_at=None) if report.is_open else job)
    where = f" · [show it in the channel]({link})" if link else ""
    return f"-# by <@{job.origin.user_id}> · asked for {asked}{where}"


def _complaints(report: Report) -> Iterator[str]:
    for complaint in report.complaints[:MAX_SHOWN]:
        yield _complaint(complaint)
    more = len(report.complaints) - MAX_SHOWN
    if more > 0:
        yield f"-# and {more:,} more"


def _complaint(complaint: Complaint) -> str:
    when = discord.utils.format_dt(complaint.reported_at, "R")
    reason = words(complaint.reason, MAX_REPORT_LENGTH) if complaint.reason else "*no reason given*"
    return f"-# reported by <@{complaint.reporter_id}> {when}\n> {reason}"


def _steps(report: Report, job: Job) -> Iterator[str]:
    if report.blocked is not None:
        yield _step("**🚫 Author blocked** by", report.blocked)
    if report.outcome is not None and report.closed is not None:
        by_author = report.outcome is Outcome.REMOVED and report.closed.by == job.origin.user_id
        yield _step(_BY_AUTHOR if by_author else _OUTCOMES[report.outcome], report.closed)


def _step(what: str, step: Step) -> str:
    return f"{what} <@{step.by}> {discord.utils.format_dt(step.at, 'f')}"


def _buttons(report: Report) -> Iterator[ui.Button[Any]]:
    if report.is_open:
        yield _button("Remove", "🗑️", ButtonStyle.danger, REPORT_REMOVE, report.job_id)
    if report.may_block:
        yield _button("Block author", "🚫", ButtonStyle.secondary, REPORT_BLOCK, report.job_id)
    if report.is_open:
        yield _button("Dismiss", None, ButtonStyle.secondary, REPORT_DISMISS, report.job_id)


def _button(label: str, emoji: str | None, style: ButtonStyle, action: str, job_id: JobId) -> ui.Button[Any]:
    return ui.Button(label=label, emoji=emoji, style=style, custom_id=Press(action=action, job_id=job_id).custom_id)


def _file(picture: ImageFile, number: int) -> discord.File:
    description = shorten(visible(picture.description), ALT_TEXT_LENGTH) or f"Picture {number}"
    return discord.File(io.BytesIO(picture.data), filename=picture.name, description=description, spoiler=True)
