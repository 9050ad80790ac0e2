"""Shows a member's credits as a message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import discord
from discord import ui

from bot.chat.cards.card import PINK
from bot.chat.cards.markdown import heading, small
from bot.chat.cards.text import BAR_CELLS, credits_of, pictures_text
from bot.chat.translation import _
from bot.domain.quota import FREE_WITHHELD, Balance, Limits, Usage, left_today
from bot.messages import translatable

UNIT = translatable("1 credit ≈ one 1024 × 1024 picture at 28 steps")


def quota_view(statement: Balance) -> ui.LayoutView:
    """Returns what is left today, what was granted, and what waits; unset limits are named as such or left out."""
    view = ui.LayoutView(timeout=None)
    container: ui.Container[Any] = ui.Container(ui.TextDisplay("\n".join(_today(statement))), accent_colour=PINK)
    further = "\n".join(_further(statement.limits, statement.standing))
    if further:
        container.add_item(ui.TextDisplay(further))
    container.add_item(ui.TextDisplay(small(_(UNIT))))
    view.add_item(container)
    return view


def usage_bar(spent: int, reserved: int, allowance: int) -> str:
    """Returns a bar of `spent` (dark) and `reserved` (grey) of `allowance`; any amount above zero is visible."""
    used = _cells(spent + reserved, allowance)
    dark = min(_cells(spent, allowance), used - 1 if reserved else used)
    return f"`{'█' * dark}{'▓' * (used - dark)}{'░' * (BAR_CELLS - used)}`"


def _cells(part: int, whole: int) -> int:
    """Returns how many cells `part` of `whole` fills; the bar is full if and only if nothing is left."""
    if part >= whole:
        return BAR_CELLS
    return min(BAR_CELLS - 1, -(-part * BAR_CELLS // whole))


def _today(statement: Balance) -> Iterator[str]:
    yield heading(_("Your credits"))
    limits, standing = statement.limits, statement.standing
    used = [_("{amount:,} used today", amount=standing.spent)]
    used += [_("{amount:,} reserved", amount=standing.reserved)] if standing.reserved else []
    left = left_today(limits, standing)
    if limits.daily_credits is None or left is None:
        yield _("Draw as much as you like: there's no daily limit here.")
        yield f"-# {' · '.join(used)}"
        return
    bar = usage_bar(standing.spent, standing.reserved, limits.daily_credits)
    yield _("{bar} **{left:,} of {limit:,} left today**", bar=bar, left=left, limit=limits.daily_credits)
    renewed = _("full again {when}", when=discord.utils.format_dt(statement.renews_at, "R"))
    yield f"-# {' · '.join((*used, renewed))}"


def _further(limits: Limits, standing: Usage) -> Iterator[str]:
    if standing.granted or standing.granted_reserved:
        yield _granted(standing)
    if limits.operator_credits is not None:
        everywhere, limit = standing.everywhere, limits.operator_credits
        yield _("**In all servers:** {used:,} of {limit:,} used today", used=everywhere, limit=limit)
    if standing.withheld:
        free = min(standing.withheld, FREE_WITHHELD)
        yield _(
            "**Not shown today:** {withheld:,}, {free} of them free (up to {limit} a day)",
            withheld=standing.withheld,
            free=free,
            limit=FREE_WITHHELD,
        )
    if limits.waiting_jobs is not None:
        yield _("**In the queue:** {waiting:,} of {limit:,}", waiting=standing.waiting, limit=limits.waiting_jobs)
    elif standing.waiting:
        yield _("**In the queue:** {waiting}", waiting=pictures_text(standing.waiting))


def _granted(standing: Usage) -> str:
    granted, reserved = credits_of(standing.granted), standing.granted_reserved
    if not reserved:
        return _("**Granted:** {credits}, used when today's are gone", credits=granted)
    return _(
        "**Granted:** {credits} ({reserved:,} more reserved), used when today's are gone", credits=granted, reserved=reserved
    )
