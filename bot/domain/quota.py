"""What a request costs, and what a member may use."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from bot.domain.request import GenerationRequest

CREDIT_WORK = 28 * 1024 * 1024 / 1e6  # megapixel-steps: one 1024 x 1024 picture of 28 steps


class Posting(StrEnum):
    """The kinds of ledger postings; a job has at most one of each (a refund after the charge: undeliverable)."""

    RESERVE = "reserve"
    CHARGE = "charge"
    REFUND = "refund"


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


def price(request: GenerationRequest) -> int:
    """Whole credits, at least 1."""
    return max(1, math.ceil(request.work / CREDIT_WORK))
