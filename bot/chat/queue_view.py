"""A member's waiting jobs as a message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from discord import ui

from bot.chat.actions import Action
from bot.chat.card_buttons import button
from bot.chat.card_text import place, words
from bot.chat.cards import PINK
from bot.domain.card import QueuePosition
from bot.domain.job import Job

MAX_SHOWN = 10  # each takes 3 of Discord's 40 components
PROMPT_LENGTH = 120
EMPTY = "You have nothing waiting. Start something with `/anime`."


def queue_view(entries: Sequence[tuple[Job, QueuePosition]]) -> ui.LayoutView:
    """One line a job with a button that cancels it, in the order in which they are drawn."""
    view = ui.LayoutView(timeout=None)
    if not entries:
        view.add_item(ui.TextDisplay(EMPTY))
        return view
    container: ui.Container[Any] = ui.Container(ui.TextDisplay("### Your queue"), accent_colour=PINK)
    for job, position in entries[:MAX_SHOWN]:
        text = f"**{words(job.request.prompt, PROMPT_LENGTH)}**\n-# {place(job, position)}"
        container.add_item(ui.Section(text, accessory=button(job.id, Action.CANCEL)))
    if len(entries) > MAX_SHOWN:
        container.add_item(ui.TextDisplay(f"-# and {len(entries) - MAX_SHOWN} more"))
    view.add_item(container)
    return view
