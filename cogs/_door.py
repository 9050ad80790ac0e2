"""How every entry path hands a request over: permissions, the first answer, then everything slow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bot.chat.replies import Interaction, defer_public, origin_of, require_permissions
from bot.domain.job import Origin
from bot.services.generation import GenerationService
from bot.services.proposals import Proposal


async def take_in(
    generation: GenerationService, interaction: Interaction, propose: Callable[[Origin], Awaitable[Proposal]]
) -> None:
    """Answer "thinking…", then make the proposal and submit it; that answer becomes the job's card."""
    require_permissions(interaction)
    origin = origin_of(interaction)
    reply = await defer_public(interaction)
    await generation.submit(await propose(origin), origin, reply)
