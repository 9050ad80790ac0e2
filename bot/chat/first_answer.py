"""Sends the first answer to an interaction: the queued card, or a sentence for the member alone when the bot is slow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from bot.chat.cards.card import render
from bot.chat.faults import Route, as_messenger_errors
from bot.chat.replies import NOBODY, Interaction, answered, answered_privately, defer_public, refuse, seconds_waited
from bot.chat.translation import _, rendered
from bot.domain.card import JobCard
from bot.domain.delivery import DeliveryFault
from bot.messages import Message, translatable
from bot.ports import MessengerError

CALL_LIMIT: Final = 30.0  # seconds; discord.py itself repeats 5xx answers for 25
REPEAT_WITHIN: Final = 2.0  # seconds after which a lost answer is not sent again: it would come too late
BREATH: Final = 0.2  # seconds before a lost answer is sent again

SLOW = translatable(
    "I'm a bit slow right now. Your picture's card will appear below. If it doesn't within a minute, nothing was started and "
    "you weren't charged."
)

T = TypeVar("T")


class DiscordFirstAnswer:
    """Implements ports.FirstAnswer. A first answer may be sent again: Discord takes one and refuses the others (40060)."""

    def __init__(self, interaction: Interaction) -> None:
        self._interaction = interaction

    @property
    def waited(self) -> float:
        return seconds_waited(self._interaction)

    async def show(self, card: JobCard) -> int | None:
        async def send() -> int | None:
            shown = render(card)
            response = await self._interaction.response.send_message(view=shown.view, allowed_mentions=NOBODY)
            return response.message_id

        message_id = await self._first(send)
        answered(self._interaction)
        return message_id

    async def ask_for_patience(self) -> None:
        async def send() -> None:
            await self._interaction.response.send_message(_(SLOW), ephemeral=True, allowed_mentions=NOBODY)

        await self._first(send)
        answered_privately(self._interaction)

    async def think(self) -> int | None:
        async def send() -> int | None:
            return (await defer_public(self._interaction)).message_id

        return await self._first(send)

    async def refuse(self, sentence: Message | str) -> None:
        with as_messenger_errors(Route.TOKEN):
            await refuse(self._interaction, rendered(sentence))

    async def follow_up(self, card: JobCard) -> int:
        shown = render(card)
        with as_messenger_errors(Route.TOKEN):
            async with asyncio.timeout(CALL_LIMIT):
                message = await self._interaction.followup.send(
                    view=shown.view, files=shown.files, allowed_mentions=NOBODY, wait=True
                )
        return message.id

    async def _first(self, send: Callable[[], Awaitable[T]]) -> T:
        try:
            return await _once(send)
        except MessengerError as error:
            if error.fault is not DeliveryFault.UNAVAILABLE or self.waited > REPEAT_WITHIN:
                raise
        await asyncio.sleep(BREATH)
        return await _once(send)


async def _once(send: Callable[[], Awaitable[T]]) -> T:
    with as_messenger_errors(Route.TOKEN):
        async with asyncio.timeout(CALL_LIMIT):
            return await send()
