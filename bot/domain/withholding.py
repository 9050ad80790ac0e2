"""Pictures that are not drawn or not shown, because they go too far: why, and what the member reads."""

from __future__ import annotations

from bot.domain.quota import FREE_WITHHELD, in_credits
from bot.domain.safety import Rating
from bot.errors import GenerationError

_BEYOND = "What came out goes further than is allowed here, so it is not shown and was not kept. "
_CURE = " Change the prompt, then try again."


class WithheldError(GenerationError):
    """The classifier says that a picture goes further than it may: as far as `rating`."""

    def __init__(self, rating: Rating) -> None:
        super().__init__(f"The pictures go as far as {rating}, which is not allowed here.", retryable=False)
        self.rating = rating


class TightenedError(GenerationError):
    """The rules became stricter than a job that was taken in under them; the sentence says in what."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, retryable=False)


def withheld(count: int, credits: int) -> str:
    """Why the `count`-th job of the day is not shown, and what it costs: nothing up to FREE_WITHHELD, its price after that."""
    if count > FREE_WITHHELD:
        return (
            f"{_BEYOND}It costs {in_credits(credits)}, because {FREE_WITHHELD} of yours were withheld for nothing today.{_CURE}"
        )
    left = FREE_WITHHELD - count
    next_ones = f"that holds for {left} more today" if left else "the next one today costs its price"
    return f"{_BEYOND}Nothing was charged; {next_ones}.{_CURE}"
