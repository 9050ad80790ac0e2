"""Detects interactions that come in too late to be answered."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime

log = logging.getLogger(__name__)

TOO_OLD = 2.5  # seconds; Discord gives up after 3, and the answer needs time to arrive
DRIFT = 0.001  # seconds a second by which two clocks may drift apart; ten times the drift of a bare quartz
WRONG = 60.0  # seconds by which this machine's clock is off before its operator is warned
_WINDOW = 8  # interactions after which their difference of clocks is trusted


class StaleInteractions:
    """Tells which interactions nobody waits for any more.

    An interaction's id says when Discord made it. Its delay is measured with `ticks`, seconds of a clock that nobody sets,
    relative to the quickest of the last few, so a wall clock that is wrong, or is corrected meanwhile, drops none. The first
    counts as fresh. A late one that is missed does no harm: Discord refuses the answer, and an event seen before is known by
    its id.
    """

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ticks = ticks
        self._seen: deque[tuple[float, float]] = deque(maxlen=_WINDOW)
        self._is_told = False

    def is_stale(self, created_at: datetime, now: datetime) -> bool:
        """Return whether the interaction is stale; call once for each, on receipt. `now` (this machine's) is only compared."""
        ticks = self._ticks()
        delay = ticks - created_at.timestamp()
        quickest = min((then + DRIFT * (ticks - at) for at, then in self._seen), default=delay)
        self._seen.append((ticks, delay))
        late = max(0.0, delay - quickest)
        self._compare((now - created_at).total_seconds() - late)
        if late > TOO_OLD:
            log.warning("Dropped an interaction that came in %.1f s later than others", late)
        return late > TOO_OLD

    def _compare(self, ahead: float) -> None:
        """Tell the operator once that the clock is wrong, and again if it was right in between."""
        if abs(ahead) > WRONG and not self._is_told:
            way = "ahead of" if ahead > 0 else "behind"
            log.warning("This machine's clock is %.0f s %s Discord's. Let a time server (NTP) set it.", abs(ahead), way)
        self._is_told = abs(ahead) > WRONG
