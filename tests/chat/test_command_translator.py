"""Texts of commands in other languages, and what of them Discord is sent."""

from __future__ import annotations

import discord
import pytest
from discord.app_commands import TranslationContext, TranslationContextLocation, locale_str

from bot.chat.command_sync import payload_hash
from bot.chat.command_translator import CommandTranslator, filled
from bot.chat.limits import DESCRIPTION_LENGTH
from bot.domain.language import Language
from bot.messages import counted, message
from tests.chat.test_client import add_command, make_bot
from tests.pseudo_locale import speak_pseudo

DESCRIPTION = TranslationContextLocation.command_description


async def translated(
    what: locale_str, locale: discord.Locale = discord.Locale.japanese, where: TranslationContextLocation = DESCRIPTION
) -> str | None:
    return await CommandTranslator().translate(what, locale, TranslationContext(location=where, data=None))  # type: ignore[arg-type]


async def test_a_description_is_translated_with_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    speak_pseudo(monkeypatch, [Language.JAPANESE])
    size = filled(message("Default: {size}", size=counted("{count} pixel", "{count} pixels", 64)))

    assert size.message == "Default: 64 pixels"
    assert await translated(size) == "⟦Default: ⟦64 pixels⟧⟧"
    assert await translated(locale_str("Draw")) == "⟦Draw⟧"


@pytest.mark.parametrize(
    "where",
    [TranslationContextLocation.command_name, TranslationContextLocation.group_name, TranslationContextLocation.parameter_name],
)
async def test_names_stay_as_members_tell_them_each_other(
    monkeypatch: pytest.MonkeyPatch, where: TranslationContextLocation
) -> None:
    speak_pseudo(monkeypatch)

    assert await translated(locale_str("draw"), where=where) is None


@pytest.mark.parametrize("locale", [discord.Locale.american_english, discord.Locale.french, discord.Locale.german])
async def test_without_a_translation_discord_shows_the_english(monkeypatch: pytest.MonkeyPatch, locale: discord.Locale) -> None:
    speak_pseudo(monkeypatch, [Language.JAPANESE])

    assert await translated(locale_str("Draw"), locale) is None


async def test_a_translation_that_is_too_long_does_not_have_all_commands_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    speak_pseudo(monkeypatch)

    said = await translated(locale_str("x" * DESCRIPTION_LENGTH))

    assert said is not None
    assert len(said) == DESCRIPTION_LENGTH


async def test_a_changed_translation_is_sent_to_discord(monkeypatch: pytest.MonkeyPatch) -> None:
    bot = make_bot()
    add_command(bot)
    await bot.tree.set_translator(CommandTranslator())
    before = await payload_hash(bot.tree)

    speak_pseudo(monkeypatch, [Language.JAPANESE])

    assert await payload_hash(bot.tree) != before
