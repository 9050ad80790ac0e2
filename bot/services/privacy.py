"""What members may know about what is stored of them, and do about it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from bot.domain.job import Actor
from bot.domain.privacy import Holdings, KeepingTimes
from bot.domain.privacy_export import ExportFile
from bot.errors import NotAllowedError
from bot.messages import translatable
from bot.services.erasure import Eraser, ErasureRepository
from bot.services.exports import ExportRepository, Exports
from bot.services.retention import RetentionRepository

NOT_YOURS = translatable("Only the person who asked for this can confirm it. Use `/privacy delete` to delete your own data.")


class PrivacyRepository(ErasureRepository, ExportRepository, Protocol):
    """What the database holds of one member, and of nobody else."""

    async def holdings(self, user_id: int) -> Holdings: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """Looks, hands out, deletes; each only for the member themselves."""

    records: PrivacyRepository
    retention_repository: RetentionRepository
    longest: KeepingTimes
    eraser: Eraser
    exports: Exports

    async def times(self, guild_id: int | None) -> KeepingTimes:
        """How long things of this server are kept; None is a direct message."""
        return self.longest if guild_id is None else (await self.retention_repository.times_of(guild_id)).within(self.longest)

    async def holdings(self, user_id: int) -> Holdings:
        """How much is stored of the member."""
        return await self.records.holdings(user_id)

    def export(self, user_id: int, *, max_bytes: int) -> AsyncGenerator[ExportFile]:
        """See Exports.files."""
        return self.exports.files(user_id, max_bytes=max_bytes)

    async def erase(self, user_id: int, actor: Actor) -> bool | None:
        """See Eraser.erase. Raises NotAllowedError for anybody but the member."""
        if actor.user_id != user_id:
            raise NotAllowedError(NOT_YOURS)
        return await self.eraser.erase(user_id)
