"""Recognizes repeated presses of a button by the same member: a double click is one request."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

from bot.chat.actions import Press

SAME_WISH: Final = timedelta(seconds=3)


class DoubleClicks:
    """Remembers the presses of the last seconds, by member and button. Times are Discord's: a slow bot changes nothing."""

    def __init__(self) -> None:
        self._wishes: OrderedDict[tuple[int, Press], datetime] = OrderedDict()

    def is_repeated(self, user_id: int, press: Press, at: datetime) -> bool:
        """Return whether the member pressed that button less than SAME_WISH before; if not, this press counts."""
        while self._wishes and at - next(iter(self._wishes.values())) >= SAME_WISH:
            self._wishes.popitem(last=False)
        first = self._wishes.get((user_id, press))
        if first is not None and abs(at - first) < SAME_WISH:
            return True
        self._wishes[user_id, press] = at
        self._wishes.move_to_end((user_id, press))
        return False

    def forget(self, user_id: int, press: Press) -> None:
        """Let the next press count at once: this one was refused."""
        self._wishes.pop((user_id, press), None)
