"""The selects of the settings panel: their options, and the conversion of choices to JSON values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from discord import ChannelType, SelectDefaultValue, SelectDefaultValueType, SelectOption, ui

from bot.chat.cards.markdown import shorten
from bot.chat.settings.text import SETTING_TEXTS
from bot.chat.settings.values import Values, shown, unset
from bot.chat.translation import _
from bot.chat.views.form_fields import NO_STYLE, OPTION_LENGTH
from bot.domain.guild_settings import kinds
from bot.domain.guild_settings.audit_log import Edit
from bot.domain.guild_settings.definitions import SETTINGS, Setting
from bot.domain.guild_settings.edits import assign
from bot.domain.guild_settings.kinds import MAX_LISTED
from bot.domain.profile import ImageSize
from bot.domain.profile import Style as ModelStyle
from bot.errors import InvalidRequestError
from bot.messages import translatable

NONE = NO_STYLE  # instead of any value that is not set
DRAWN_IN = (  # a category would allow nothing
    ChannelType.text,
    ChannelType.news,
    ChannelType.voice,
    ChannelType.stage_voice,
    ChannelType.forum,
    ChannelType.media,
    ChannelType.public_thread,
    ChannelType.private_thread,
    ChannelType.news_thread,
)
POSTED_IN = (ChannelType.text, ChannelType.news)
NOT_ON_THE_LIST = translatable("That isn't on the list. Choose again.")

Options = list[tuple[str, str]]
"""Value and label of every option."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The options for moderators. `known` are the channels and roles that still exist; a select can show no others."""

    styles: tuple[ModelStyle, ...]
    sizes: tuple[ImageSize, ...]
    known: frozenset[int]


def select_for(name: str, custom_id: str, values: Values, offer: Offer) -> ui.Item[Any] | None:
    """Returns the select that changes a setting; None for one that is changed with a form, and where nothing can be chosen."""
    value, setting = values[name], SETTINGS[name]
    match setting.kind:
        case kinds.Channels():
            chosen = _existing(value, offer, SelectDefaultValueType.channel)
            return _channels(custom_id, DRAWN_IN, chosen, most=MAX_LISTED, placeholder=unset(name))
        case kinds.Channel():
            chosen = _existing([value] if value else [], offer, SelectDefaultValueType.channel)
            return _channels(custom_id, POSTED_IN, chosen, most=1, placeholder=unset(name))
        case kinds.Roles():
            chosen = _existing(value, offer, SelectDefaultValueType.role)
            return ui.RoleSelect(
                custom_id=custom_id, min_values=0, max_values=MAX_LISTED, default_values=chosen, placeholder=unset(name)
            )
        case kinds.Styles():
            options = _options(_style_options(offer, value), value)
            return _many(custom_id, options, placeholder=unset(name)) if options else None
        case _:
            options = _choices(setting, value, offer)
            picked = NONE if value is None else str(value)
            return ui.Select(custom_id=custom_id, options=_options(options, [picked])) if options else None


def chosen_edit(name: str, chosen: Sequence[str]) -> Edit:
    """Returns the edit for these choices. Raises InvalidRequestError for choices that no select offers."""
    kind = SETTINGS[name].kind if name in SETTINGS else None
    match kind:
        case kinds.Channels() | kinds.Roles() | kinds.Styles():
            return assign(name, list(chosen))
        case kinds.Channel():
            return assign(name, chosen[0] if chosen else None)
        case _:
            if len(chosen) != 1:
                raise InvalidRequestError(NOT_ON_THE_LIST)
            return assign(name, _value(kind, chosen[0]))


def size_choices(sizes: Iterable[ImageSize]) -> list[tuple[str, int]]:
    """Returns the sizes of the model by their amount of pixels, the smallest first."""
    by_amount: dict[int, list[ImageSize]] = {}
    for size in sizes:
        by_amount.setdefault(size.width * size.height, []).append(size)
    return [
        (f"{same[0].width} × {same[0].height} · {', '.join(size.name for size in same)}", amount)
        for amount, same in sorted(by_amount.items())
    ]


def _value(kind: object, text: str) -> Any:
    match kind:
        case kinds.Number() if kind.is_listed and text.isascii() and text.isdecimal() and len(text) < 12:
            return int(text)
        case kinds.Number() if kind.is_listed and text == NONE:
            return None
        case kinds.Style():
            return None if text == NONE else text
        case kinds.Choice():
            return None if text == NONE and kind.optional else text
        case kinds.Flag() if text in {str(True), str(False)}:
            return text == str(True)
        case _:
            raise InvalidRequestError(NOT_ON_THE_LIST)


def _choices(setting: Setting, value: Any, offer: Offer) -> Options:
    nothing, text = (NONE, unset(setting.name)), SETTING_TEXTS[setting.name]
    named = [(stored, _(label)) for stored, label in text.choices.items()]
    match setting.kind:
        case kinds.Pixels():
            sizes = [(str(amount), label) for label, amount in size_choices(offer.sizes)]
            own = [] if value is None or str(value) in dict(sizes) else [(str(value), shown(setting.name, value))]
            return [nothing, *sizes, *own]
        case kinds.Number(low, high):
            numbers = range(low, high + 1) if setting.kind.is_listed else ()
            return [nothing, *((str(number), shown(setting.name, number)) for number in numbers)] if numbers else []
        case kinds.Style():
            return [nothing, *_style_options(offer, [value] if value else [])]
        case kinds.Choice(optional=optional):
            return [nothing, *named] if optional else named
        case kinds.Flag():
            return named
        case _:
            return []


def _style_options(offer: Offer, chosen: Collection[str]) -> Options:
    """Returns the styles as options; always the chosen ones, even if they fit another model or no longer exist."""
    fitting = {style.name: style.title for style in offer.styles}
    gone = {name: _("{style} (not for this model)", style=name) for name in sorted(chosen) if name not in fitting}
    return [*fitting.items(), *gone.items()]


def _options(options: Options, chosen: Collection[str]) -> list[SelectOption]:
    """Returns at most as many options as Discord takes, in their order, always with the chosen ones."""
    room = MAX_LISTED - sum(value in chosen for value, _label in options)
    first = [value for value, _label in options if value not in chosen][:room]
    kept = [(value, label) for value, label in options if value in chosen or value in first]
    return [SelectOption(label=shorten(label, OPTION_LENGTH), value=value, default=value in chosen) for value, label in kept]


def _many(custom_id: str, options: list[SelectOption], *, placeholder: str) -> ui.Select[Any]:
    return ui.Select(custom_id=custom_id, options=options, min_values=0, max_values=len(options), placeholder=placeholder)


def _channels(
    custom_id: str, kinds: Sequence[ChannelType], chosen: list[SelectDefaultValue], *, most: int, placeholder: str
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
