"""A member's credits as a message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import discord
from discord import ui

from bot.chat.cards.card import PINK
from bot.chat.cards.text import BAR_CELLS
from bot.domain.quota import FREE_WITHHELD, Balance, Limits, Usage, counted, in_credits, left_today

UNIT = "-# 1 credit is one picture of 1024 × 1024 pixels and 28 steps; more pictures, pixels or steps cost more"


def quota_view(statement: Balance) -> ui.LayoutView:
    """What is left today, what was granted, what waits; limits that are not set say so or are left out."""
    view = ui.LayoutView(timeout=None)
    container: ui.Container[Any] = ui.Container(ui.TextDisplay("\n".join(_today(statement))), accent_colour=PINK)
    further = "\n".join(_further(statement.limits, statement.standing))
    if further:
        container.add_item(ui.TextDisplay(further))
    container.add_item(ui.TextDisplay(UNIT))
    view.add_item(container)
    return view


def usage_bar(spent: int, reserved: int, allowance: int) -> str:
    """`spent` and `reserved` of `allowance`, dark and grey; whatever is more than nothing is seen."""
    used = _cells(spent + reserved, allowance)
    dark = min(_cells(spent, allowance), used - 1 if reserved else used)
    return f"`{'█' * dark}{'▓' * (used - dark)}{'░' * (BAR_CELLS - used)}`"


def _cells(part: int, whole: int) -> int:
    """How many cells `part` of `whole` fills; the bar is full when, and only when, nothing is left."""
    if part >= whole:
        return BAR_CELLS
    return min(BAR_CELLS - 1, -(-part * BAR_CELLS // whole))


def _today(statement: Balance) -> Iterator[str]:
    yield "### Your credits"
    limits, standing = statement.limits, statement.standing
    used = [f"{standing.spent:,} used", f"{standing.reserved:,} reserved"]
    left = left_today(limits, standing)
    if limits.daily_credits is None or left is None:
        yield "**No daily limit here**"
        yield f"-# Today: {' · '.join(used)}"
        return
    bar = usage_bar(standing.spent, standing.reserved, limits.daily_credits)
    yield f"{bar} **{left:,} of {limits.daily_credits:,} left today**"
    yield f"-# {' · '.join(used)} · full again {discord.utils.format_dt(statement.renews_at, 'R')}"


def _further(limits: Limits, standing: Usage) -> Iterator[str]:
    if standing.granted or standing.granted_reserved:
        reserved = f" ({standing.granted_reserved:,} more reserved)" if standing.granted_reserved else ""
        yield f"**Granted:** {in_credits(standing.granted)}{reserved}, used when today's are gone"
    if limits.operator_credits is not None:
        yield f"**On all servers:** {standing.everywhere:,} of {limits.operator_credits:,} used today"
    if standing.withheld:
        free = min(standing.withheld, FREE_WITHHELD)
        yield f"**Withheld today:** {standing.withheld:,}, {free} of them for nothing (at most {FREE_WITHHELD} a day)"
    if limits.waiting_jobs is not None:
        yield f"**Waiting:** {standing.waiting:,} of {counted(limits.waiting_jobs, 'job')}"
    elif standing.waiting:
        yield f"**Waiting:** {counted(standing.waiting, 'job')}"
