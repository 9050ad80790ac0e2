"""Ports for a service's surroundings: the time, the limits, facts of earlier runs."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from bot.domain.job import Origin
from bot.domain.quota import Limits


class Clock(Protocol):
    """Tells the time; a port so that tests can set it.

    `now` is for what outlives the process and for what people read. It steps when this machine's clock is set, by seconds or
    years; waits within this process use `ticks`.
    """

    def now(self) -> datetime:
        """Return the time in UTC, aware."""
        ...

    def ticks(self) -> float:
        """Return seconds since some moment. Nobody sets this clock, and it runs while the machine sleeps."""
        ...


class LimitsSource(Protocol):
    """Tells what members may use; asked before every job and for `/quota`."""

    async def limits_for(self, origin: Origin) -> Limits:
        """Return the limits of this member in this server (`guild_id` None: a DM) with these roles."""
        ...


class MetaRepository(Protocol):
    """Stores small facts that outlive the process, by name (the hash of the synced commands)."""

    async def get(self, name: str) -> str | None: ...

    async def set(self, name: str, value: str) -> None: ...
