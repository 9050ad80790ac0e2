"""Everything that happened, in order, so that a test can judge it afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Entry:
    """`at` is time.monotonic(); `kind` is one of request, gateway, interaction, answer, message."""

    at: float
    kind: str
    what: str
    facts: dict[str, Any] = field(default_factory=dict)


class Journal:
    """Entries and violations. A violation is something that the real Discord refuses, or that Pastel promised not to do."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.violations: list[str] = []
        self._listeners: list[Callable[[Entry], None]] = []

    def write(self, kind: str, what: str, **facts: Any) -> None:
        entry = Entry(time.monotonic(), kind, what, facts)
        self.entries.append(entry)
        for listener in tuple(self._listeners):
            listener(entry)

    def violation(self, text: str) -> None:
        self.violations.append(text)

    def of(self, kind: str, what: str | None = None) -> Iterator[Entry]:
        return (entry for entry in self.entries if entry.kind == kind and what in (None, entry.what))

    def listen(self, listener: Callable[[Entry], None]) -> Callable[[], None]:
        """Call `listener` with every entry from now on; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def check(self) -> None:
        """Raise when anything was wrong."""
        assert not self.violations, "\n".join(["the bot broke Discord's rules:", *self.violations[:20]])
