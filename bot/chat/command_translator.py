"""Translates the texts of commands. Discord gets all languages when commands are registered.

Names of commands and options stay English: they are what members tell each other to type.
"""

from __future__ import annotations

from typing import Final

from discord import Locale
from discord.app_commands import TranslationContextLocation, TranslationContextTypes, Translator, locale_str

from bot.chat.limits import DESCRIPTION_LENGTH
from bot.chat.translation import rendered, speaking
from bot.domain.language import Language, language_of
from bot.messages import Message, message

_TRANSLATED: Final = {
    TranslationContextLocation.command_description,
    TranslationContextLocation.group_description,
    TranslationContextLocation.parameter_description,
    TranslationContextLocation.choice_name,
}
_MESSAGE: Final = "message"


def filled(what: Message) -> locale_str:
    """Returns a command's text with values filled in; Discord shows English where no translation exists."""
    return locale_str(str(what), **{_MESSAGE: what})


class CommandTranslator(Translator):
    """Translates descriptions and choices by the catalogues; what has no translation stays English."""

    async def translate(self, string: locale_str, locale: Locale, context: TranslationContextTypes) -> str | None:
        language = language_of(locale.value)
        if language is Language.ENGLISH or context.location not in _TRANSLATED:
            return None
        what: Message = string.extras.get(_MESSAGE) or message(string.message)
        with speaking(language):
            said = rendered(what)
        return None if said == string.message else said[:DESCRIPTION_LENGTH]  # Discord refuses all commands for one longer text
