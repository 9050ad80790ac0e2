"""The languages that Pastel speaks, by Discord's names for them."""

from __future__ import annotations

from enum import StrEnum


class Language(StrEnum):
    """A catalogue under `bot/locales`; English needs none. The values are Discord's locales (reference: Locales)."""

    ENGLISH = "en"
    JAPANESE = "ja"
    CHINESE = "zh-CN"
    KOREAN = "ko"
    GERMAN = "de"


def language_of_cards(guild_locale: str | None, locale: str | None) -> Language:
    """Returns what everybody's cards are written in where a server chose nothing else: its Discord language, and the member's
    in a direct message.
    """
    return language_of(locale if guild_locale is None else guild_locale)


def language_of(locale: str | None) -> Language:
    """Returns the language for one of Discord's locales, such as `en-GB` or `ja`; English for those without a catalogue."""
    try:
        return Language(locale or "")
    except ValueError:
        return Language.ENGLISH
