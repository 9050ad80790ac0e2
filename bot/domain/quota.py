"""What a request costs, what a member may use, and whether the one fits into the other. All amounts are whole credits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from fractions import Fraction

from bot.domain.request import GenerationRequest
from bot.errors import QuotaError
from bot.messages import Message, counted

CREDIT = 28 * 1024 * 1024  # pixel-steps: one 1024 x 1024 picture of 28 steps
FREE_WITHHELD = 3  # jobs of a member a day, in all servers; a prompt that was meant well goes too far now and then
MAX_GRANT = 10_000  # credits at once; a slip of the finger should not give a member the GPU for good


class EntryKind(StrEnum):
    """The kinds of ledger postings; a job has at most one of each in a purse.

    A refund beside a charge: of the steps that a cancelled job did not take, or of all, when nothing could be shown.
    """

    GRANT = "grant"
    RESERVE = "reserve"
    CHARGE = "charge"
    REFUND = "refund"


class Account(StrEnum):
    """Where credits come from; a member has both in every server."""

    DAILY = "daily"  # full again at 00:00 UTC
    GRANTED = "granted"  # from moderators; does not expire, and is used when today's allowance is not enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a member may use here and now, out of server settings, roles and the operator's cap. None: no limit.

    `daily_credits` is the allowance of a day (UTC) in this server, `operator_credits` the cap of a day over all servers;
    `waiting_jobs` counts this member's queued and running jobs in this server. `weight` (above 0) is the member's share of
    the queue: the server's weight times the role's priority.
    """

    daily_credits: int | None = None
    waiting_jobs: int | None = None
    operator_credits: int | None = None
    weight: float = 1.0


UNLIMITED = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a member has used of today (UTC) and holds in one server; credits but for `waiting`, which counts jobs.

    `spent` and `reserved` are of today's allowance, `granted` is what is left of the granted credits. `everywhere` is what
    was spent and reserved today over all servers and purses, `withheld` how many jobs the classifier withheld there today.
    """

    spent: int = 0
    reserved: int = 0
    granted: int = 0
    granted_reserved: int = 0
    everywhere: int = 0
    waiting: int = 0
    withheld: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What a member may use and has used, in one place at one time."""

    limits: Limits
    usage: Usage
    renews_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """How a price is taken from the two purses."""

    daily: int
    granted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepsTaken:
    """How far an attempt at a job has come: the steps of its pictures, added up."""

    attempt: int
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Credits that a moderator gives to a member; `interaction_id` is unique, so a replayed event grants once."""

    interaction_id: int
    user_id: int
    guild_id: int
    credits: int
    granted_by: int


def price(request: GenerationRequest) -> int:
    """Pictures times pixels times the steps that run, in whole credits, rounded up."""
    return math.ceil(Fraction(request.pixel_steps, CREDIT))


def price_of_steps(request: GenerationRequest, steps: int) -> int:
    """What a member pays who cancels after that many steps of all pictures together: in whole credits, rounded down.

    From the second step of each picture on it is 1 credit at least: else a small picture could be looked at for nothing.
    """
    if steps <= request.num_images:
        return 0
    pixel_steps = min(steps * request.width * request.height, request.pixel_steps)
    return min(max(1, pixel_steps // CREDIT), price(request))


def day_of(now: datetime) -> int:
    """The day of an aware time, counted from 1970-01-01 UTC."""
    return (now.astimezone(UTC).date() - datetime(1970, 1, 1, tzinfo=UTC).date()).days


def renews_at(now: datetime) -> datetime:
    """The next 00:00 UTC."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), tzinfo=UTC)


def left_today(limits: Limits, usage: Usage) -> int | None:
    """What is left of today's allowance; None without a limit."""
    if limits.daily_credits is None:
        return None
    return max(0, limits.daily_credits - usage.spent - usage.reserved)


def pay(cost: int, limits: Limits, usage: Usage, *, now: datetime) -> Payment:
    """Take `cost` from today's allowance first, then from granted credits. Raises QuotaError where a limit forbids the job."""
    if limits.waiting_jobs is not None and usage.waiting >= limits.waiting_jobs:
        raise QuotaError(
            counted(
                "You already have {count} request in the queue, and {limit} is the most allowed here. "
                "Wait for one to finish, or cancel one with `/queue show`.",
                "You already have {count} requests in the queue, and {limit} is the most allowed here. "
                "Wait for one to finish, or cancel one with `/queue show`.",
                usage.waiting,
                limit=limits.waiting_jobs,
            )
        )
    if limits.operator_credits is not None and cost > limits.operator_credits - usage.everywhere:
        left = max(0, limits.operator_credits - usage.everywhere)
        raise QuotaError(
            "This costs {cost}, and you have {left:,} left today in all servers together. "
            "You'll have {limit:,} again {renewal}. Fewer pictures, a smaller size or fewer steps cost less.",
            cost=in_credits(cost),
            left=left,
            limit=limits.operator_credits,
            renewal=_renewal(now),
        )
    left = left_today(limits, usage)
    if left is None or limits.daily_credits is None:
        return Payment(daily=cost, granted=0)
    daily = min(cost, left)
    if cost - daily > usage.granted:
        raise _too_dear_here(cost, left, usage.granted, limits.daily_credits, now)
    return Payment(daily=daily, granted=cost - daily)


def in_credits(amount: int) -> Message:
    """`amount` with its unit."""
    return counted("{count:,} credit", "{count:,} credits", amount)


def _too_dear_here(cost: int, left: int, granted: int, limit: int, now: datetime) -> QuotaError:
    if not granted:
        return QuotaError(
            "This costs {cost} and you have {left:,} left today. You'll have {limit:,} again {renewal}. "
            "Fewer pictures, a smaller size or fewer steps cost less.",
            cost=in_credits(cost),
            left=left,
            limit=limit,
            renewal=_renewal(now),
        )
    return QuotaError(
        "This costs {cost} and you have {left:,} left today, plus {granted:,} that were granted to you. "
        "You'll have {limit:,} again {renewal}. Fewer pictures, a smaller size or fewer steps cost less.",
        cost=in_credits(cost),
        left=left,
        granted=granted,
        limit=limit,
        renewal=_renewal(now),
    )


def _renewal(now: datetime) -> str:
    """When the credits renew, as Discord shows it to each reader: "in 5 hours"."""
    return f"<t:{int(renews_at(now).timestamp())}:R>"
