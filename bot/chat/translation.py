"""Renders sentences in the reader's language. It belongs to the task: entry points set it before they answer anybody.

Private answers are in the member's language, public cards in the job's (`job.language`), logs in English.
"""

from __future__ import annotations

import gettext
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Final

from bot.domain.language import Language
from bot.messages import ENGLISH_NUMBERS, Message, NumberSigns, counted, message, render

DOMAIN: Final = "pastel"
FOLDER: Final = Path(__file__).resolve().parent.parent / "locales"

_NUMBERS: Final = {Language.GERMAN: NumberSigns(group=".", decimal=",")}
_spoken: ContextVar[Language] = ContextVar("language", default=Language.ENGLISH)


def speak(language: Language) -> None:
    """Makes the rest of this task answer in `language`."""
    _spoken.set(language)


@contextmanager
def speaking(language: Language) -> Generator[None]:
    """Answers in `language` inside the block, whatever the task's language is otherwise."""
    token = _spoken.set(language)
    try:
        yield
    finally:
        _spoken.reset(token)


def rendered(what: Message | str) -> str:
    """Returns the sentence in the language of this task; a plain string unchanged."""
    if isinstance(what, str):
        return what
    language = _spoken.get()
    catalogue = _catalogue(language)

    def lookup(template: str, plural: str | None, count: int) -> str:
        return catalogue.gettext(template) if plural is None else catalogue.ngettext(template, plural, count)

    return render(what, lookup, _NUMBERS.get(language, ENGLISH_NUMBERS))


def _(template: str, /, **values: str | int | float | Message) -> str:
    """Returns `message(template, …)` in the language of this task."""
    return rendered(message(template, **values))


def plural(one: str, many: str, count: int, /, **values: str | int | float | Message) -> str:
    """Returns `counted(one, many, …)` in the language of this task."""
    return rendered(counted(one, many, count, **values))


def load_catalogues() -> None:
    """Reads all catalogues now, on the caller's thread; else each is read when it is first needed."""
    for language in Language:
        _catalogue(language)


@cache
def _catalogue(language: Language) -> gettext.NullTranslations:
    """Returns the catalogue; English for a language whose catalogue is not built."""
    folder = language.value.replace("-", "_")
    return gettext.translation(DOMAIN, FOLDER, languages=[folder], fallback=True)
