"""Choices that appear while somebody types."""

from __future__ import annotations

from collections.abc import Sequence

from discord.app_commands import Choice

from bot.chat.cards.markdown import shorten
from bot.domain.profile import ModelProfile, Style
from bot.domain.quality import names_of

MAX_CHOICES = 25  # Discord's limit
NAME_LENGTH = 100  # of a choice


def style_choices(styles: Sequence[Style], current: str) -> list[Choice[str]]:
    """Those of `styles` whose name, title or description holds what was typed, names that begin with it first."""
    typed = current.strip().casefold()
    fitting = [style for style in styles if typed in f"{style.name} {style.title} {style.description}".casefold()]
    fitting.sort(key=lambda style: not style.title.casefold().startswith(typed))
    return [
        Choice(
            name=shorten(f"{style.title} – {style.description}" if style.description else style.title, NAME_LENGTH),
            value=style.name,
        )
        for style in fitting[:MAX_CHOICES]
    ]


def size_choices(profile: ModelProfile, current: str = "") -> list[Choice[str]]:
    """The model's sizes by name and pixels, those that hold what was typed."""
    typed = current.strip().casefold()
    labels = [(size.name, f"{size.name} · {size.width} × {size.height}") for size in profile.sizes]
    return [Choice(name=label, value=name) for name, label in labels if typed in label.casefold()][:MAX_CHOICES]


def quality_choices(profile: ModelProfile) -> list[Choice[str]]:
    """The model's qualities by name and steps."""
    steps = {name: quality.num_inference_steps for name, quality in profile.quality.items()}
    return [
        Choice(name=f"{name} · {steps.get(name, profile.num_inference_steps)} steps", value=name) for name in names_of(profile)
    ]
