"""Makes the choices that appear while a member types."""

from __future__ import annotations

from collections.abc import Sequence

from discord.app_commands import Choice

from bot.chat.cards.markdown import shorten
from bot.chat.command_translator import filled
from bot.chat.limits import MAX_OPTIONS, OPTION_LENGTH
from bot.chat.views.choice_labels import quality_text, size_label, size_text
from bot.domain.profile import ModelProfile, Style
from bot.domain.quality import names_of


def style_choices(styles: Sequence[Style], current: str) -> list[Choice[str]]:
    """Returns those of `styles` whose name, title or description contains `current`; names that begin with it first."""
    typed = current.strip().casefold()
    fitting = [style for style in styles if typed in f"{style.name} {style.title} {style.description}".casefold()]
    fitting.sort(key=lambda style: not style.title.casefold().startswith(typed))
    return [
        Choice(
            name=shorten(f"{style.title} – {style.description}" if style.description else style.title, OPTION_LENGTH),
            value=style.name,
        )
        for style in fitting[:MAX_OPTIONS]
    ]


def size_choices(profile: ModelProfile) -> list[Choice[str]]:
    """Returns the model's sizes by name and pixels, for a command's fixed list."""
    return [Choice(name=filled(size_text(size)), value=size.name) for size in profile.sizes[:MAX_OPTIONS]]


def typed_size_choices(profile: ModelProfile, current: str) -> list[Choice[str]]:
    """Returns those of the model's sizes whose name or label, in the member's language, contains `current`."""
    typed = current.strip().casefold()
    labels = [(size.name, size_label(size)) for size in profile.sizes]
    fitting = [(name, label) for name, label in labels if typed in f"{name} {label}".casefold()]
    return [Choice(name=shorten(label, OPTION_LENGTH), value=name) for name, label in fitting[:MAX_OPTIONS]]


def quality_choices(profile: ModelProfile) -> list[Choice[str]]:
    """Returns the model's qualities by name and steps."""
    return [Choice(name=filled(quality_text(name, profile)), value=name) for name in names_of(profile)]
