"""Defines channels as options of commands."""

from __future__ import annotations

from discord import AppCommandOptionType, ChannelType
from discord.app_commands import AppCommandChannel, AppCommandThread, Transform, Transformer, TransformerError

from bot.chat.replies import Interaction
from bot.chat.settings.controls import DRAWN_IN, POSTED_IN


class ChannelId(Transformer):
    """An option that takes the id of a channel of one of `kinds`.

    discord.py's own option looks the channel up in the server, so in a direct message it fails before rights are checked.
    """

    def __init__(self, *kinds: ChannelType) -> None:
        self._kinds = list(kinds)

    @property
    def type(self) -> AppCommandOptionType:
        return AppCommandOptionType.channel

    @property
    def channel_types(self) -> list[ChannelType]:
        return self._kinds

    async def transform(self, interaction: Interaction, value: AppCommandChannel | AppCommandThread, /) -> str:
        del interaction
        if value.type not in self._kinds:
            raise TransformerError(value, self.type, self)
        return str(value.id)


PostedIn = Transform[str, ChannelId(*POSTED_IN)]
DrawnIn = Transform[str, ChannelId(*DRAWN_IN)]
