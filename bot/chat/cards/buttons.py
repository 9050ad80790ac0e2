"""Builds the rows of buttons under a card."""

from __future__ import annotations

from typing import Any

import discord
from discord import ButtonStyle

from bot.chat.actions import Action, Press
from bot.chat.limits import BUTTON_LENGTH
from bot.chat.translation import _
from bot.domain.job import JobId
from bot.messages import translatable

Row = discord.ui.ActionRow[Any]

_LOOKS = {
    Action.REROLL: (translatable("Reroll"), "🎲", ButtonStyle.primary),
    Action.REMIX: (translatable("Remix"), "✏️", ButtonStyle.secondary),
    Action.DETAILS: (translatable("Details"), "📋", ButtonStyle.secondary),
    Action.DELETE: (translatable("Delete"), "🗑️", ButtonStyle.secondary),
    Action.REPORT: (translatable("Report"), "🚩", ButtonStyle.secondary),
    Action.CANCEL: (translatable("Cancel"), None, ButtonStyle.secondary),
    Action.SUBTLE: (translatable("Subtle"), "🌱", ButtonStyle.secondary),
    Action.STRONG: (translatable("Strong"), "🔥", ButtonStyle.secondary),
    Action.UPSCALE: (translatable("Upscale"), "🔍", ButtonStyle.secondary),
}


def row(job_id: JobId, *actions: Action) -> Row:
    """Returns one row with a button for each action."""
    return discord.ui.ActionRow(*(button(job_id, action) for action in actions))


def picture_rows(job_id: JobId, images: int) -> list[Row]:
    """Returns the buttons for each picture: a row of subtle, one of strong and one of upscale variations; a single picture
    needs one row.
    """
    if images == 1:
        labels = {Action.SUBTLE: _("Vary (subtle)"), Action.STRONG: _("Vary (strong)"), Action.UPSCALE: _("Upscale")}
        return [discord.ui.ActionRow(*(button(job_id, action, 1, label) for action, label in labels.items()))]
    return [
        discord.ui.ActionRow(*(button(job_id, action, number) for number in range(1, images + 1)))
        for action in (Action.SUBTLE, Action.STRONG, Action.UPSCALE)
    ]


def button(job_id: JobId, action: Action, image: int | None = None, label: str | None = None) -> discord.ui.Button[Any]:
    """Returns a plain button: the registered dynamic item answers it by its custom id. `image` counts from 1."""
    name, emoji, style = _LOOKS[action]
    return discord.ui.Button(
        label=(label or (_(name) if image is None else _("{action} {number}", action=_(name), number=image)))[:BUTTON_LENGTH],
        emoji=emoji,
        style=style,
        custom_id=Press(action=action, job_id=job_id, image=image).custom_id,
    )
