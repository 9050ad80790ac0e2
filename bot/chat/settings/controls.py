"""The selects of the settings panel: what they offer, and how what was chosen becomes a value as in JSON."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import discord
from discord import SelectDefaultValue, SelectDefaultValueType, SelectOption, ui

from bot.chat.cards.markdown import shorten
from bot.chat.settings.text import REUSE_NAMES, SAFETY_NAMES, SPOILER_NAMES, pixels
from bot.chat.views.form_fields import NO_STYLE, OPTION_LENGTH
from bot.domain.guild_settings.audit_log import Edit
from bot.domain.guild_settings.edits import assign
from bot.domain.guild_settings.settings import MAX_LISTED
from bot.domain.profile import ImageSize, Style
from bot.domain.quota import counted
from bot.domain.request import MAX_IMAGES
from bot.errors import InvalidRequestError

NONE = NO_STYLE  # in place of any value that is not set
DRAWN_IN = (
    discord.ChannelType.text,
    discord.ChannelType.news,
    discord.ChannelType.voice,
    discord.ChannelType.stage_voice,
    discord.ChannelType.forum,
    discord.ChannelType.media,
    discord.ChannelType.public_thread,
    discord.ChannelType.private_thread,
    discord.ChannelType.news_thread,
)
REPORTED_IN = (discord.ChannelType.text, discord.ChannelType.news)
NOT_ON_THE_LIST = "That is not on the list. Choose again."

Values = Mapping[str, Any]
"""A server's settings as in JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What moderators can choose from. `known` are the channels and roles that still exist; a select can show no others."""

    styles: tuple[Style, ...]
    sizes: tuple[ImageSize, ...]
    known: frozenset[int]


def select_for(name: str, custom_id: str, values: Values, offer: Offer) -> ui.Item[Any] | None:
    """The select that changes a setting; None for one that is changed with a form, and where nothing can be chosen."""
    value = values[name]
    match name:
        case "allowed_channels":
            chosen = _existing(value, offer, SelectDefaultValueType.channel)
            return _channels(custom_id, DRAWN_IN, chosen, most=MAX_LISTED, placeholder="Every channel")
        case "report_channel":
            chosen = _existing([value] if value else [], offer, SelectDefaultValueType.channel)
            return _channels(custom_id, REPORTED_IN, chosen, most=1, placeholder="None")
        case "allowed_roles" | "exempt_roles":
            chosen = _existing(value, offer, SelectDefaultValueType.role)
            placeholder = "Everybody" if name == "allowed_roles" else "None"
            return ui.RoleSelect(
                custom_id=custom_id, min_values=0, max_values=MAX_LISTED, default_values=chosen, placeholder=placeholder
            )
        case "allowed_styles":
            options = _options(_style_options(offer, value), value)
            return _many(custom_id, options, placeholder="Every style") if options else None
        case _:
            options = _choices(name, value, offer)
            picked = NONE if value is None else str(value)
            return ui.Select(custom_id=custom_id, options=_options(options, [picked])) if options else None


def chosen_edit(name: str, chosen: Sequence[str]) -> Edit:
    """What to do when these were chosen. Raises InvalidRequestError for what no select offers."""
    if name in {"allowed_channels", "allowed_roles", "exempt_roles", "allowed_styles"}:
        return assign(name, list(chosen))
    if name == "report_channel":
        return assign(name, chosen[0] if chosen else None)
    if len(chosen) != 1:
        raise InvalidRequestError(NOT_ON_THE_LIST)
    return assign(name, _value(name, chosen[0]))


def size_choices(sizes: Iterable[ImageSize]) -> list[tuple[str, int]]:
    """The amounts of pixels that sizes of the model have, and those sizes; the smallest first."""
    by_amount: dict[int, list[ImageSize]] = {}
    for size in sizes:
        by_amount.setdefault(size.width * size.height, []).append(size)
    return [
        (f"{same[0].width} × {same[0].height} · {', '.join(size.name for size in same)}", amount)
        for amount, same in sorted(by_amount.items())
    ]


def _value(name: str, text: str) -> Any:
    match name:
        case "max_pixels" | "max_images":
            if text == NONE:
                return None
            if text.isascii() and text.isdecimal() and len(text) < 12:
                return int(text)
        case "default_style":
            return None if text == NONE else text
        case "others_may_reuse":
            if text in REUSE_NAMES:
                return text == str(True)
        case "safety" | "spoilers":
            return text
        case _:
            pass
    raise InvalidRequestError(NOT_ON_THE_LIST)


def _choices(name: str, value: Any, offer: Offer) -> list[tuple[str, str]]:
    """Value and label of every option."""
    match name:
        case "max_pixels":
            sizes = [(str(amount), label) for label, amount in size_choices(offer.sizes)]
            own = [] if value is None or str(value) in dict(sizes) else [(str(value), pixels(value))]
            return [(NONE, "Every size that the model offers"), *sizes, *own]
        case "max_images":
            return [(NONE, "No limit here"), *((str(n), counted(n, "picture")) for n in range(1, MAX_IMAGES + 1))]
        case "default_style":
            return [(NONE, "No style"), *_style_options(offer, [value] if value else [])]
        case "safety":
            return list(SAFETY_NAMES.items())
        case "spoilers":
            return list(SPOILER_NAMES.items())
        case "others_may_reuse":
            return list(REUSE_NAMES.items())
        case _:
            return []


def _style_options(offer: Offer, chosen: Collection[str]) -> list[tuple[str, str]]:
    """The chosen ones always, also those that fit another model or are no longer there."""
    fitting = {style.name: style.title for style in offer.styles}
    gone = {name: f"{name} (not for this model)" for name in sorted(chosen) if name not in fitting}
    return [*fitting.items(), *gone.items()]


def _options(options: list[tuple[str, str]], chosen: Collection[str]) -> list[SelectOption]:
    """At most as many as Discord takes, in their order, the chosen ones always among them."""
    room = MAX_LISTED - sum(value in chosen for value, _ in options)
    first = [value for value, _ in options if value not in chosen][:room]
    shown = [(value, label) for value, label in options if value in chosen or value in first]
    return [SelectOption(label=shorten(label, OPTION_LENGTH), value=value, default=value in chosen) for value, label in shown]


def _many(custom_id: str, options: list[SelectOption], *, placeholder: str) -> ui.Select[Any]:
    return ui.Select(custom_id=custom_id, options=options, min_values=0, max_values=len(options), placeholder=placeholder)


def _channels(
    custom_id: str, kinds: Sequence[discord.ChannelType], chosen: list[SelectDefaultValue], *, most: int, placeholder: str
) -> ui.ChannelSelect[Any]:
    return ui.ChannelSelect(
        custom_id=custom_id,
        channel_types=list(kinds),
        min_values=0,
        max_values=most,
        default_values=chosen,
        placeholder=placeholder,
    )


def _existing(ids: Iterable[str], offer: Offer, kind: SelectDefaultValueType) -> list[SelectDefaultValue]:
    return [SelectDefaultValue(id=int(item), type=kind) for item in ids if int(item) in offer.known]
