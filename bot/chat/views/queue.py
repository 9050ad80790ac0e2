"""Shows waiting jobs as a message: a member's own, or a server's for its moderators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import discord
from discord import ui

from bot.chat.actions import Action
from bot.chat.cards.buttons import button
from bot.chat.cards.card import PINK
from bot.chat.cards.markdown import heading, small
from bot.chat.cards.text import place, words
from bot.chat.translation import _, plural
from bot.domain.job import JobId
from bot.domain.queue import Pause, QueueEntry, QueueOverview
from bot.messages import translatable

MAX_SHOWN = 10  # each takes 3 of Discord's 40 components
PROMPT_LENGTH = 120
SERVER_QUEUE = translatable("This server's queue")
EMPTY = translatable("Your queue is empty. Draw something with `/anime`!")
SERVER_EMPTY = translatable("The queue is empty.")


def queue_view(overview: QueueOverview) -> ui.LayoutView:
    """Returns a member's jobs: one line each with a button that cancels it, in the order in which they are drawn."""
    lines = [(entry, place(entry.job, entry.position)) for entry in overview.entries]
    return _view(heading(_("Your queue")) if lines else _(EMPTY), lines, overview.total)


def server_queue_view(overview: QueueOverview) -> ui.LayoutView:
    """Returns a server's jobs likewise, with their members and whether the queue is paused."""
    lines_above = [heading(_(SERVER_QUEUE)) if overview.entries else _(SERVER_EMPTY)]
    if overview.pause is not None:
        lines_above.append(_paused(overview.pause))
    lines = [(entry, f"<@{entry.job.origin.user_id}> · {place(entry.job, entry.position)}") for entry in overview.entries]
    return _view("\n".join(lines_above), lines, overview.total)


def struck_out(message: discord.Message, job_id: JobId) -> ui.LayoutView:
    """Returns the list that `message` shows, with that job's button disabled and labelled as cancelled."""
    view = ui.LayoutView.from_message(message, timeout=None)
    for item in view.walk_children():
        if isinstance(item, ui.Button) and (item.custom_id or "").endswith(f":{job_id}"):
            item.disabled, item.label, item.emoji = True, _("Cancelled"), None
    return view


def _view(text: str, lines: Sequence[tuple[QueueEntry, str]], total: int) -> ui.LayoutView:
    view = ui.LayoutView(timeout=None)
    if not lines:
        view.add_item(ui.TextDisplay(text))
        return view
    container: ui.Container[Any] = ui.Container(ui.TextDisplay(text), accent_colour=PINK)
    for entry, line in lines[:MAX_SHOWN]:
        line_text = f"**{words(entry.job.request.prompt, PROMPT_LENGTH)}**\n-# {line}"
        container.add_item(ui.Section(line_text, accessory=button(entry.job.id, Action.CANCEL)))
    if total > MAX_SHOWN:
        container.add_item(ui.TextDisplay(small(plural("and {count:,} more", "and {count:,} more", total - MAX_SHOWN))))
    view.add_item(container)
    return view


def _paused(pause: Pause) -> str:
    when = discord.utils.format_dt(pause.paused_at, "R")
    member = f"<@{pause.paused_by}>"
    return _("⏸️ Paused by {member} {when}. Use `/queue resume` to continue.", member=member, when=when)
