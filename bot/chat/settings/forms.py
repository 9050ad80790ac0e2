"""Builds and reads the forms of the settings panel: numbers and texts, and roles with a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from discord import TextStyle, ui

from bot.chat.actions import SettingsPress
from bot.chat.replies import Interaction
from bot.chat.settings.text import SETTING_TEXTS, SettingText
from bot.chat.settings.values import Values, title
from bot.chat.translation import _, plural, rendered
from bot.chat.views.form_fields import given_values
from bot.domain.guild_settings.audit_log import Edit
from bot.domain.guild_settings.definitions import SETTINGS
from bot.domain.guild_settings.edits import assign, give_role
from bot.domain.guild_settings.kinds import MAX_WORD_LENGTH, Number, RoleNumbers, Text, Words
from bot.domain.request import MAX_PROMPT_LENGTH
from bot.errors import InvalidRequestError
from bot.messages import translatable

NUMBER, ROLE, TEXT, MORE = "number", "role", "text", "more"
FIELD_LENGTH = 4_000  # Discord's limit of a text input
FILLED_LENGTH = 3_500  # characters that are filled into one, so that there is room to write
NUMBER_LENGTH = 9
NO_FORM = translatable("I can't change that here. Open `/settings panel` again.")
NO_NUMBER = translatable("Please enter a whole number, for example 20.")


def has_form(name: str) -> bool:
    """Returns whether the setting of that name is changed with a form, and not with a select."""
    return name in SETTINGS and _is_written(SETTINGS[name].kind)


def setting_form(press: SettingsPress, values: Values) -> ui.Modal:
    """Returns a form filled with the current values. Its custom id is all that is needed to read it, after a restart too.

    Raises InvalidRequestError for a setting that is not changed with a form.
    """
    name = press.setting
    if not has_form(name):
        raise InvalidRequestError(NO_FORM)
    form = ui.Modal(title=title(name), custom_id=press.custom_id)
    for field in _fields(name, values[name]):
        form.add_item(field)
    return form


def submitted_edit(name: str, interaction: Interaction) -> Edit:
    """Returns the edit that was submitted. Raises InvalidRequestError for input that cannot be read."""
    given = given_values(interaction)
    match SETTINGS[name].kind if name in SETTINGS else None:
        case Text():
            return assign(name, given.get(TEXT, ""))
        case Words():
            lines = "\n".join([given.get(TEXT, ""), given.get(MORE, "")]).splitlines()
            return assign(name, [line.strip() for line in lines if line.strip()])
        case Number(is_listed=False):
            return assign(name, _number(given.get(NUMBER, "")))
        case RoleNumbers():
            if ROLE not in given:
                raise InvalidRequestError("Choose a role, then enter a number.")
            return give_role(name, given[ROLE], _number(given.get(NUMBER, "")))
        case _:
            raise InvalidRequestError(NO_FORM)


def _is_written(kind: object) -> bool:
    return isinstance(kind, Text | Words | RoleNumbers) or (isinstance(kind, Number) and not kind.is_listed)


def _fields(name: str, value: Any) -> Iterator[ui.Label[Any]]:
    text = SETTING_TEXTS[name]
    match SETTINGS[name].kind:
        case Number(low, high):
            yield _number_field(text, low, high, value)
        case RoleNumbers(low, high):
            choose: ui.RoleSelect[Any] = ui.RoleSelect(custom_id=ROLE, required=True, placeholder=_("Choose a role"))
            yield ui.Label(text=_("Role"), component=choose)
            yield _number_field(text, low, high, None)
        case Text():
            hint = None if text.hint is None else rendered(text.hint)
            yield _text_field(_(text.label), TEXT, value, hint=hint, length=MAX_PROMPT_LENGTH)
        case Words():
            hint = plural(
                "One word or phrase a line, up to {count} character each",
                "One word or phrase a line, up to {count} characters each",
                MAX_WORD_LENGTH,
            )
            first, *others = _split(value) or [""]
            yield _text_field(_(text.label), TEXT, first, hint=hint, length=FIELD_LENGTH)
            for other in others:
                yield _text_field(_("More words"), MORE, other, hint=hint, length=FIELD_LENGTH)
        case _:
            return


def _number_field(text: SettingText, low: int, high: int, value: int | None) -> ui.Label[Any]:
    box: ui.TextInput[Any] = ui.TextInput(
        custom_id=NUMBER, default=None if value is None else str(value), required=False, max_length=NUMBER_LENGTH
    )
    hint = _("{low:,} to {high:,}. Empty = {empty}.", low=low, high=high, empty=text.empty or text.unset)
    return ui.Label(text=_(text.label), description=hint, component=box)


def _text_field(label: str, custom_id: str, value: str, *, hint: str | None, length: int) -> ui.Label[Any]:
    box: ui.TextInput[Any] = ui.TextInput(
        custom_id=custom_id, style=TextStyle.paragraph, default=value or None, required=False, max_length=length
    )
    return ui.Label(text=label, description=hint, component=box)


def _split(lines: Sequence[str]) -> list[str]:
    """Returns the lines as one text for each field: two fields for the most and longest words that a server may block."""
    parts: list[str] = []
    for line in lines:
        if parts and len(parts[-1]) + 1 + len(line) <= FILLED_LENGTH:
            parts[-1] += f"\n{line}"
        else:
            parts.append(line)
    return parts


def _number(text: str) -> int | None:
    """Returns the number; None for an empty field. Thousands may be separated in the usual ways."""
    digits = "".join(text.split()).replace(",", "")
    if not digits:
        return None
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > NUMBER_LENGTH:
        raise InvalidRequestError(NO_NUMBER)
    return int(digits)
