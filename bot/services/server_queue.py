"""A server's own queue, for those who manage the server: look at it, stop it, let it go on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.domain.job import Actor
from bot.domain.queue import Pause, QueueOverview
from bot.errors import InvalidRequestError
from bot.messages import translatable
from bot.ports import Clock, JobRepository
from bot.services.estimates import Estimator
from bot.services.worker import Worker

ALREADY_PAUSED = translatable("This server's queue is already paused. Use `/queue resume` to continue.")
NOT_PAUSED = translatable("This server's queue isn't paused.")


class PauseRepository(Protocol):
    """Which servers' queues stand still, on disk."""

    async def current(self, guild_id: int) -> Pause | None:
        """None while the queue runs."""
        ...

    async def pause(self, guild_id: int, *, by: int, now: datetime) -> bool:
        """False when it was paused already."""
        ...

    async def resume(self, guild_id: int, *, by: int, now: datetime) -> bool:
        """False when it was not paused. The jobs that waited line up as if they had just come."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerQueue:
    """Everything raises NotAllowedError for an actor who does not manage the server where they ask."""

    jobs: JobRepository
    pauses: PauseRepository
    estimator: Estimator
    worker: Worker
    clock: Clock

    async def overview(self, actor: Actor, *, limit: int) -> QueueOverview:
        """What runs and waits in the actor's server, in queue order."""
        guild_id = actor.managed_guild()
        waiting = await self.jobs.waiting_in(guild_id, limit=limit)
        entries = await self.estimator.entries(waiting.jobs)
        return QueueOverview(entries=entries, total=waiting.total, pause=await self.pauses.current(guild_id))

    async def pause(self, actor: Actor) -> None:
        """Claim no more jobs of the server; what runs is finished. Raises InvalidRequestError when it is paused already."""
        if not await self.pauses.pause(actor.managed_guild(), by=actor.user_id, now=self.clock.now()):
            raise InvalidRequestError(ALREADY_PAUSED)

    async def resume(self, actor: Actor) -> None:
        """Raises InvalidRequestError when it is not paused."""
        if not await self.pauses.resume(actor.managed_guild(), by=actor.user_id, now=self.clock.now()):
            raise InvalidRequestError(NOT_PAUSED)
        self.worker.wake()
