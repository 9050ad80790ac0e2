"""A server's settings in words: what each is called and does, and its value as moderators read it.

Values come as in JSON (see bot.domain.guild_settings.serialization), as the audit log keeps them. What moderators wrote is
escaped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isqrt
from typing import Any, cast

from bot.chat.cards.text import words
from bot.domain.guild_settings.settings import MAX_PRIORITY
from bot.domain.quota import counted, in_credits
from bot.domain.request import MAX_IMAGES, MAX_STEPS
from bot.domain.safety import SafetyLevel, Spoilers

ROOM = 500  # characters of one value; five of them and their explanations fit into a message
STYLE_LENGTH, WORD_LENGTH = 60, 60


class Theme(StrEnum):
    """The pages of the panel."""

    ACCESS = "access"
    ALLOWANCES = "allowances"
    LIMITS = "limits"
    STYLES = "styles"
    SAFETY = "safety"
    SHOWING = "showing"

    @property
    def heading(self) -> str:
        return _THEMES[self][0]

    @property
    def emoji(self) -> str:
        return _THEMES[self][1]

    @property
    def summary(self) -> str:
        """What stands on the page, in a few words."""
        return _THEMES[self][2]


_THEMES: Mapping[Theme, tuple[str, str, str]] = {
    Theme.ACCESS: ("Where and who", "📍", "Channels and roles"),
    Theme.ALLOWANCES: ("Allowances", "🪙", "Credits a day, waiting jobs, priorities"),
    Theme.LIMITS: ("Limits", "📏", "Size, steps and number of pictures"),
    Theme.STYLES: ("Styles", "🎨", "Styles, and what is always left out"),
    Theme.SAFETY: ("Safety", "🛡️", "How far pictures may go, words, reports"),
    Theme.SHOWING: ("Showing and keeping", "🖼️", "Spoilers, reuse, how long things are kept"),
}

Shown = Callable[[Any, int], str]
"""A value that is set, in so many characters or a little more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingText:
    """`unset` stands for a value that is empty or None."""

    theme: Theme
    title: str
    meaning: str = ""
    unset: str = "none"
    shown: Shown = lambda value, _: str(value)


