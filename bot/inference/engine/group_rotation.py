"""Rotates the model among groups of pictures that can share calls of the UNet, and limits how long one keeps it."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

SHORTEST, LONGEST = 0.5, 3.0  # seconds; short enough that members with another size or LoRA see progress
SWITCHES = 4.0  # a slice is this many times as long as the switch before it: at most a fifth of the time goes into switches

Key = TypeVar("Key", bound=Hashable)


class GroupRotation(Generic[Key]):
    """Lets a group keep the model for at least a slice of time; then it goes to the group whose turn it is."""

    def __init__(self) -> None:
        self._current: Key | None = None
        self._since = 0.0
        self._slice = SHORTEST
        self._paused: float | None = None  # when the last pause was over

    def choose(self, wanted: Key, groups: Collection[Key], now: float) -> Key:
        """Returns `wanted`, or the current group while its slice lasts; `now` is in seconds that never run backwards."""
        kept = self._current is not None and self._current in groups and now - self._since < self._slice
        if kept and self._current is not None:
            return self._current
        if wanted != self._current:
            self._current, self._since = wanted, now
            self._slice = SHORTEST
        return wanted

    def switched(self, seconds: float) -> None:
        """Note that putting the current group's LoRAs into the model took `seconds`; its slice starts now."""
        self._since += seconds
        self._slice = min(LONGEST, max(SHORTEST, SWITCHES * seconds))

    def may_pause(self, now: float) -> bool:
        """Returns whether the slice may be interrupted for work that serves later ones: once a slice, and if a group keeps the
        model for longer, once in the time of one.
        """
        return self._paused is None or self._paused < self._since or now - self._paused >= self._slice

    def paused(self, seconds: float, now: float) -> None:
        """Note an interruption of `seconds` until now; the slice continues where it was."""
        self._since += seconds
        self._paused = now
