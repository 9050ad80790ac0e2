"""What members may use and have used, and what moderators give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from bot.domain.job import Actor, Origin
from bot.domain.quota import MAX_GRANT, Balance, Grant, Limits, Usage, renews_at
from bot.errors import InvalidRequestError, NotAllowedError
from bot.messages import translatable
from bot.ports import Clock, LimitsSource

ONLY_MODERATORS = translatable("You need the **Manage Server** permission to grant credits.")


class CreditRepository(Protocol):
    """Members' credits on disk, apart from the postings of jobs, which JobRepository makes."""

    async def usage(self, user_id: int, guild_id: int | None, *, now: datetime) -> Usage: ...

    async def grant(self, given: Grant, *, now: datetime) -> Usage:
        """Give credits, once for an interaction; returns what the member has then."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorLimits:
    """Implements ports.LimitsSource: the same for everybody, everywhere, but for a server's weight in the queue."""

    limits: Limits
    server_weights: Mapping[int, float] = field(default_factory=dict[int, float])

    async def limits_for(self, origin: Origin) -> Limits:
        weight = 1.0 if origin.guild_id is None else self.server_weights.get(origin.guild_id, 1.0)
        return replace(self.limits, weight=self.limits.weight * weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """Answers about credits, and hands them out. Jobs are checked and paid by JobRepository.add itself."""

    credits: CreditRepository
    limits: LimitsSource
    clock: Clock

    async def balance(self, origin: Origin) -> Balance:
        """Of the member who asks, where they ask."""
        now = origin.asked_at(self.clock.now())
        return Balance(
            limits=await self.limits.limits_for(origin),
            usage=await self.credits.usage(origin.user_id, origin.guild_id, now=now),
            renews_at=renews_at(now),
        )

    async def grant(self, amount: int, *, user_id: int, actor: Actor, interaction_id: int) -> Usage:
        """Give a member credits that do not expire; returns what they have then.

        Raises NotAllowedError, and InvalidRequestError for an amount below 1 or above MAX_GRANT.
        """
        if actor.guild_id is None or not actor.manages_guild:
            raise NotAllowedError(ONLY_MODERATORS)
        if not 1 <= amount <= MAX_GRANT:
            raise InvalidRequestError("You can grant from 1 to {limit:,} credits at once.", limit=MAX_GRANT)
        given = Grant(
            interaction_id=interaction_id,
            user_id=user_id,
            guild_id=actor.guild_id,
            credits=amount,
            granted_by=actor.user_id,
        )
        return await self.credits.grant(given, now=self.clock.now())
