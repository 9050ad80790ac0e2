"""Renders a report as its reporter writes it (a form) and as moderators see it (a message). Pure."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import discord
from discord import ButtonStyle, TextStyle, ui

from bot.chat.actions import REPORT_BLOCK, REPORT_DISMISS, REPORT_FORM, REPORT_REMOVE, Press
from bot.chat.cards.card import GREY, RED, RenderedCard, language_of_card
from bot.chat.cards.markdown import heading, link, shorten, small, visible
from bot.chat.cards.text import title, words
from bot.chat.limits import ALT_TEXT_LENGTH, BUTTON_LENGTH
from bot.chat.replies import Interaction
from bot.chat.translation import _, plural, rendered, speaking
from bot.chat.views.form_fields import form, given_values, labelled
from bot.domain.image import ImageFile
from bot.domain.job import Job, JobId, JobStatus
from bot.domain.links import job_link
from bot.domain.report import MAX_REPORT_LENGTH, Complaint, Outcome, Report, ReportNotice, Step
from bot.messages import translatable

Item = ui.Item[Any]

REASON = "reason"
SEEN_BY = translatable("Optional. Moderators will see this and your name.")
THANKS = translatable("Thanks! I've sent this to the moderators.")
MAX_SHOWN = 4  # complaints; the reasons may be twice as long once they are escaped, and Discord takes 4,000 characters
NO_COPY = translatable(
    "I don't have a copy of the pictures to show here. The card stays in the channel until you press **Delete**."
)
KEPT_BACK = translatable("The pictures may be adult, and this channel isn't age-restricted, so I don't show them here.")
_BLOCKED = translatable("**🚫 Author blocked** by {member} {when}")
_OUTCOMES = {
    Outcome.REMOVED: translatable("**🗑️ Pictures deleted** by {member} {when}"),
    Outcome.DISMISSED: translatable("**✅ Dismissed** by {member} {when}"),
}
_BY_AUTHOR = translatable("**🗑️ Pictures deleted** by their author {member} {when}")


def report_form(job_id: JobId) -> ui.Modal:
    """Returns the reporter's form. Its custom id is all that is needed to read it, after a restart too."""
    filled = form(_("Report this picture"), Press(action=REPORT_FORM, job_id=job_id).custom_id)
    field: ui.TextInput[Any] = ui.TextInput(
        custom_id=REASON, style=TextStyle.paragraph, required=False, max_length=MAX_REPORT_LENGTH
    )
    filled.add_item(labelled(_("What's wrong with it?"), field, hint=_(SEEN_BY)))
    return filled


def reason_of(interaction: Interaction) -> str:
    """Returns the reporter's text, if any; unchecked."""
    return given_values(interaction).get(REASON, "")


def render_report(notice: ReportNotice) -> RenderedCard:
    """Lays the report out in the language of the server's cards; the pictures are hidden behind a click. The view is
    marked as stopped, as a card's.
    """
    with speaking(language_of_card(notice.job)):
        files = [_file(picture, number) for number, picture in enumerate(notice.pictures, start=1)]
        view = ui.LayoutView(timeout=None)
        view.add_item(ui.Container(*_body(notice, files), accent_colour=RED if notice.report.is_open else GREY))
    view.stop()
    return RenderedCard(view=view, files=files)


def _body(notice: ReportNotice, files: list[discord.File]) -> Iterator[Item]:
    report, job = notice.report, notice.job
    yield ui.TextDisplay(heading(_("🚩 Reported picture") if report.is_open else _("Report closed")))
    yield ui.TextDisplay(f"{title(job)}\n{_whose(job, report)}")
    yield from map(ui.TextDisplay[Any], _complaints(report))
    if files:
        yield ui.MediaGallery(*(discord.MediaGalleryItem(file, description=file.description, spoiler=True) for file in files))
    elif notice.is_kept_back:
        yield ui.TextDisplay(small(_(KEPT_BACK)))
    elif report.is_open and job.status is JobStatus.DELIVERED:
        yield ui.TextDisplay(small(_(NO_COPY)))
    steps = list(_steps(report, job))
    if steps:
        yield ui.TextDisplay("\n".join(steps))
    buttons = list(_buttons(report))
    if buttons:
        yield ui.ActionRow(*buttons)


def _whose(job: Job, report: Report) -> str:
    """Returns whose job it is. The card of an open report exists, though a job without words counts as deleted."""
    asked = discord.utils.format_dt(job.created_at, "R")
    url = job_link(replace(job, deleted_at=None) if report.is_open else job)
    facts = [_("by {member}", member=f"<@{job.origin.user_id}>"), asked]
    facts += [link(_("jump to it"), url)] if url else []
    return f"-# {' · '.join(facts)}"


def _complaints(report: Report) -> Iterator[str]:
    for complaint in report.complaints[:MAX_SHOWN]:
        yield _complaint(complaint)
    more = len(report.complaints) - MAX_SHOWN
    if more > 0:
        yield small(plural("and {count:,} more", "and {count:,} more", more))


def _complaint(complaint: Complaint) -> str:
    when = discord.utils.format_dt(complaint.reported_at, "R")
    reason = words(complaint.reason, MAX_REPORT_LENGTH) if complaint.reason else _("*no reason given*")
    by = _("reported by {member} {when}", member=f"<@{complaint.reporter_id}>", when=when)
    return f"-# {by}\n> {reason}"


def _steps(report: Report, job: Job) -> Iterator[str]:
    if report.blocked is not None:
        yield _step(_BLOCKED, report.blocked)
    if report.outcome is not None and report.closed is not None:
        by_author = report.outcome is Outcome.REMOVED and report.closed.by == job.origin.user_id
        yield _step(_BY_AUTHOR if by_author else _OUTCOMES[report.outcome], report.closed)


def _step(what: str, step: Step) -> str:
    return _(what, member=f"<@{step.by}>", when=discord.utils.format_dt(step.at, "f"))


def _buttons(report: Report) -> Iterator[ui.Button[Any]]:
    if report.is_open:
        yield _button(_("Delete"), "🗑️", ButtonStyle.danger, REPORT_REMOVE, report.job_id)
    if report.may_block:
        yield _button(_("Block author"), "🚫", ButtonStyle.secondary, REPORT_BLOCK, report.job_id)
    if report.is_open:
        yield _button(_("Dismiss"), None, ButtonStyle.secondary, REPORT_DISMISS, report.job_id)


def _button(label: str, emoji: str | None, style: ButtonStyle, action: str, job_id: JobId) -> ui.Button[Any]:
    return ui.Button(
        label=label[:BUTTON_LENGTH], emoji=emoji, style=style, custom_id=Press(action=action, job_id=job_id).custom_id
    )


def _file(picture: ImageFile, number: int) -> discord.File:
    description = shorten(visible(rendered(picture.description)), ALT_TEXT_LENGTH) or _("Picture {number}", number=number)
    return discord.File(io.BytesIO(picture.data), filename=picture.name, description=description, spoiler=True)
