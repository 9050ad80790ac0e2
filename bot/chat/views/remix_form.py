"""Builds the remix form, and reads the submission."""

from __future__ import annotations

from dataclasses import dataclass, replace

from discord import ui

from bot.chat.actions import REMIX_FORM, Press
from bot.chat.replies import Interaction
from bot.chat.translation import _
from bot.chat.views.form_fields import (
    NO_STYLE,
    choice_field,
    count_options,
    form,
    given_count,
    given_values,
    size_options,
    style_options,
    text_field,
)
from bot.domain.job import JobId
from bot.domain.profile import ModelProfile, Style
from bot.domain.request import Draft

PROMPT, NEGATIVE_PROMPT, SIZE, STYLE, IMAGES = "prompt", "negative_prompt", "size", "style", "images"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The choices that the form offers a member."""

    profile: ModelProfile
    styles: tuple[Style, ...]


def remix_form(job_id: JobId, draft: Draft, offer: Offer) -> ui.Modal:
    """Returns a form filled with `draft`. Its custom id is all that is needed to read it, after a restart too."""
    filled = form(_("Remix"), Press(action=REMIX_FORM, job_id=job_id).custom_id)
    add_words_and_looks(filled, draft, offer)
    filled.add_item(choice_field(_("Pictures"), IMAGES, count_options(), str(draft.num_images or 1)))
    return filled


def add_words_and_looks(modal: ui.Modal, draft: Draft, offer: Offer) -> None:
    """Adds the four fields that every form for a picture begins with; it may have one more."""
    modal.add_item(text_field(_("Prompt"), PROMPT, draft.prompt, required=True))
    modal.add_item(text_field(_("Leave out"), NEGATIVE_PROMPT, draft.negative_prompt, required=False))
    size = offer.profile.size(draft.size or offer.profile.default_size)
    modal.add_item(choice_field(_("Size"), SIZE, size_options(offer.profile), size.name))
    modal.add_item(choice_field(_("Style"), STYLE, style_options(offer.styles), draft.style or NO_STYLE))


def remixed(interaction: Interaction, draft: Draft) -> Draft:
    """Returns `draft` with the member's input, unchecked; another style comes with its own weight."""
    given = given_values(interaction)
    style = given.get(STYLE, NO_STYLE)
    chosen = None if style == NO_STYLE else style
    images = given_count(given, IMAGES)
    return replace(
        draft,
        prompt=given.get(PROMPT, ""),
        negative_prompt=given.get(NEGATIVE_PROMPT, ""),
        size=given.get(SIZE),
        style=chosen,
        adapter_weight=draft.adapter_weight if chosen == draft.style else None,
        num_images=draft.num_images if images is None else images,
    )
