"""Finds the job whose card a message of ours is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import discord

from bot.chat.actions import Action, Press
from bot.domain.job import JobId

_ACTIONS = frozenset(action.value for action in Action)


def job_on(message: discord.Message, own_id: int | None) -> JobId | None:
    """Returns the job of the message's buttons; None unless the bot `own_id` wrote it and they name one job.

    The asking member may still have no right to that job.
    """
    if own_id is None or message.author.id != own_id:
        return None
    presses = (Press.parse(name) for name in custom_ids(message.components))
    jobs = {press.job_id for press in presses if press is not None and press.action in _ACTIONS}
    return jobs.pop() if len(jobs) == 1 else None


def custom_ids(components: object) -> Iterator[str]:
    """Yields the custom ids of all components, nested ones too."""
    for component in cast("list[Any]", components):
        custom_id = getattr(component, "custom_id", None)
        if isinstance(custom_id, str):
            yield custom_id
        yield from custom_ids(getattr(component, "children", []))
