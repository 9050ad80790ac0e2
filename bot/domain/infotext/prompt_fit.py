"""How much of a prompt the model read, and how a picture's parameters tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from bot.domain.infotext.loose_values import whole
from bot.domain.infotext.pairs import read_pairs

_TOKENS, _DROPPED, _DROPPED_NEGATIVE = "Tokens", "Dropped words", "Dropped negative words"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFit:
    """`tokens` counts the whole prompt; the dropped words, from the end of either prompt, are those that did not fit."""

    tokens: int
    dropped_words: int = 0
    dropped_negative_words: int = 0

    def pairs(self) -> Mapping[str, int | None]:
        """For the last line of the parameters; None is not said."""
        return {
            _TOKENS: self.tokens,
            _DROPPED: self.dropped_words or None,
            _DROPPED_NEGATIVE: self.dropped_negative_words or None,
        }

    @classmethod
    def read(cls, parameters: str) -> Self | None:
        """Out of a picture's parameters; None where they say nothing, as those of older pictures do."""
        pairs = read_pairs(parameters.rpartition("\n")[2])
        tokens = whole(pairs.get(_TOKENS.casefold(), ""))
        if tokens is None:
            return None
        dropped, negative = (whole(pairs.get(key.casefold(), "")) or 0 for key in (_DROPPED, _DROPPED_NEGATIVE))
        return cls(tokens=tokens, dropped_words=dropped, dropped_negative_words=negative)
