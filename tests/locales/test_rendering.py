"""The catalogues as the bot reads them: every sentence, filled in, in every language."""

from __future__ import annotations

import string

import pytest

from bot.chat.translation import rendered, speaking
from bot.domain.language import Language
from bot.messages import Message
from tests.locales import catalogues
from tests.locales.catalogues import TRANSLATED


def sample(spec: str) -> int | float | str:
    """Returns a value that a placeholder's format takes."""
    return 1.5 if spec.endswith(("f", "g")) else 12_345 if spec.endswith(",") else "x"


def values(*templates: str) -> dict[str, int | float | str]:
    found = (field for template in templates for field in string.Formatter().parse(template))
    return {name: sample(spec or "") for _, name, spec, _ in found if name is not None}


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_bot_says_each_sentence_as_the_catalogue_has_it(language: Language) -> None:
    for one in catalogues.read(language):
        if not one.id:
            continue
        template, plural = one.id if isinstance(one.id, tuple) else (one.id, None)
        given = values(template, plural or "")
        if plural is not None:
            given["count"] = 12_345
        last = one.string[-1] if isinstance(one.string, list | tuple) else one.string
        with speaking(language):
            said = rendered(Message(template, given, plural))
        literal = [text for text, *_ in string.Formatter().parse(last)] if given else [last]

        assert all(text in said for text in literal), f"{template!r} in {language.value}: {said!r}"


def test_a_number_is_written_as_germans_write_it() -> None:
    with speaking(Language.GERMAN):
        said = rendered(Message("{count:,} credit", {"count": 12_345}, "{count:,} credits"))

    assert said == "12.345 Credits"
