"""A member's own defaults: as a message, and as a form that changes them all at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from discord import ButtonStyle, ui

from bot.chat.actions import NO_JOB, PROFILE, PROFILE_FORM, Press
from bot.chat.cards.card import PINK
from bot.chat.cards.text import words
from bot.chat.replies import Interaction
from bot.chat.views.form_fields import (
    NO_STYLE,
    Named,
    choice_field,
    count_options,
    given_count,
    given_values,
    size_options,
    style_options,
    text_field,
)
from bot.chat.views.remix_form import IMAGES, NEGATIVE_PROMPT, SIZE, STYLE, Offer
from bot.domain.preferences import NONE_AT_ALL, NOTHING, PersonalEdit, Preferences, edit_of
from bot.domain.profile import Catalog, ModelProfile
from bot.domain.quota import counted

SPOILER, HIDDEN, SHOWN = "spoiler", "hidden", "shown"
NAME_LENGTH, WORDS_LENGTH = 80, 600
AS_SERVER = "as the server has it"
LEAVE_OUT_HINT = f'Empty: {AS_SERVER}; "none": nothing at all'
NO_STYLE_AT_ALL = "No style, even where the server has one"
HINT = (
    "-# They fill what you leave out of `/anime`, in every server, within that server's limits. "
    "What you give there counts before them; `-` there as style or negative prompt means none."
)


def profile_view(defaults: Preferences, profile: ModelProfile, catalog: Catalog, *, note: str = "") -> ui.LayoutView:
    """Each default with what holds where there is none; `note` says what was just done."""
    change: ui.Button[Any] = ui.Button(
        label="Change", emoji="✏️", style=ButtonStyle.secondary, custom_id=Press(action=PROFILE, job_id=NO_JOB).custom_id
    )
    heading = "### Your defaults" + (f"\n{note}" if note else "")
    container: ui.Container[Any] = ui.Container(
        ui.TextDisplay(heading),
        ui.TextDisplay("\n".join(_lines(defaults, profile, catalog))),
        ui.TextDisplay(HINT),
        ui.ActionRow(change),
        accent_colour=PINK,
    )
    view = ui.LayoutView(timeout=None)
    view.add_item(container)
    return view


def profile_form(defaults: Preferences, offer: Offer) -> ui.Modal:
    """A form filled with `defaults`. A default that is not offered here stays among the choices, so that it is not lost."""
    profile = offer.profile
    form = ui.Modal(title="Your defaults", custom_id=Press(action=PROFILE_FORM, job_id=NO_JOB).custom_id)
    styles = [(NO_STYLE, "As the server has it"), (NONE_AT_ALL, NO_STYLE_AT_ALL), *style_options(offer.styles)[1:]]
    sizes = [(NOTHING, f"As the model has it ({profile.default_size})"), *size_options(profile)]
    form.add_item(choice_field("Style", STYLE, _with(styles, defaults.style), defaults.style or NO_STYLE))
    form.add_item(choice_field("Size", SIZE, _with(sizes, defaults.size), defaults.size or NOTHING))
    form.add_item(text_field("Leave out", NEGATIVE_PROMPT, defaults.negative_prompt, required=False, hint=LEAVE_OUT_HINT))
    form.add_item(choice_field("Pictures at once", IMAGES, count_options(), str(defaults.num_images or 1)))
    spoilers = [(SHOWN, "Shown at once"), (HIDDEN, "Hidden behind a click")]
    form.add_item(choice_field("Your pictures are", SPOILER, spoilers, HIDDEN if defaults.spoiler else SHOWN))
    return form


def wanted(interaction: Interaction) -> PersonalEdit:
    """What the member made of the form; a field that is missing changes nothing."""
    given = given_values(interaction)
    return edit_of(
        style=given.get(STYLE),
        size=given.get(SIZE),
        negative_prompt=given.get(NEGATIVE_PROMPT, ""),
        num_images=given_count(given, IMAGES),
        spoiler={HIDDEN: True, SHOWN: False}.get(given.get(SPOILER, "")),
    )


def _lines(defaults: Preferences, profile: ModelProfile, catalog: Catalog) -> Iterator[str]:
    yield f"**Style:** {_style(defaults.style, profile, catalog)}"
    yield f"**Size:** {_size(defaults.size, profile)}"
    yield f"**Leave out:** {_left_out(defaults.negative_prompt)}"
    yield f"**Pictures at once:** {counted(defaults.num_images or 1, 'picture')}"
    yield f"**Your pictures are:** {'hidden behind a click' if defaults.spoiler else 'shown at once'}"


def _style(name: str | None, profile: ModelProfile, catalog: Catalog) -> str:
    if name is None:
        return AS_SERVER
    if name == NONE_AT_ALL:
        return "none, even where the server has one"
    titles = {style.name: style.title for style in catalog.styles_for(profile)}
    return words(titles[name], NAME_LENGTH) if name in titles else f"{words(name, NAME_LENGTH)} (not offered any more)"


def _left_out(negative_prompt: str) -> str:
    if negative_prompt == NONE_AT_ALL:
        return "nothing, even where the server does"
    return words(negative_prompt, WORDS_LENGTH) if negative_prompt else AS_SERVER


def _size(name: str | None, profile: ModelProfile) -> str:
    size = next((size for size in profile.sizes if size.name == (name or profile.default_size)), None)
    if size is None:
        return f"{words(name or '', NAME_LENGTH)} (not offered any more)"
    pixels = f"{words(size.name, NAME_LENGTH)} · {size.width} × {size.height}"
    return pixels if name else f"as the model has it ({pixels})"


def _with(options: Sequence[tuple[str, str]], chosen: str | None) -> Named:
    """`chosen` in the second place where `options` lack it, before Discord's limit of a list could cut it off."""
    if chosen is None or chosen in {value for value, _ in options}:
        return options
    return [options[0], (chosen, f"{chosen} (not offered here)"), *options[1:]]
