"""Submits the request of every entry path: permissions, then the job on disk, then the first answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from bot.chat.actions import Press
from bot.chat.deliverability import require_reach
from bot.chat.double_clicks import DoubleClicks
from bot.chat.first_answer import DiscordFirstAnswer
from bot.chat.replies import Interaction, defer_silently, origin_of, reply_target
from bot.domain.job import Origin
from bot.services.generation import GenerationService, Start
from bot.services.request_builder import PreparedJob


async def take_in(
    generation: GenerationService, interaction: Interaction, propose: Callable[[Origin], Awaitable[PreparedJob]]
) -> None:
    """Makes the proposal and stores it; the first answer is the job's card."""
    require_reach(interaction)
    origin = origin_of(interaction)
    answer = DiscordFirstAnswer(interaction)
    await generation.take_in(partial(propose, origin), origin, reply_target(interaction), answer)


async def take_wish_in(
    generation: GenerationService,
    repeats: DoubleClicks,
    pressed: tuple[Interaction, Press],
    propose: Callable[[Origin], Awaitable[PreparedJob]],
) -> None:
    """Does the same for a button; a second press within a few seconds is the same request and is accepted silently."""
    interaction, press = pressed
    if repeats.is_repeated(interaction.user.id, press, interaction.created_at):
        await defer_silently(interaction)
        return
    try:
        await take_in(generation, interaction, propose)
    except BaseException:
        repeats.forget(interaction.user.id, press)
        raise


async def take_in_with_picture(
    generation: GenerationService, interaction: Interaction, propose: Callable[[Origin], Awaitable[PreparedJob]], start: Start
) -> None:
    """Stores the request, answers "thinking…", then reads the file; that answer becomes the job's card."""
    require_reach(interaction)
    origin = origin_of(interaction)
    answer = DiscordFirstAnswer(interaction)
    await generation.take_in_with_picture(partial(propose, origin), start, origin, reply_target(interaction), answer)
