"""Times the reconnections to Discord's gateway: soon after it is back, without using up the IDENTIFYs of a day."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

LONGEST_PAUSE = 60.0  # seconds between two tries that never reached IDENTIFY
QUIET = 300.0  # seconds without a try after which the next one counts as the first
IDENTIFIES_AT_ONCE = 200  # IDENTIFYs at once, of all shards together
IDENTIFY_REFILL = 300.0  # seconds until one more may go; with those at once, 488 in any 24 hours

Clock = Callable[[], float]
Uniform = Callable[[float, float], float]


class Backoff:
    """Chooses pauses between the tries of one shard: random up to 2, 4, 8 and so on to 60 seconds.

    They are random because after an outage of Discord's every bot comes back at once.
    """

    def __init__(self, *, clock: Clock = time.monotonic, uniform: Uniform | None = None) -> None:
        self._clock, self._uniform = clock, uniform or random.SystemRandom().uniform
        self._tries = 0
        self._asked_at = clock()

    def delay(self) -> float:
        """Return the seconds to wait before the next try."""
        now = self._clock()
        if now - self._asked_at > QUIET:
            self._tries = 0
        self._asked_at = now
        self._tries += 1
        return self._uniform(0.0, min(LONGEST_PAUSE, 2.0 ** min(self._tries, 10)))


class IdentifyBudget:
    """A bucket of IDENTIFYs, so that a day's stay under 500: Discord allows 1,000 and then resets the token.

    A gateway that lets the bot in and throws it out again would use those up in an hour and a half.
    """

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._left = float(IDENTIFIES_AT_ONCE)
        self._counted_at = clock()

    def wait(self) -> float:
        """Return the seconds until the next IDENTIFY may be sent; 0: now."""
        self._refill()
        return max(0.0, (1.0 - self._left) * IDENTIFY_REFILL)

    def take(self) -> None:
        """Count one IDENTIFY as sent."""
        self._refill()
        self._left -= 1.0

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(float(IDENTIFIES_AT_ONCE), self._left + (now - self._counted_at) / IDENTIFY_REFILL)
        self._counted_at = now
