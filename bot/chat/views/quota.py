"""Shows a member's credits as a message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import discord
from discord import ui

from bot.chat.cards.card import PINK
from bot.chat.cards.markdown import heading, small
from bot.chat.cards.text import BAR_CELLS, pictures_text
from bot.chat.translation import _
from bot.domain.quota import FREE_WITHHELD, Balance, Limits, Usage, in_credits, left_today
from bot.messages import translatable

UNIT = translatable("1 credit ≈ one 1024 × 1024 picture at 28 steps")


def quota_view(balance: Balance) -> ui.LayoutView:
    """Returns what is left today, what was granted, and what waits; unset limits are named as such or left out."""
    view = ui.LayoutView(timeout=None)
    container: ui.Container[Any] = ui.Container(ui.TextDisplay("\n".join(_today(balance))), accent_colour=PINK)
    further = "\n".join(_further(balance.limits, balance.usage))
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


def _today(balance: Balance) -> Iterator[str]:
    yield heading(_("Your credits"))
    limits, usage = balance.limits, balance.usage
    used = [_("{amount:,} used today", amount=usage.spent)]
    used += [_("{amount:,} reserved", amount=usage.reserved)] if usage.reserved else []
    left = left_today(limits, usage)
    if limits.daily_credits is None or left is None:
        yield _("Draw as much as you like: there's no daily limit here.")
        yield f"-# {' · '.join(used)}"
        return
    bar = usage_bar(usage.spent, usage.reserved, limits.daily_credits)
    yield _("{bar} **{left:,} of {limit:,} left today**", bar=bar, left=left, limit=limits.daily_credits)
    renewed = _("full again {when}", when=discord.utils.format_dt(balance.renews_at, "R"))
    yield f"-# {' · '.join((*used, renewed))}"


def _further(limits: Limits, usage: Usage) -> Iterator[str]:
    if usage.granted or usage.granted_reserved:
        yield _granted(usage)
    if limits.operator_credits is not None:
        everywhere, limit = usage.everywhere, limits.operator_credits
        yield _("**In all servers:** {used:,} of {limit:,} used today", used=everywhere, limit=limit)
    if usage.withheld:
        free = min(usage.withheld, FREE_WITHHELD)
        yield _(
            "**Not shown today:** {withheld:,}, {free} of them free (up to {limit} a day)",
            withheld=usage.withheld,
            free=free,
            limit=FREE_WITHHELD,
        )
    if limits.waiting_jobs is not None:
        yield _("**In the queue:** {waiting:,} of {limit:,}", waiting=usage.waiting, limit=limits.waiting_jobs)
    elif usage.waiting:
        yield _("**In the queue:** {waiting}", waiting=pictures_text(usage.waiting))


def _granted(usage: Usage) -> str:
    granted, reserved = in_credits(usage.granted), usage.granted_reserved
    if not reserved:
        return _("**Granted:** {credits}, used when today's are gone", credits=granted)
    return _(
        "**Granted:** {credits} ({reserved:,} more reserved), used when today's are gone", credits=granted, reserved=reserved
    )
