"""The remix form: how it looks, and how what comes back is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

from discord import SelectOption, TextStyle, ui

from bot.chat.actions import REMIX_FORM, Press
from bot.chat.markdown import shorten
from bot.chat.replies import Interaction
from bot.domain.job import JobId
from bot.domain.profile import ModelProfile, Style
from bot.domain.request import MAX_IMAGES, MAX_PROMPT_LENGTH, Draft

PROMPT, NEGATIVE_PROMPT, SIZE, STYLE, IMAGES = "prompt", "negative_prompt", "size", "style", "images"
NO_STYLE = "-"
MAX_OPTIONS = 25  # Discord's limit of a select
OPTION_LENGTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a member can choose from."""

    profile: ModelProfile
    styles: tuple[Style, ...]


def remix_form(job_id: JobId, draft: Draft, offer: Offer) -> ui.Modal:
    """A form filled with `draft`. Its custom id says all that is needed to read it, after a restart too."""
    form = ui.Modal(title="Remix", custom_id=Press(action=REMIX_FORM, job_id=job_id).custom_id)
    form.add_item(_text("Prompt", PROMPT, draft.prompt, required=True))
    form.add_item(_text("Leave out", NEGATIVE_PROMPT, draft.negative_prompt, required=False))
    form.add_item(_choice("Size", SIZE, _sizes(offer.profile, draft.size)))
    form.add_item(_choice("Style", STYLE, _styles(offer.styles, draft.style)))
    form.add_item(_choice("Pictures", IMAGES, _counts(draft.num_images or 1)))
    return form


def remixed(interaction: Interaction, draft: Draft) -> Draft:
    """`draft` with what the member put into the form. Nothing is checked here; another style comes with its own weight."""
    data = cast("dict[str, Any]", interaction.data)
    given = dict(_values(data.get("components", [])))
    style = given.get(STYLE, NO_STYLE)
    chosen = None if style == NO_STYLE else style
    images = given.get(IMAGES, "")
    return replace(
        draft,
        prompt=given.get(PROMPT, ""),
        negative_prompt=given.get(NEGATIVE_PROMPT, ""),
        size=given.get(SIZE),
        style=chosen,
        adapter_weight=draft.adapter_weight if chosen == draft.style else None,
        num_images=int(images) if images.isdecimal() and len(images) <= 2 else draft.num_images,
    )


def _text(label: str, name: str, value: str, *, required: bool) -> ui.Label[Any]:
    field: ui.TextInput[Any] = ui.TextInput(
        custom_id=name, style=TextStyle.paragraph, default=value or None, required=required, max_length=MAX_PROMPT_LENGTH
    )
    return ui.Label(text=label, component=field)


def _choice(label: str, name: str, options: list[SelectOption]) -> ui.Label[Any]:
    select: ui.Select[Any] = ui.Select(custom_id=name, options=options)
    return ui.Label(text=label, component=select)


def _sizes(profile: ModelProfile, chosen: str | None) -> list[SelectOption]:
    wanted = chosen or profile.default_size
    return _option_list(
        [(size.name, f"{size.name} · {size.width} × {size.height}") for size in profile.sizes], profile.size(wanted).name
    )


def _styles(styles: tuple[Style, ...], chosen: str | None) -> list[SelectOption]:
    return _option_list([(NO_STYLE, "No style"), *((style.name, style.title) for style in styles)], chosen or NO_STYLE)


def _counts(chosen: int) -> list[SelectOption]:
    return _option_list(
        [(str(count), "1 picture" if count == 1 else f"{count} pictures") for count in range(1, MAX_IMAGES + 1)], str(chosen)
    )


def _option_list(options: list[tuple[str, str]], chosen: str) -> list[SelectOption]:
    """At most as many as Discord takes, the chosen one always among them."""
    shown = options[:MAX_OPTIONS]
    if chosen not in {value for value, _ in shown}:
        shown[-1:] = [option for option in options if option[0] == chosen]
    return [SelectOption(label=shorten(label, OPTION_LENGTH), value=value, default=value == chosen) for value, label in shown]


def _values(components: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """The fields by custom id; labels hold one component, rows several, selects their choices as a list."""
    for component in components:
        if "component" in component:
            yield from _values([component["component"]])
        yield from _values(component.get("components", []))
        name = component.get("custom_id")
        if isinstance(name, str):
            chosen: object = next(iter(component.get("values", [])), component.get("value"))
            if isinstance(chosen, str):
                yield name, chosen
