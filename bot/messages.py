"""Sentences for people: an English template with values, translated into the reader's language where it is shown.

The English template is gettext's msgid, so it is written in full where it is used:

>>> str(message("Ask for {limit:,} pictures or fewer.", limit=4))
'Ask for 4 pictures or fewer.'
>>> str(counted("{count} step", "{count} steps", 1))
'1 step'

`make messages` finds templates by the names of the functions here and of the errors that members see (`tests/locales`).
"""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

Lookup = Callable[[str, "str | None", int], str]
"""Returns the translation of a template, or of its plural for a count; the template itself where there is none."""


@dataclass(frozen=True, slots=True)
class Message:
    """A template and its values. With a `plural`, the value `count` decides between the two.

    A template without values is used unchanged; in others a brace is written twice. `str` gives the English sentence.
    """

    template: str
    values: Mapping[str, str | int | float | Message] = field(default_factory=dict[str, "str | int | float | Message"])
    plural: str | None = None

    def __str__(self) -> str:
        return render(self, english, ENGLISH_NUMBERS)


@dataclass(frozen=True, slots=True)
class NumberSigns:
    """A language's thousands separator and decimal point, for templates with a format (`{count:,}`, `{x:.1f}`)."""

    group: str
    decimal: str


ENGLISH_NUMBERS: Final = NumberSigns(group=",", decimal=".")


def message(template: str, /, **values: str | int | float | Message) -> Message:
    """Returns a sentence with its values, to be shown later."""
    return Message(template, values)


def counted(one: str, many: str, count: int, /, **values: str | int | float | Message) -> Message:
    """Returns one of two templates by the reader's own plural rules; `count` is a value of both."""
    return Message(one, {"count": count, **values}, many)


def listed(names: Iterable[str], most: int) -> str | Message:
    """Returns the names, joined; of more than `most` the first ones, and how many are left."""
    named = list(names)
    joined, left = ", ".join(named[:most]), len(named) - most
    return joined if left <= 0 else counted("{names} and {count} more", "{names} and {count} more", left, names=joined)


def translatable(template: str) -> str:
    """Returns the template itself; marks it for translation where it is written apart from its use."""
    return template


def english(template: str, plural: str | None, count: int) -> str:
    """Returns the English singular or plural for `count`."""
    return template if plural is None or count == 1 else plural


def render(what: Message, lookup: Lookup, numbers: NumberSigns) -> str:
    """Returns the sentence in the language of `lookup`; in English where the translation does not fit the values.

    Never raises: a stored message may come from another version, and is then shown unchanged.
    """
    count = what.values.get("count", 1)
    number = count if isinstance(count, int) else 1
    writer = _Writer(lookup, numbers)
    for template in (lookup(what.template, what.plural, number), english(what.template, what.plural, number)):
        if not what.values:
            return template
        try:
            return writer.vformat(template, (), dict(what.values))
        except (KeyError, ValueError, IndexError, AttributeError, TypeError):
            continue
    return what.template


def to_json(what: Message) -> str:
    """Returns all but the template, as one line; `from_json` gives the message back."""
    return json.dumps(_packed(what), ensure_ascii=False, separators=(",", ":"))


def from_json(template: str, stored: str | None) -> Message:
    """Returns a message that was stored as its template and `to_json`; without the latter, the plain template."""
    if stored is None:
        return Message(template)
    packed = cast("dict[str, Any]", json.loads(stored))
    return _unpacked({**packed, "template": template})


class _Writer(string.Formatter):
    """Fills a template; nested messages are written in the same language. A field is a plain name, without attributes."""

    def __init__(self, lookup: Lookup, numbers: NumberSigns) -> None:
        self._lookup = lookup
        self._numbers = numbers

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, str]:
        return kwargs[field_name], field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, Message):
            return render(value, self._lookup, self._numbers)
        written = format(value, format_spec)
        if format_spec and isinstance(value, int | float):
            signs = {",": self._numbers.group, ".": self._numbers.decimal}
            return "".join(signs.get(sign, sign) for sign in written)
        return written


def _packed(what: Message) -> dict[str, Any]:
    values = {
        name: {"template": value.template, **_packed(value)} if isinstance(value, Message) else value
        for name, value in what.values.items()
    }
    return {"values": values} if what.plural is None else {"values": values, "plural": what.plural}


def _unpacked(packed: Mapping[str, Any]) -> Message:
    values = {
        name: _unpacked(cast("dict[str, Any]", value)) if isinstance(value, dict) else value
        for name, value in cast("dict[str, Any]", packed.get("values", {})).items()
    }
    return Message(packed["template"], values, packed.get("plural"))
