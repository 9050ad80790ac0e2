"""Shows settings that were read from a picture: as a message, and as a form that draws with them.

The text is a stranger's: it is shown in a code block without invisible characters, or in a file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any, cast

import discord
from discord import ButtonStyle, TextStyle, ui

from bot.chat.actions import FOUND, FOUND_FORM, NO_JOB, Press
from bot.chat.cards.card import PINK
from bot.chat.cards.markdown import code_block, heading, small, visible
from bot.chat.cards.text import words
from bot.chat.limits import MESSAGE_LENGTH
from bot.chat.replies import Interaction
from bot.chat.translation import _, plural, rendered
from bot.chat.views.choice_labels import quality_name
from bot.chat.views.details import FILE_NAME
from bot.chat.views.form_fields import NO_STYLE, form, given_values, labelled
from bot.chat.views.remix_form import NEGATIVE_PROMPT, PROMPT, SIZE, STYLE, Offer, add_words_and_looks
from bot.domain.infotext.importer import ImportedSettings, PictureImport, numbers_line, unread_sentence, with_numbers
from bot.domain.preferences import NOTHING
from bot.domain.profile import ModelProfile
from bot.domain.request import MAX_PROMPT_LENGTH, Draft
from bot.messages import translatable

NUMBERS, NUMBERS_LENGTH = "numbers", 600  # the longest chain of variations takes 400
NAME_LENGTH = 60
UNREAD_LENGTH, MAX_UNREAD = 40, 3
MAX_QUOTED = MESSAGE_LENGTH - 1_700  # characters; names in the other lines can double when they are escaped
MAX_NAMED = 5  # LoRAs
FENCE = "```"
DRAW_HERE = translatable("Draw this here")


def found_view(
    picture_import: PictureImport, picture: str, profile: ModelProfile
) -> tuple[ui.LayoutView, tuple[discord.File, ...]]:
    """Returns the text found in the picture named `picture`, the settings used here, and the button that draws with them."""
    text = _shown(picture_import.text)
    draw: ui.Button[Any] = ui.Button(
        label=_(DRAW_HERE), emoji="🎨", style=ButtonStyle.primary, custom_id=Press(action=FOUND, job_id=NO_JOB).custom_id
    )
    container: ui.Container[Any] = ui.Container(
        ui.TextDisplay("\n".join((heading(_("Settings of this picture")), small(words(picture, NAME_LENGTH))))),
        accent_colour=PINK,
    )
    files: tuple[discord.File, ...] = ()
    if "``" in text or len(text) > MAX_QUOTED:  # cannot be quoted unchanged, or is too long
        files = (discord.File(io.BytesIO(text.encode()), filename=FILE_NAME),)
        container.add_item(ui.File(files[0]))
    else:
        container.add_item(ui.TextDisplay(code_block(text)))
    container.add_item(ui.TextDisplay("\n".join(_here(picture_import, profile))))
    if picture_import.settings.is_understood:
        container.add_item(ui.ActionRow(draw))
    view = ui.LayoutView(timeout=None)
    view.add_item(container)
    return view, files


def text_on(message: discord.Message) -> str | discord.Attachment | None:
    """Returns the picture's text on a message of `found_view`, or the file with it; needs no memory, so it always works."""
    for part in _texts(message.components):
        if part.startswith(f"{FENCE}\n") and part.endswith(FENCE):
            return part.removeprefix(FENCE).removesuffix(FENCE).strip("\n")
    return next((file for file in message.attachments if file.filename == FILE_NAME), None)


def found_form(draft: Draft, offer: Offer) -> ui.Modal:
    """Returns a form filled with `draft`; its custom id is all that is needed to read it, after a restart too."""
    filled = form(_(DRAW_HERE), Press(action=FOUND_FORM, job_id=NO_JOB).custom_id)
    add_words_and_looks(filled, draft, offer)
    numbers: ui.TextInput[Any] = ui.TextInput(
        custom_id=NUMBERS,
        style=TextStyle.short,
        default=numbers_line(draft) or None,
        required=False,
        max_length=NUMBERS_LENGTH,
    )
    filled.add_item(labelled(_("Numbers"), numbers, hint=_("Leave any out to use my defaults")))
    return filled


def adopted(interaction: Interaction) -> Draft:
    """Returns the member's edited draft. A field left empty means none, not their own default.

    Raises InvalidRequestError for numbers that cannot be understood; everything else is checked later.
    """
    given = given_values(interaction)
    draft = Draft(
        prompt=given.get(PROMPT, ""),
        negative_prompt=given.get(NEGATIVE_PROMPT, "").strip() or NOTHING,
        size=given.get(SIZE),
        style=given.get(STYLE, NO_STYLE),
        num_images=1,
    )
    return with_numbers(draft, given.get(NUMBERS, ""))


def _shown(text: str) -> str:
    """Returns `text` line by line, without invisible characters and those that change its direction."""
    return "\n".join(visible(line) for line in text.strip().splitlines())


def _here(picture_import: PictureImport, profile: ModelProfile) -> Iterator[str]:
    found, imported = picture_import.settings, picture_import.imported
    if not found.is_understood:
        yield rendered(unread_sentence(words(found.program, NAME_LENGTH) if found.program else None))
        return
    yield _("**I'd draw it with:** {facts}", facts=" · ".join(_facts(imported, profile)))
    if imported.missing_loras:
        named = _named(imported.missing_loras, MAX_NAMED, NAME_LENGTH)
        yield small(_("Without these LoRAs, which I don't have: {names}", names=named))
    if found.unread:
        named = _named(found.unread, MAX_UNREAD, UNREAD_LENGTH)
        yield small(_("I leave out what I can't read: {names}", names=named))
    if found.model and found.model.casefold() not in {profile.name.casefold(), profile.title.casefold()}:
        yield small(_("It was made with {model}, so mine will look different", model=words(found.model, NAME_LENGTH)))
    if imported.shortened:
        yield small(_("I read up to {limit:,} characters, so the end of the prompt is missing", limit=MAX_PROMPT_LENGTH))


def _named(names: Sequence[str], most: int, length: int) -> str:
    """Returns the first of the names, and how many more there are."""
    shown = ", ".join(words(name, length) for name in names[:most])
    more = len(names) - most
    return plural("{names} and {count} more", "{names} and {count} more", more, names=shown) if more > 0 else shown


def _facts(imported: ImportedSettings, profile: ModelProfile) -> Iterator[str]:
    draft, drawn = imported.draft, imported.drawn
    size = profile.size(draft.size)
    yield _("a new seed") if draft.seed is None else _("seed `{seed}`", seed=draft.seed)
    if draft.blends:
        yield _("variation `{seed}`", seed=draft.blends[-1].seed)
    yield f"{size.width} × {size.height}"
    if draft.quality:
        yield rendered(quality_name(draft.quality))
    yield plural("{count} step", "{count} steps", drawn.num_inference_steps or profile.num_inference_steps)
    yield _("guidance {scale:g}", scale=profile.guidance_scale if drawn.guidance_scale is None else drawn.guidance_scale)
    if imported.style:
        yield f"{words(imported.style.title, NAME_LENGTH)} × {draft.adapter_weight:g}"
    yield words(profile.title, NAME_LENGTH)


def _texts(components: object) -> Iterator[str]:
    for component in cast("list[Any]", components):
        if isinstance(component, discord.TextDisplay):
            yield component.content
        yield from _texts(getattr(component, "children", []))
