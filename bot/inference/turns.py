"""Whose turn it is: pictures that can share a call of the UNet form a group, and groups take turns."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from typing import Generic, Protocol, TypeVar

SLICE_SECONDS = 1.0  # long enough that switching a LoRA costs little, short enough that a newcomer of another size sees life

Key = TypeVar("Key", bound=Hashable)


class Waiting(Protocol):
    """A picture under way, as far as its turn depends on it."""

    last_turn: int


Picture = TypeVar("Picture", bound=Waiting)


class GroupOrder(Generic[Key]):
    """A group keeps the model for a slice of time; then the one that has waited longest has it. No group starves."""

    def __init__(self, slice_seconds: float = SLICE_SECONDS) -> None:
        self._slice = slice_seconds
        self._current: Key | None = None
        self._since = 0.0
        self._served: dict[Key, float] = {}

    def choose(self, groups: Collection[Key], now: float) -> Key:
        """One of `groups` (at least one); `now` in seconds that never run backwards."""
        if self._current is not None:
            self._served[self._current] = now
            if self._current in groups and (len(groups) == 1 or now - self._since < self._slice):
                return self._current
        self._served = {key: at for key, at in self._served.items() if key in groups}
        others = [key for key in groups if key != self._current] or list(groups)
        chosen = min(others, key=lambda key: self._served.get(key, float("-inf")))
        self._current, self._since = chosen, now
        return chosen


def next_pictures(group: Sequence[Picture], most: int) -> list[Picture]:
    """At most `most` pictures, those first whose last turn lies longest back; who has just come has had none at all."""
    return sorted(group, key=lambda picture: picture.last_turn)[:most]
