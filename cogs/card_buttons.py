"""Handles the buttons of a card, and the remix form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from discord.ext import commands

from bot.chat.actions import REMIX_FORM, Action, Press
from bot.chat.client import PastelBot
from bot.chat.deliverability import require_reach
from bot.chat.double_clicks import DoubleClicks
from bot.chat.replies import (
    Interaction,
    actor_of,
    answer,
    defer_ephemeral,
    defer_silently,
    origin_of,
    show_form,
)
from bot.chat.views.details import details_view
from bot.chat.views.queue import struck_out
from bot.chat.views.remix_form import Offer, remix_form, remixed
from bot.domain.job import Origin, VariationStrength
from bot.errors import NotFoundError
from bot.services.generation import GenerationService
from bot.services.request_builder import PreparedJob
from cogs._submit import take_in, take_wish_in


async def setup(bot: PastelBot) -> None:
    await bot.add_cog(Results(bot, bot.require(GenerationService)))


class Results(commands.Cog):
    """Handlers by action. A custom id is untrusted: the service looks up and checks everything."""

    def __init__(self, bot: PastelBot, generation: GenerationService) -> None:
        self._bot = bot
        self._generation = generation
        self._repeats = DoubleClicks()

    async def cog_load(self) -> None:
        self._bot.on_action(Action.REROLL, self.reroll)
        self._bot.on_action(Action.SUBTLE, partial(self.vary, VariationStrength.SUBTLE))
        self._bot.on_action(Action.STRONG, partial(self.vary, VariationStrength.STRONG))
        self._bot.on_action(Action.UPSCALE, self.upscale)
        self._bot.on_action(Action.REMIX, self.open_remix)
        self._bot.on_action(Action.DETAILS, self.details)
        self._bot.on_action(Action.CANCEL, self.cancel)
        self._bot.on_action(Action.DELETE, self.delete)
        self._bot.on_form(REMIX_FORM, self.remix)

    async def reroll(self, interaction: Interaction, press: Press) -> None:
        await self._take_in(interaction, press, partial(self._generation.propose_reroll, press.job_id))

    async def vary(self, strength: VariationStrength, interaction: Interaction, press: Press) -> None:
        index = _index(press)
        await self._take_in(interaction, press, partial(self._generation.propose_variation, press.job_id, index, strength))

    async def upscale(self, interaction: Interaction, press: Press) -> None:
        await self._take_in(interaction, press, partial(self._generation.propose_upscale, press.job_id, _index(press)))

    async def _take_in(
        self, interaction: Interaction, press: Press, propose: Callable[[Origin], Awaitable[PreparedJob]]
    ) -> None:
        await take_wish_in(self._generation, self._repeats, (interaction, press), propose)

    async def open_remix(self, interaction: Interaction, press: Press) -> None:
        """Opens the form, which can only be the first answer, so only a few rows are read before it."""
        require_reach(interaction)
        origin = origin_of(interaction)
        draft = await self._generation.remix_draft(press.job_id, origin)
        offer = Offer(profile=self._generation.profile, styles=await self._generation.styles(origin))
        await show_form(interaction, remix_form(press.job_id, draft, offer))

    async def remix(self, interaction: Interaction, press: Press) -> None:
        async def propose(origin: Origin) -> PreparedJob:
            draft = remixed(interaction, await self._generation.remix_draft(press.job_id, origin))
            return await self._generation.propose_remix(press.job_id, draft, origin)

        await take_in(self._generation, interaction, propose)

    async def details(self, interaction: Interaction, press: Press) -> None:
        await defer_ephemeral(interaction)
        details = await self._generation.details(press.job_id, origin_of(interaction))
        view, files = details_view(
            details.job, details.images, details.composed, model=details.profile.title, styles=details.styles
        )
        await answer(interaction, view, files)

    async def cancel(self, interaction: Interaction, press: Press) -> None:
        """Cancels the job. The card itself shows that; a list of `/queue` is edited."""
        await defer_silently(interaction)
        await self._generation.cancel(press.job_id, actor_of(interaction))
        if interaction.message is not None and interaction.message.flags.ephemeral:
            await answer(interaction, struck_out(interaction.message, press.job_id))

    async def delete(self, interaction: Interaction, press: Press) -> None:
        await defer_silently(interaction)
        await self._generation.delete(press.job_id, actor_of(interaction))


def _index(press: Press) -> int:
    """Returns the picture's index, from 0."""
    if not press.image:
        raise NotFoundError("This button is out of date. Use the ones on a newer card.")
    return press.image - 1
