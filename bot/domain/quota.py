"""What a request costs."""

from __future__ import annotations

import math
from enum import StrEnum

from bot.domain.request import GenerationRequest

CREDIT_WORK = 28 * 1024 * 1024 / 1e6  # megapixel-steps: one 1024 x 1024 picture of 28 steps


class Posting(StrEnum):
    """The kinds of ledger postings; a job has at most one of each (a refund after the charge: undeliverable)."""

    RESERVE = "reserve"
    CHARGE = "charge"
    REFUND = "refund"


def price(request: GenerationRequest) -> int:
    """Whole credits, at least 1."""
    return max(1, math.ceil(request.work / CREDIT_WORK))
