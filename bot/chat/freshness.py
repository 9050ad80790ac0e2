"""Interactions that come in too late to be answered."""

from __future__ import annotations

import logging
from collections import deque
from datetime import datetime

log = logging.getLogger(__name__)

TOO_OLD = 2.5  # seconds; Discord gives up after 3, and the answer has to get there
_WINDOW = 8  # interactions after which a wrong clock of ours is believed instead of Discord's


class Freshness:
    """Tells which interactions nobody waits for any more.

    An interaction's id says when Discord made it. A clock of ours that runs ahead would make all of them look old, so the
    youngest age of the last few is taken for the difference of the clocks.
    """

    def __init__(self) -> None:
        self._ages: deque[float] = deque([0.0], maxlen=_WINDOW)

    def is_stale(self, created_at: datetime, now: datetime) -> bool:
        """Counts the interaction in; call it once for each."""
        age = (now - created_at).total_seconds()
        self._ages.append(age)
        stale = age - min(self._ages) > TOO_OLD
        if stale:
            log.warning("Dropped an interaction that came in %.1f s after it was made; is this machine's clock right?", age)
        return stale
