"""Texts of the groups of settings: the pages of the panel, and the groups of their commands.

These are templates, translated into the reader's language where they are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.domain.guild_settings.definitions import Group
from bot.messages import translatable

HEADING = translatable("## Server settings")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupText:
    """A page of the panel: its heading, and a `summary` of its settings."""

    heading: str
    emoji: str
    summary: str


GROUP_TEXTS: Mapping[Group, GroupText] = {
    Group.ACCESS: GroupText(heading=translatable("Access"), emoji="📍", summary=translatable("Channels and roles")),
    Group.ALLOWANCES: GroupText(
        heading=translatable("Allowances"), emoji="🪙", summary=translatable("Daily credits, waiting pictures, priorities")
    ),
    Group.LIMITS: GroupText(
        heading=translatable("Limits"), emoji="📏", summary=translatable("Size, steps and number of pictures")
    ),
    Group.STYLES: GroupText(
        heading=translatable("Styles"), emoji="🎨", summary=translatable("Styles, and what's left out by default")
    ),
    Group.SAFETY: GroupText(
        heading=translatable("Safety"), emoji="🛡️", summary=translatable("How far pictures may go, words, reports")
    ),
    Group.SHOWING: GroupText(
        heading=translatable("Display and storage"),
        emoji="🖼️",
        summary=translatable("Language, spoilers, what I keep"),
    ),
}

COMMAND_GROUPS: Mapping[str, str] = {
    "channels": translatable("Where I draw"),
    "roles": translatable("Who can draw; an empty list is everybody"),
    "allowance": translatable("How many credits members get a day (UTC)"),
    "exempt": translatable("Roles without a daily limit in this server"),
    "priority": translatable("Who gets more turns in this server's queue"),
    "limit": translatable("The most that one member or one request can have here"),
    "styles": translatable("Which styles members can choose, and the default"),
    "words": translatable("Words that prompts can't have here"),
    "keep": translatable("After how many days I delete what I keep"),
}
