"""What those who moderate a server do about its members: block them, remove their pictures, look at what they asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from bot.domain.job import Actor, Job, JobId
from bot.domain.message_reference import MessageReference, parse_picture
from bot.domain.moderation import Block, Rank, block_end, checked_reason, moderated_guild
from bot.errors import InvalidRequestError, NotAllowedError, NotFoundError
from bot.messages import translatable
from bot.ports import Clock, JobRepository
from bot.services.gate import BlockRepository
from bot.services.removal import Removal

NOT_YOURSELF = translatable("You can't block yourself.")
NOT_BOTS = translatable("Bots can't draw, so there's no need to block this one. Choose a member.")
NOT_MANAGERS = translatable("You can't block someone who manages this server.")
NOT_BLOCKED = translatable("This member isn't blocked here.")
NO_PICTURE = translatable(
    "I can't find a picture of this server there. Copy the link of the message that shows it, or the job id from **Details**."
)


class ModerationRepository(BlockRepository, Protocol):
    """Blocks and members' jobs, on disk."""

    async def blocks(self, guild_id: int, *, limit: int, now: datetime) -> tuple[Block, ...]:
        """Those that hold now, newest first."""
        ...

    async def block(self, block: Block) -> None:
        """In place of one that holds."""
        ...

    async def unblock(self, guild_id: int, user_id: int, *, by: int, now: datetime) -> bool:
        """False when none held."""
        ...

    async def recent_jobs(self, guild_id: int, user_id: int, *, limit: int) -> tuple[Job, ...]:
        """A member's jobs in the server, newest first."""
        ...

    async def job_shown_in(self, guild_id: int, message: MessageReference) -> Job | None:
        """The server's job whose card that message is."""
        ...


class MemberRankGateway(Protocol):
    """Who people are, as Discord knows it at this moment."""

    async def rank(self, guild_id: int, user_id: int) -> Rank:
        """UNKNOWN where Discord does not say; never raises."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """A block that now holds, and how many waiting jobs of the member it cancelled."""

    block: Block
    cancelled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moderation:
    """Everything concerns the server where the actor asks, and raises NotAllowedError for those who do not moderate it.

    `member_ranks` None: there is no Discord, and nothing is known of anybody.
    """

    records: ModerationRepository
    jobs: JobRepository
    removal: Removal
    member_ranks: MemberRankGateway | None
    clock: Clock

    async def block(self, actor: Actor, user_id: int, *, reason: str = "", duration: timedelta | None = None) -> Blocked:
        """From now on the member draws nothing there; what waits or is being drawn is cancelled, with the refund.

        Raises InvalidRequestError for a reason or a length that cannot be.
        """
        guild_id = moderated_guild(actor)
        await self._check_target(actor, guild_id, user_id)
        now = self.clock.now()
        block = Block(
            guild_id=guild_id,
            user_id=user_id,
            reason=checked_reason(reason),
            blocked_by=actor.user_id,
            blocked_at=now,
            ends_at=block_end(now, duration),
        )
        await self.records.block(block)
        return Blocked(block=block, cancelled=await self.removal.cancel_all(user_id, guild_id))

    async def unblock(self, actor: Actor, user_id: int) -> None:
        """Raises InvalidRequestError when the member is not blocked."""
        if not await self.records.unblock(moderated_guild(actor), user_id, by=actor.user_id, now=self.clock.now()):
            raise InvalidRequestError(NOT_BLOCKED)

    async def blocks(self, actor: Actor, *, limit: int) -> tuple[Block, ...]:
        """Those that hold now, newest first."""
        return await self.records.blocks(moderated_guild(actor), limit=limit, now=self.clock.now())

    async def remove(self, actor: Actor, picture: str) -> Job:
        """Remove card and pictures of a job, named by a message's link or id, or by the job's id; returns it as it was.

        Raises InvalidRequestError for something else, NotFoundError for a job of elsewhere, UserError when the card stays.
        """
        job = await self._find(moderated_guild(actor), parse_picture(picture))
        if not actor.may_remove(job):  # who moderates one channel learns nothing of the others
            raise NotFoundError(NO_PICTURE)
        await self.removal.delete(job.id, actor)
        return job

    async def recent_jobs(self, actor: Actor, user_id: int, *, limit: int) -> tuple[Job, ...]:
        """What a member asked for in the server, newest first."""
        return await self.records.recent_jobs(moderated_guild(actor), user_id, limit=limit)

    async def _check_target(self, actor: Actor, guild_id: int, user_id: int) -> None:
        if user_id == actor.user_id:
            raise InvalidRequestError(NOT_YOURSELF)
        rank = Rank.UNKNOWN if self.member_ranks is None else await self.member_ranks.rank(guild_id, user_id)
        if rank is Rank.BOT:
            raise InvalidRequestError(NOT_BOTS)
        if rank is Rank.MANAGER:
            raise NotAllowedError(NOT_MANAGERS)

    async def _find(self, guild_id: int, reference: JobId | MessageReference) -> Job:
        if isinstance(reference, MessageReference):
            elsewhere = reference.guild_id not in {None, guild_id}
            job = None if elsewhere else await self.records.job_shown_in(guild_id, reference)
        else:
            job = await self.jobs.get(reference)
        if job is None or job.origin.guild_id != guild_id:
            raise NotFoundError(NO_PICTURE)
        return job
