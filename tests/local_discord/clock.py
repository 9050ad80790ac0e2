"""Time that a test may move, and ids made from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

DISCORD_EPOCH = datetime(2015, 1, 1, tzinfo=UTC)


class SettableClock:
    """Wall time plus whatever the test added."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, by: timedelta) -> None:
        self._ahead += by


class Snowflakes:
    """Unique ids whose upper bits are the time; discord.py reads an interaction's expiry out of its id."""

    def __init__(self, clock: SettableClock) -> None:
        self._clock = clock
        self._last = 0

    def next(self) -> int:
        now = int((self._clock.now() - DISCORD_EPOCH) / timedelta(milliseconds=1)) << 22
        self._last = max(self._last + 1, now)
        return self._last


def created_at(snowflake: int) -> datetime:
    return DISCORD_EPOCH + timedelta(milliseconds=snowflake >> 22)
