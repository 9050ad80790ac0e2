"""Which language somebody is answered in, and which a card for everybody is written in."""

from __future__ import annotations

import pytest

from bot.domain.language import Language, language_of, language_of_cards


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("ja", Language.JAPANESE),
        ("zh-CN", Language.CHINESE),
        ("en-GB", Language.ENGLISH),
        ("fr", Language.ENGLISH),
        (None, Language.ENGLISH),
    ],
)
def test_a_locale_without_a_catalogue_is_answered_in_english(locale: str | None, language: Language):
    assert language_of(locale) is language


@pytest.mark.parametrize(
    ("guild_locale", "locale", "language"),
    [
        ("de", "ja", Language.GERMAN),
        ("fr", "ja", Language.ENGLISH),
        (None, "ja", Language.JAPANESE),
        (None, None, Language.ENGLISH),
    ],
)
def test_cards_are_in_the_servers_language_and_in_a_direct_message_in_the_members(
    guild_locale: str | None, locale: str | None, language: Language
):
    assert language_of_cards(guild_locale, locale) is language
