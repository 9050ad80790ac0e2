"""Permanent buttons and selects: discord.py makes them from their custom id again, whatever message they are on."""

from __future__ import annotations

import re
from typing import Any, Protocol, Self

import discord

from bot.chat.actions import ANY_CUSTOM_ID, AnyPress, press_of
from bot.chat.replies import Interaction


class PressReceiver(Protocol):
    """The part of the client that an item uses."""

    async def press(self, interaction: Interaction, press: AnyPress) -> None: ...


class PressedItem(discord.ui.DynamicItem[discord.ui.Item[Any]], template=ANY_CUSTOM_ID):
    """Any of our buttons and selects. Its custom id is untrusted; the service looks everything up and checks it."""

    def __init__(self, press: AnyPress, item: discord.ui.Item[Any]) -> None:
        super().__init__(item)
        self.press = press

    @classmethod
    async def from_custom_id(cls, interaction: Interaction, item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        del interaction
        press = press_of(match.string)
        if press is None:
            raise ValueError("discord.py found a custom id that is not ours")
        return cls(press, item)

    async def callback(self, interaction: Interaction) -> None:
        receiver: PressReceiver = interaction.client
        await receiver.press(interaction, self.press)
