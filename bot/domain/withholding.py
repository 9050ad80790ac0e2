"""Pictures that are not drawn or not shown, because they go too far: why, and what the member reads."""

from __future__ import annotations

from bot.domain.quota import FREE_WITHHELD, in_credits
from bot.domain.safety import Rating
from bot.errors import GenerationError
from bot.messages import Message, counted, message


class WithheldError(GenerationError):
    """The classifier says that a picture goes further than it may: as far as `rating`."""

    def __init__(self, rating: Rating) -> None:
        sentence = message("The pictures go as far as {rating}, which isn't allowed here.", rating=rating.value)
        super().__init__(sentence, retryable=False)
        self.rating = rating


class TightenedError(GenerationError):
    """The rules became stricter than a job that was taken in under them; the sentence says in what."""

    def __init__(self, sentence: Message) -> None:
        super().__init__(sentence, retryable=False)


def withheld(count: int, credits: int) -> Message:
    """Why the `count`-th job of the day is not shown, and what it costs: nothing up to FREE_WITHHELD, its price after that."""
    if count > FREE_WITHHELD:
        return message(
            "The result wasn't suitable for this channel, so I deleted it. It costs {price}, because {free} like it were free "
            "today. Try a different prompt.",
            price=in_credits(credits),
            free=FREE_WITHHELD,
        )
    left = FREE_WITHHELD - count
    if left == 0:
        return message(
            "The result wasn't suitable for this channel, so I deleted it. You weren't charged, but you will be for the next "
            "one like it today. Try a different prompt."
        )
    return counted(
        "The result wasn't suitable for this channel, so I deleted it. You weren't charged, and the next one like it today is "
        "free, too. Try a different prompt.",
        "The result wasn't suitable for this channel, so I deleted it. You weren't charged, and the next {count} like it today "
        "are free, too. Try a different prompt.",
        left,
    )