def shown(name: str, value: Any, room: int = ROOM) -> str:
    """A setting's value in about `room` characters; of a setting that is no more, what was stored."""
    text = SETTING_TEXTS.get(name)
    if text is None:
        return words(json.dumps(value, ensure_ascii=False), room // 2)
    if value is None or value in ("", [], {}):
        return text.unset
    return text.shown(value, room)


def title(name: str) -> str:
    """What people call the setting."""
    text = SETTING_TEXTS.get(name)
    return words(name, STYLE_LENGTH) if text is None else text.title


def in_words(sentence: str) -> str:
    """A refusal with the settings called as people call them; files of settings know them by their names."""
    for name, text in SETTING_TEXTS.items():
        sentence = sentence.replace(f"`{name}`", f"**{text.title}**")
    return sentence


def joined(items: Sequence[str], room: int) -> str:
    """As many of `items` as fit, and how many more there are; the first one always."""
    kept: list[str] = []
    for item in items:
        if kept and len(", ".join([*kept, item])) > room:
            return f"{', '.join(kept)} and {len(items) - len(kept)} more"
        kept.append(item)
    return ", ".join(kept)


def names_of(theme: Theme) -> list[str]:
    """The settings of a page, in their order."""
    return [name for name, text in SETTING_TEXTS.items() if text.theme is theme]


def pixels(number: int) -> str:
    """An amount of pixels, and the square that has as many."""
    side = isqrt(number)
    return f"{side} × {side} pixels, or as many" if side * side == number else f"{number:,} pixels"


def _list_of(shape: Callable[[str], str]) -> Shown:
    return lambda value, room: joined([shape(str(item)) for item in cast("list[Any]", value)], room)


def _numbers(unit: Callable[[int], str]) -> Shown:
    def listed(value: Any, room: int) -> str:
        given = cast("dict[str, int]", value)
        return joined([f"<@&{role_id}> {unit(number)}" for role_id, number in given.items()], room)

    return listed


def _one_of(names: Mapping[str, str]) -> Shown:
    return lambda value, _: names.get(str(value), words(str(value), STYLE_LENGTH))


def _uncapitalised(names: Mapping[str, str]) -> Mapping[str, str]:
    """As they stand behind a title, where the other values begin small too."""
    return {value: name[:1].lower() + name[1:] for value, name in names.items()}


def _days(value: Any, _: int) -> str:
    return counted(int(value), "day")


_CHANNELS = _list_of(lambda item: f"<#{item}>")
_ROLES = _list_of(lambda item: f"<@&{item}>")

SAFETY_NAMES: Mapping[str, str] = {
    SafetyLevel.STRICT: "Strict: for everybody, in every channel",
    SafetyLevel.MODERATE: "Moderate: suggestive at most, nothing sexual",
    SafetyLevel.AGE_RESTRICTED: "Adult in age-restricted channels, else moderate",
}
SPOILER_NAMES: Mapping[str, str] = {
    Spoilers.NEVER: "Only for members who want it",
    Spoilers.AGE_RESTRICTED: "In age-restricted channels",
    Spoilers.ALWAYS: "Every picture",
}
REUSE_NAMES: Mapping[str, str] = {"True": "Everybody", "False": "Only whoever asked for it"}

SETTING_TEXTS: Mapping[str, SettingText] = {
    "allowed_channels": SettingText(
        theme=Theme.ACCESS,
        title="Allowed channels",
        meaning="Where I draw. A thread counts as its channel.",
        unset="every channel",
        shown=_CHANNELS,
    ),
    "allowed_roles": SettingText(
        theme=Theme.ACCESS,
        title="Allowed roles",
        meaning="Who may draw: members with one of these roles.",
        unset="everybody",
        shown=_ROLES,
    ),
    "daily_credits": SettingText(
        theme=Theme.ALLOWANCES,
        title="Daily credits",
        meaning="For each member. 1 credit is one 1024 × 1024 picture of 28 steps.",
        unset="as my host set it",
        shown=lambda value, _: in_credits(int(value)),
    ),
    "role_credits": SettingText(
        theme=Theme.ALLOWANCES,
        title="Daily credits of roles",
        meaning="A member with several of them has the largest.",
        shown=_numbers(in_credits),
    ),
    "exempt_roles": SettingText(
        theme=Theme.ALLOWANCES,
        title="Roles without a daily limit",
        meaning="The limit over all servers still holds, if my host set one.",
        shown=_ROLES,
    ),
    "waiting_jobs": SettingText(
        theme=Theme.ALLOWANCES,
        title="Waiting jobs",
        meaning="How many a member may have in the queue here.",
        unset="as many as my host allows",
        shown=lambda value, _: counted(int(value), "job"),
    ),
    "role_priorities": SettingText(
        theme=Theme.ALLOWANCES,
        title="Priority of roles",
        meaning=f"1 to {MAX_PRIORITY}. With 3, members get three turns for one of the others.",
        unset="the same for everybody",
        shown=_numbers(str),
    ),
    "max_pixels": SettingText(
        theme=Theme.LIMITS,
        title="Largest picture",
        unset="every size that the model offers",
        shown=lambda value, _: pixels(int(value)),
    ),
    "max_steps": SettingText(
        theme=Theme.LIMITS,
        title="Most steps",
        meaning="More steps take longer and may be finer.",
        unset=f"up to {MAX_STEPS}",
        shown=lambda value, _: counted(int(value), "step"),
    ),
    "max_images": SettingText(
        theme=Theme.LIMITS,
        title="Most pictures at once",
        unset=f"up to {MAX_IMAGES}",
        shown=lambda value, _: counted(int(value), "picture"),
    ),
    "default_style": SettingText(
        theme=Theme.STYLES,
        title="Default style",
        meaning="For members who choose none.",
        unset="no style",
        shown=lambda value, _: words(str(value), STYLE_LENGTH),
    ),
    "allowed_styles": SettingText(
        theme=Theme.STYLES,
        title="Allowed styles",
        meaning="What may be chosen, beside no style at all.",
        unset="every style",
        shown=_list_of(lambda item: words(item, STYLE_LENGTH)),
    ),
    "default_negative_prompt": SettingText(
        theme=Theme.STYLES,
        title="Default negative prompt",
        meaning="What to leave out for members who say nothing about it.",
        unset="nothing",
        shown=lambda value, room: words(str(value), room // 2),  # escaping can double it
    ),
    "safety": SettingText(
        theme=Theme.SAFETY,
        title="Safety level",
        meaning="At every level, prompts that sexualise minors are refused.",
        shown=_one_of(SAFETY_NAMES),
    ),
    "blocked_words": SettingText(
        theme=Theme.SAFETY,
        title="Blocked words",
        meaning="Prompts with one of them are refused.",
        shown=_list_of(lambda item: words(item, WORD_LENGTH)),
    ),
    "report_channel": SettingText(
        theme=Theme.SAFETY,
        title="Report channel",
        meaning="Where I post what members report.",
        unset="none, so reports reach nobody",
        shown=lambda value, _: f"<#{value}>",
    ),
    "spoilers": SettingText(
        theme=Theme.SHOWING,
        title="Pictures hidden behind a click",
        shown=_one_of(_uncapitalised(SPOILER_NAMES)),
    ),
    "others_may_reuse": SettingText(
        theme=Theme.SHOWING,
        title="Who may reroll, vary and remix a picture",
        shown=_one_of(_uncapitalised(REUSE_NAMES)),
    ),
    "picture_days": SettingText(
        theme=Theme.SHOWING,
        title="Delete pictures after",
        meaning="On my side. The message in Discord stays.",
        unset="as my host decides",
        shown=_days,
    ),
    "prompt_days": SettingText(
        theme=Theme.SHOWING,
        title="Delete prompts after",
        meaning="The picture on my side goes with its prompt.",
        unset="as my host decides",
        shown=_days,
    ),
}
