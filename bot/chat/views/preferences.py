"""Shows a member's own defaults: as a message, and as a form that changes them all at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from discord import ButtonStyle, ui

from bot.chat.actions import NO_JOB, PROFILE, PROFILE_FORM, Press
from bot.chat.cards.card import PINK
from bot.chat.cards.markdown import heading, small
from bot.chat.cards.text import pictures_text, words
from bot.chat.replies import Interaction
from bot.chat.translation import _
from bot.chat.views.choice_labels import size_label
from bot.chat.views.form_fields import (
    NO_STYLE,
    Named,
    choice_field,
    count_options,
    form,
    given_count,
    given_values,
    size_options,
    style_options,
    text_field,
)
from bot.chat.views.remix_form import IMAGES, NEGATIVE_PROMPT, SIZE, STYLE, Offer
from bot.domain.preferences import NONE_AT_ALL, NOTHING, PersonalEdit, Preferences, edit_of
from bot.domain.profile import Catalog, ModelProfile
from bot.messages import translatable

SPOILER, HIDDEN, SHOWN = "spoiler", "hidden", "shown"
NAME_LENGTH, WORDS_LENGTH = 80, 600
AS_SERVER = translatable("server default")
LEAVE_OUT_HINT = translatable('Leave empty for the server default, or write "none"')
NO_STYLE_AT_ALL = translatable("No style, even if the server has a default")
HINT = translatable("I use these when you leave an option out of `/anime`. To use none for once, type `-`.")


def profile_view(defaults: Preferences, profile: ModelProfile, catalog: Catalog, *, note: str = "") -> ui.LayoutView:
    """Returns each default, or the value used without one; `note` says what was just done."""
    change: ui.Button[Any] = ui.Button(
        label=_("Change"), emoji="✏️", style=ButtonStyle.secondary, custom_id=Press(action=PROFILE, job_id=NO_JOB).custom_id
    )
    title = heading(_("Your defaults")) + (f"\n-# ✅ {note}" if note else "")
    container: ui.Container[Any] = ui.Container(
        ui.TextDisplay(title),
        ui.TextDisplay("\n".join(_lines(defaults, profile, catalog))),
        ui.TextDisplay(small(_(HINT))),
        ui.ActionRow(change),
        accent_colour=PINK,
    )
    view = ui.LayoutView(timeout=None)
    view.add_item(container)
    return view


def profile_form(defaults: Preferences, offer: Offer) -> ui.Modal:
    """Returns a form filled with `defaults`. A default that is not offered here stays a choice, so that it is not lost."""
    profile = offer.profile
    filled = form(_("Your defaults"), Press(action=PROFILE_FORM, job_id=NO_JOB).custom_id)
    styles = [(NO_STYLE, _("Server default")), (NONE_AT_ALL, _(NO_STYLE_AT_ALL)), *style_options(offer.styles)[1:]]
    by_model = _("Model default: {size}", size=size_label(profile.size(None)))
    sizes = [(NOTHING, by_model), *size_options(profile)]
    leave_out = defaults.negative_prompt
    filled.add_item(choice_field(_("Style"), STYLE, _with(styles, defaults.style), defaults.style or NO_STYLE))
    filled.add_item(choice_field(_("Size"), SIZE, _with(sizes, defaults.size), defaults.size or NOTHING))
    filled.add_item(text_field(_("Leave out"), NEGATIVE_PROMPT, leave_out, required=False, hint=_(LEAVE_OUT_HINT)))
    filled.add_item(choice_field(_("Pictures"), IMAGES, count_options(), str(defaults.num_images or 1)))
    spoilers = [(SHOWN, _("Off")), (HIDDEN, _("On"))]
    filled.add_item(choice_field(_("Spoiler"), SPOILER, spoilers, HIDDEN if defaults.spoiler else SHOWN))
    return filled


def wanted(interaction: Interaction) -> PersonalEdit:
    """Returns the submitted edit; a missing field changes nothing."""
    given = given_values(interaction)
    return edit_of(
        style=given.get(STYLE),
        size=given.get(SIZE),
        negative_prompt=given.get(NEGATIVE_PROMPT, ""),
        num_images=given_count(given, IMAGES),
        spoiler={HIDDEN: True, SHOWN: False}.get(given.get(SPOILER, "")),
    )


def _lines(defaults: Preferences, profile: ModelProfile, catalog: Catalog) -> Iterator[str]:
    yield _("**Style:** {value}", value=_style(defaults.style, profile, catalog))
    yield _("**Size:** {value}", value=_size(defaults.size, profile))
    yield _("**Leave out:** {value}", value=_left_out(defaults.negative_prompt))
    yield _("**Pictures:** {value}", value=pictures_text(defaults.num_images or 1))
    yield _("**Spoiler:** on") if defaults.spoiler else _("**Spoiler:** off")


def _style(name: str | None, profile: ModelProfile, catalog: Catalog) -> str:
    if name is None:
        return _(AS_SERVER)
    if name == NONE_AT_ALL:
        return _("none, even if the server has a default")
    titles = {style.name: style.title for style in catalog.styles_for(profile)}
    return words(titles[name], NAME_LENGTH) if name in titles else _gone(name)


def _left_out(negative_prompt: str) -> str:
    if negative_prompt == NONE_AT_ALL:
        return _("nothing, even if the server has a default")
    return words(negative_prompt, WORDS_LENGTH) if negative_prompt else _(AS_SERVER)


def _size(name: str | None, profile: ModelProfile) -> str:
    size = next((size for size in profile.sizes if size.name == (name or profile.default_size)), None)
    if size is None:
        return _gone(name or "")
    pixels = words(size_label(size), NAME_LENGTH)
    return pixels if name else _("{size} · model default", size=pixels)


def _gone(name: str) -> str:
    return _("{name} (no longer available)", name=words(name, NAME_LENGTH))


def _with(options: Sequence[tuple[str, str]], chosen: str | None) -> Named:
    """Returns the options with a missing `chosen` in second place, where Discord's limit of a list cannot cut it off."""
    if chosen is None or chosen in {value for value, _ in options}:
        return options
    return [options[0], (chosen, _("{name} (not available here)", name=chosen)), *options[1:]]
