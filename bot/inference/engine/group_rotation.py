"""Groups of pictures that can share calls of the UNet, and for how long one of them keeps the model."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

SHORTEST, LONGEST = 0.5, 3.0  # seconds; short enough that whoever asks for another size or LoRA sees life
SWITCHES = 4.0  # a slice is so many times as long as the switch before it: at most a fifth of the time goes into switches

Key = TypeVar("Key", bound=Hashable)


class GroupRotation(Generic[Key]):
    """A group keeps the model for a slice of time at least; then it goes to whoever's turn it is."""

    def __init__(self) -> None:
        self._current: Key | None = None
        self._since = 0.0
        self._slice = SHORTEST
        self._paused: float | None = None  # when the last pause was over

    def choose(self, wanted: Key, groups: Collection[Key], now: float) -> Key:
        """`wanted`, or the group that has the model while its slice lasts; `now` in seconds that never run backwards."""
        kept = self._current is not None and self._current in groups and now - self._since < self._slice
        if kept and self._current is not None:
            return self._current
        if wanted != self._current:
            self._current, self._since = wanted, now
            self._slice = SHORTEST
        return wanted

    def switched(self, seconds: float) -> None:
        """The current group's LoRAs took so long to be put into the model; its slice counts from then on."""
        self._since += seconds
        self._slice = min(LONGEST, max(SHORTEST, SWITCHES * seconds))

    def may_pause(self, now: float) -> bool:
        """Whether the slice may be interrupted for something that serves later ones. Once a slice; where a group keeps the
        model for longer, once in the time of one.
        """
        return self._paused is None or self._paused < self._since or now - self._paused >= self._slice

    def paused(self, seconds: float, now: float) -> None:
        """It was, for so long until now; the slice goes on where it was."""
        self._since += seconds
        self._paused = now
