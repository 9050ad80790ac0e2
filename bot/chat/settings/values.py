"""Writes a setting's value for people, by its kind, in the reader's language.

Values come as in JSON (see bot.domain.guild_settings.serialization), as the audit log keeps them. What moderators wrote is
escaped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from bot.chat.cards.text import words
from bot.chat.settings.text import SETTING_TEXTS, SettingText
from bot.chat.translation import _, plural, rendered
from bot.domain.guild_settings import kinds
from bot.domain.guild_settings.definitions import SETTINGS
from bot.messages import Message

Values = Mapping[str, Any]
"""A server's settings as in JSON."""

ROOM = 500  # characters of one value; five of them and their explanations fit into a message
STYLE_LENGTH, WORD_LENGTH = 60, 60


def shown(name: str, value: Any, room: int = ROOM) -> str:
    """Returns a setting's value in about `room` characters; of a setting that no longer exists, the stored value."""
    if name not in SETTINGS:
        return words(json.dumps(value, ensure_ascii=False), room // 2)
    text = SETTING_TEXTS[name]
    if value is None or value in ("", [], {}):
        return rendered(text.unset)
    return _set_value(SETTINGS[name].kind, text, value, room)


def title(name: str) -> str:
    """Returns the setting's name for people."""
    text = SETTING_TEXTS.get(name)
    return words(name, STYLE_LENGTH) if text is None else _(text.title)


def unset(name: str) -> str:
    """Returns the name of an empty value on its own, as in a select."""
    called = rendered(SETTING_TEXTS[name].unset)
    return called[:1].upper() + called[1:]


def in_words(sentence: Message) -> Message:
    """Returns a refusal with the setting's name for people; files of settings use its key."""
    name = str(sentence.values.get("setting", "")).strip("`")
    if name not in SETTING_TEXTS:
        return sentence
    return replace(sentence, values={**sentence.values, "setting": f"**{title(name)}**"})


def joined(items: Sequence[str], room: int) -> str:
    """Returns as many of `items` as fit, and how many more there are; the first one always."""
    separator = _(", ")
    kept: list[str] = []
    for item in items:
        if kept and len(separator.join([*kept, item])) > room:
            return plural(
                "{items} and {count} more", "{items} and {count} more", len(items) - len(kept), items=separator.join(kept)
            )
        kept.append(item)
    return separator.join(kept)


def _set_value(kind: kinds.Kind, text: SettingText, value: Any, room: int) -> str:
    match kind:
        case kinds.Number():
            return rendered(text.number(int(value)))
        case kinds.Choice() | kinds.Flag():
            called = text.choices.get(str(value))
            return words(str(value), STYLE_LENGTH) if called is None else _(called)
        case kinds.Text():
            return words(str(value), room // 2)  # escaping can double it
        case kinds.Style():
            return words(str(value), STYLE_LENGTH)
        case kinds.Channel():
            return f"<#{value}>"
        case kinds.Channels():
            return joined([f"<#{item}>" for item in value], room)
        case kinds.Roles():
            return joined([f"<@&{item}>" for item in value], room)
        case kinds.Words() | kinds.Styles():
            return joined([words(str(item), WORD_LENGTH) for item in value], room)
        case kinds.RoleNumbers():
            given = cast("dict[str, int]", value)
            pairs = (_("{role} {number}", role=f"<@&{role}>", number=text.number(number)) for role, number in given.items())
            return joined(list(pairs), room)
