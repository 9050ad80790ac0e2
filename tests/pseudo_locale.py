"""A language in which every translated template stands in brackets, so that text without them was never translated."""

from __future__ import annotations

import gettext
import re
from collections.abc import Collection

import pytest

from bot.chat import translation
from bot.domain.language import Language

OPEN, CLOSE = "⟦", "⟧"
_VALUES = re.compile(
    r"```.*?```"  # what is copied from here
    r"|`[^`]*`"  # commands, options and codes
    r"|\(https?://[^)]*\)"
    r"|<[@#:t][^>]*>",  # mentions and timestamps, which Discord writes out
    re.DOTALL,
)


class PseudoCatalogue(gettext.NullTranslations):
    """Translates a template into itself in brackets."""

    def gettext(self, message: str) -> str:
        return f"{OPEN}{message}{CLOSE}"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return f"{OPEN}{msgid1 if n == 1 else msgid2}{CLOSE}"


def speak_pseudo(monkeypatch: pytest.MonkeyPatch, languages: Collection[Language] = tuple(Language)) -> None:
    """Let these languages be the pseudo-locale and all others English, until the test is over."""
    pseudo, english = PseudoCatalogue(), gettext.NullTranslations()
    monkeypatch.setattr(translation, "_catalogue", lambda language: pseudo if language in languages else english)


def untranslated(text: str) -> list[str]:
    """Returns the words that stand in no brackets, without what is a value by its form."""
    depth, outside = 0, []
    for char in text:
        depth += (char == OPEN) - (char == CLOSE)
        outside.append(char if depth == 0 and char != CLOSE else " ")
    return re.findall(r"[^\W\d_]{2,}", _VALUES.sub(" ", "".join(outside)))
