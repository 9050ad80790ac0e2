"""What a service wants to know of the world it runs in: the time, the limits, facts of earlier runs."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from bot.domain.job import Origin
from bot.domain.quota import Limits


class Clock(Protocol):
    """The time, so that tests can set it.

    `now` is for what outlives the process, and for what people read. Whoever sets this machine's clock steps it, by seconds or
    years; what only this process waits for goes by `ticks`.
    """

    def now(self) -> datetime:
        """UTC, aware."""
        ...

    def ticks(self) -> float:
        """Seconds since some moment. Nobody sets this clock, and it goes on while the machine sleeps."""
        ...


class LimitsSource(Protocol):
    """What members may use; asked before every job and for `/quota`."""

    async def limits_for(self, origin: Origin) -> Limits:
        """Of this member in this server (a DM: `guild_id` None) with these roles."""
        ...


class MetaRepository(Protocol):
    """Small facts that outlive the process, by name (the hash of the synced commands)."""

    async def get(self, name: str) -> str | None: ...

    async def set(self, name: str, value: str) -> None: ...
