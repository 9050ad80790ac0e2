"""What a member reads whose pictures were drawn and are not shown."""

from __future__ import annotations

from bot.domain.quota import FREE_WITHHELD, in_credits

_BEYOND = "What came out goes further than is allowed here, so it is not shown and was not kept. "
_CURE = " Change the prompt, then try again."


def withheld(count: int, credits: int) -> str:
    """Why the `count`-th job of the day is not shown, and what it costs: nothing up to FREE_WITHHELD, its price after that."""
    if count > FREE_WITHHELD:
        return (
            f"{_BEYOND}It costs {in_credits(credits)}, because {FREE_WITHHELD} of yours were withheld for nothing today.{_CURE}"
        )
    left = FREE_WITHHELD - count
    next_ones = f"that holds for {left} more today" if left else "the next one today costs its price"
    return f"{_BEYOND}Nothing was charged; {next_ones}.{_CURE}"
