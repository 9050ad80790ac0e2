"""The forms of the settings panel: numbers and texts, and roles with a number; how they look and how they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from discord import TextStyle, ui

from bot.chat.replies import Interaction
from bot.chat.settings.controls import Values
from bot.chat.settings.items import SettingsPress
from bot.chat.settings.text import title
from bot.chat.views.form_fields import given_values
from bot.domain.guild_settings.audit_log import Edit
from bot.domain.guild_settings.edits import assign, give_role
from bot.domain.guild_settings.settings import MAX_ALLOWANCE, MAX_DAYS, MAX_PRIORITY, MAX_WAITING, MAX_WORD_LENGTH
from bot.domain.request import MAX_PROMPT_LENGTH, MAX_STEPS
from bot.errors import InvalidRequestError

NUMBER, ROLE, TEXT, MORE = "number", "role", "text", "more"
FIELD_LENGTH = 4_000  # Discord's limit of a text input
FILLED_LENGTH = 3_500  # so much is put into one, so that there is room to write
NUMBER_LENGTH = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberField:
    """What a form says of a number; `empty` is what leaving it empty means."""

    low: int
    high: int
    empty: str

    @property
    def hint(self) -> str:
        return f"{self.low:,} to {self.high:,}. Leave it empty for {self.empty}."


NUMBERS: Mapping[str, NumberField] = {
    "daily_credits": NumberField(low=0, high=MAX_ALLOWANCE, empty="what my host set"),
    "waiting_jobs": NumberField(low=1, high=MAX_WAITING, empty="as many as my host allows"),
    "max_steps": NumberField(low=1, high=MAX_STEPS, empty="no limit here"),
    "picture_days": NumberField(low=1, high=MAX_DAYS, empty="as my host decides"),
    "prompt_days": NumberField(low=1, high=MAX_DAYS, empty="as my host decides"),
}
ROLE_NUMBERS: Mapping[str, NumberField] = {
    "role_credits": NumberField(low=0, high=MAX_ALLOWANCE, empty="no credits of its own"),
    "role_priorities": NumberField(low=1, high=MAX_PRIORITY, empty="no priority"),
}
NUMBER_LABELS: Mapping[str, str] = {
    "daily_credits": "Credits a day",
    "waiting_jobs": "Jobs",
    "max_steps": "Steps",
    "picture_days": "Days",
    "prompt_days": "Days",
    "role_credits": "Credits a day",
    "role_priorities": "Priority",
}
FORM_SETTINGS = frozenset({*NUMBERS, *ROLE_NUMBERS, "default_negative_prompt", "blocked_words"})


def setting_form(press: SettingsPress, values: Values) -> ui.Modal:
    """A form filled with what holds now. Its custom id says all that is needed to read it, after a restart too.

    Raises InvalidRequestError for a setting that is not changed with a form.
    """
    name = press.setting
    if name not in FORM_SETTINGS:
        raise InvalidRequestError("Nothing of that name is changed here. Open `/settings panel` again.")
    form = ui.Modal(title=title(name), custom_id=press.custom_id)
    for field in _fields(name, values[name]):
        form.add_item(field)
    return form


def submitted_edit(name: str, interaction: Interaction) -> Edit:
    """What to do with what was put into the form. Raises InvalidRequestError for what cannot be read."""
    given = given_values(interaction)
    if name == "default_negative_prompt":
        return assign(name, given.get(TEXT, ""))
    if name == "blocked_words":
        lines = "\n".join([given.get(TEXT, ""), given.get(MORE, "")]).splitlines()
        return assign(name, [line.strip() for line in lines if line.strip()])
    number = _number(given.get(NUMBER, ""))
    if name in NUMBERS:
        return assign(name, number)
    if name not in ROLE_NUMBERS or ROLE not in given:
        raise InvalidRequestError("Choose a role, then a number.")
    return give_role(name, given[ROLE], number)


def _fields(name: str, value: Any) -> Iterator[ui.Label[Any]]:
    if name in NUMBERS:
        yield _number_field(NUMBER_LABELS[name], NUMBERS[name], value)
    elif name in ROLE_NUMBERS:
        yield ui.Label(text="Role", component=ui.RoleSelect(custom_id=ROLE, required=True, placeholder="Choose a role"))
        yield _number_field(NUMBER_LABELS[name], ROLE_NUMBERS[name], None)
    elif name == "default_negative_prompt":
        hint = "Tags, such as: lowres, bad hands. Leave it empty for nothing."
        yield _text_field("Leave out", TEXT, value, hint=hint, length=MAX_PROMPT_LENGTH)
    else:
        hint = f"One word or phrase a line, up to {MAX_WORD_LENGTH} characters each"
        first, *others = _split(value) or [""]
        yield _text_field("Words", TEXT, first, hint=hint, length=FIELD_LENGTH)
        for other in others:
            yield _text_field("More words", MORE, other, hint=hint, length=FIELD_LENGTH)


def _number_field(label: str, field: NumberField, value: int | None) -> ui.Label[Any]:
    box: ui.TextInput[Any] = ui.TextInput(
        custom_id=NUMBER, default=None if value is None else str(value), required=False, max_length=NUMBER_LENGTH
    )
    return ui.Label(text=label, description=field.hint, component=box)


def _text_field(label: str, custom_id: str, value: str, *, hint: str, length: int) -> ui.Label[Any]:
    box: ui.TextInput[Any] = ui.TextInput(
        custom_id=custom_id, style=TextStyle.paragraph, default=value or None, required=False, max_length=length
    )
    return ui.Label(text=label, description=hint, component=box)


def _split(lines: Sequence[str]) -> list[str]:
    """The lines in as many texts as fields are needed: two for the most and longest words that a server may block."""
    parts: list[str] = []
    for line in lines:
        if parts and len(parts[-1]) + 1 + len(line) <= FILLED_LENGTH:
            parts[-1] += f"\n{line}"
        else:
            parts.append(line)
    return parts


def _number(text: str) -> int | None:
    """None for an empty field; thousands may be set apart as people do."""
    digits = "".join(text.split()).replace(",", "")
    if not digits:
        return None
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > NUMBER_LENGTH:
        raise InvalidRequestError("That is no whole number that I can use. Write it in digits, for example 20.")
    return int(digits)
