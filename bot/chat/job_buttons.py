"""The buttons of a card: dynamic items, so that they work for good and need no memory."""

from __future__ import annotations

import re
from typing import Any, Protocol, Self

import discord

from bot.chat.actions import CUSTOM_ID, Press
from bot.chat.replies import Interaction


class PressReceiver(Protocol):
    """The client, as a button sees it."""

    async def press(self, interaction: Interaction, press: Press) -> None: ...


class JobButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=CUSTOM_ID):
    """Any button on any card. What the custom id says is a question; the service looks everything up and checks it."""

    def __init__(self, press: Press, button: discord.ui.Button[Any]) -> None:
        super().__init__(button)
        self.press = press

    @classmethod
    async def from_custom_id(cls, interaction: Interaction, item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        del interaction
        if not isinstance(item, discord.ui.Button):
            raise TypeError(f"{type(item).__name__} with a button's custom id")
        return cls(Press.of(match), item)

    async def callback(self, interaction: Interaction) -> None:
        receiver: PressReceiver = interaction.client
        await receiver.press(interaction, self.press)
