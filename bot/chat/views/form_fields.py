"""Makes the fields of a form, and reads back what was submitted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from discord import SelectOption, TextStyle, ui

from bot.chat.cards.markdown import shorten
from bot.chat.cards.text import pictures_text
from bot.chat.limits import FORM_TEXT_LENGTH, HINT_LENGTH, MAX_OPTIONS, OPTION_LENGTH
from bot.chat.replies import Interaction
from bot.chat.translation import _
from bot.chat.views.choice_labels import size_label
from bot.domain.profile import ModelProfile, Style
from bot.domain.request import MAX_IMAGES, MAX_PROMPT_LENGTH

NO_STYLE = "-"

Named = Sequence[tuple[str, str]]
"""Options as value and label."""


def text_field(label: str, name: str, value: str, *, required: bool, hint: str | None = None) -> ui.Label[Any]:
    """Returns a field of several lines for a prompt; `value` is cut to its limit, `hint` is shown below the label."""
    field: ui.TextInput[Any] = ui.TextInput(
        custom_id=name,
        style=TextStyle.paragraph,
        default=value[:MAX_PROMPT_LENGTH] or None,
        required=required,
        max_length=MAX_PROMPT_LENGTH,
    )
    return labelled(label, field, hint=hint)


def labelled(label: str, field: ui.Item[Any], *, hint: str | None = None) -> ui.Label[Any]:
    """Returns a field under its label; label and hint are cut to Discord's limits."""
    hint = None if hint is None else shorten(hint, HINT_LENGTH)
    return ui.Label(text=shorten(label, FORM_TEXT_LENGTH), description=hint, component=field)


def form(title: str, custom_id: str) -> ui.Modal:
    """Returns a form without fields; its title is cut to Discord's limit."""
    return ui.Modal(title=shorten(title, FORM_TEXT_LENGTH), custom_id=custom_id)


def choice_field(label: str, name: str, options: Named, chosen: str) -> ui.Label[Any]:
    """Returns a select with `chosen` selected; at most as many options as Discord takes, always with the chosen one."""
    select: ui.Select[Any] = ui.Select(custom_id=name, options=_select_options(options, chosen))
    return labelled(label, select)


def size_options(profile: ModelProfile) -> Named:
    return [(size.name, size_label(size)) for size in profile.sizes]


def style_options(styles: Sequence[Style]) -> Named:
    return [(NO_STYLE, _("No style")), *((style.name, style.title) for style in styles)]


def count_options() -> Named:
    return [(str(count), pictures_text(count)) for count in range(1, MAX_IMAGES + 1)]


def given_values(interaction: Interaction) -> dict[str, str]:
    """Returns the submitted values by field, unchecked: members can send values that no field offers."""
    data = cast("dict[str, Any]", interaction.data)
    return dict(_values(data.get("components", [])))


def given_count(given: dict[str, str], name: str) -> int | None:
    """Returns the field's number; None for text that is no number."""
    value = given.get(name, "")
    return int(value) if value.isdecimal() and len(value) <= 2 else None


def _select_options(options: Named, chosen: str) -> list[SelectOption]:
    shown = list(options[:MAX_OPTIONS])
    if beyond := [option for option in options[MAX_OPTIONS:] if option[0] == chosen]:
        shown[-1:] = beyond
    return [SelectOption(label=shorten(label, OPTION_LENGTH), value=value, default=value == chosen) for value, label in shown]


def _values(components: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yields fields by custom id; labels have one component, rows several, selects a list of choices."""
    for component in components:
        if "component" in component:
            yield from _values([component["component"]])
        yield from _values(component.get("components", []))
        name = component.get("custom_id")
        if isinstance(name, str):
            chosen: object = next(iter(component.get("values", [])), component.get("value"))
            if isinstance(chosen, str):
                yield name, chosen
