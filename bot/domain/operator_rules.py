"""What whoever hosts the bot decides, for all servers and for direct messages."""

from __future__ import annotations

from dataclasses import dataclass

from bot.domain.audience import EVERYBODY, Audience
from bot.domain.privacy import FOR_GOOD, KeepingTimes
from bot.messages import translatable

NO_ROOM = translatable(
    "My disk is almost full, so I can't take anything new right now. What's in the queue is safe and continues later. "
    "Tell whoever hosts me, and try again once there's room."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRules:
    """`keeping`: the longest that pictures and words are kept; servers may keep them for less, and direct messages have this
    alone. `min_free_bytes`: with less room on the disk nothing is taken in or drawn; 0 never looks. `source_url`: where
    the code that runs here is published, if they said so.
    """

    audience: Audience = EVERYBODY
    keeping: KeepingTimes = FOR_GOOD
    min_free_bytes: int = 0
    source_url: str | None = None


NO_OPERATOR_RULES = OperatorRules()
"""Of a host who has said nothing."""
