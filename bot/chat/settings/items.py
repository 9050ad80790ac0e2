"""The parts of the settings panel: found by their custom id, a page and a setting, so that they work after a restart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Protocol, Self

import discord

from bot.chat.replies import Interaction

CUSTOM_ID = re.compile(r"pastel-settings:(?P<page>[a-z]+):(?P<setting>[a-z_]+|[0-9]{1,18})")
THEME = "theme"  # in place of a setting: the select that turns the page
HISTORY = "history"  # in place of a page: the button for older changes, with the number of the oldest that is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsPress:
    """A select that was used, a pressed button or a submitted form. Nothing in it is checked: anybody can send anything."""

    page: str
    setting: str

    @classmethod
    def parse(cls, custom_id: str) -> Self | None:
        """None for a custom id that is not of the panel."""
        match = CUSTOM_ID.fullmatch(custom_id)
        return cls.of(match) if match else None

    @classmethod
    def of(cls, match: re.Match[str]) -> Self:
        """Read a match of CUSTOM_ID."""
        return cls(page=match["page"], setting=match["setting"])

    @property
    def custom_id(self) -> str:
        return f"pastel-settings:{self.page}:{self.setting}"


class SettingsPressReceiver(Protocol):
    """The client, as the panel sees it."""

    async def press_setting(self, interaction: Interaction, press: SettingsPress) -> None: ...


class SettingsItem(discord.ui.DynamicItem[discord.ui.Item[Any]], template=CUSTOM_ID):
    """Any button or select of the panel, whatever message it stands on. Whoever handles it checks who uses it."""

    def __init__(self, press: SettingsPress, item: discord.ui.Item[Any]) -> None:
        super().__init__(item)
        self.press = press

    @classmethod
    async def from_custom_id(cls, interaction: Interaction, item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        del interaction
        return cls(SettingsPress.of(match), item)

    async def callback(self, interaction: Interaction) -> None:
        receiver: SettingsPressReceiver = interaction.client
        await receiver.press_setting(interaction, self.press)
