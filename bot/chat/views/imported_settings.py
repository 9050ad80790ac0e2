"""Settings that were read from a picture: as a message, and as a form that draws with them.

The text is a stranger's: it stands in a code block without what cannot be seen, or in a file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, cast

import discord
from discord import ButtonStyle, TextStyle, ui

from bot.chat.actions import FOUND, FOUND_FORM, NO_JOB, Press
from bot.chat.cards.card import PINK
from bot.chat.cards.markdown import code_block, visible
from bot.chat.cards.text import words
from bot.chat.replies import Interaction
from bot.chat.views.details import FILE_NAME
from bot.chat.views.form_fields import NO_STYLE, given_values
from bot.chat.views.remix_form import NEGATIVE_PROMPT, PROMPT, SIZE, STYLE, Offer, add_words_and_looks
from bot.domain.infotext.importer import ImportedSettings, UnavailableSetting, numbers_line, unread_sentence, with_numbers
from bot.domain.preferences import NOTHING
from bot.domain.profile import ModelProfile
from bot.domain.request import MAX_PROMPT_LENGTH, Draft

NUMBERS, NUMBERS_LENGTH = "numbers", 600  # a chain of as many variations as can be takes 400
NAME_LENGTH = 60
UNREAD_LENGTH, MAX_UNREAD = 40, 3
MAX_QUOTED = 2_300  # characters; Discord takes 4,000 in one message, and names in the other lines can double when escaped
MAX_NAMED = 5  # LoRAs
FENCE = "```"


def found_view(
    finding: UnavailableSetting, picture: str, profile: ModelProfile
) -> tuple[ui.LayoutView, tuple[discord.File, ...]]:
    """What stands in the picture called `picture`, what is drawn of it here, and the button that does so."""
    text = _shown(finding.text)
    draw: ui.Button[Any] = ui.Button(
        label="Draw this here", emoji="🎨", style=ButtonStyle.primary, custom_id=Press(action=FOUND, job_id=NO_JOB).custom_id
    )
    container: ui.Container[Any] = ui.Container(
        ui.TextDisplay(f"### Settings of this picture\n-# {words(picture, NAME_LENGTH)}"), accent_colour=PINK
    )
    files: tuple[discord.File, ...] = ()
    if "``" in text or len(text) > MAX_QUOTED:  # cannot be quoted unchanged, or is too long
        files = (discord.File(io.BytesIO(text.encode()), filename=FILE_NAME),)
        container.add_item(ui.File(files[0]))
    else:
        container.add_item(ui.TextDisplay(code_block(text)))
    container.add_item(ui.TextDisplay("\n".join(_here(finding, profile))))
    if finding.settings.is_understood:
        container.add_item(ui.ActionRow(draw))
    view = ui.LayoutView(timeout=None)
    view.add_item(container)
    return view, files


def text_on(message: discord.Message) -> str | discord.Attachment | None:
    """The picture's text on a message that `found_view` made, or the file with it; needs no memory, so it works for good."""
    for part in _texts(message.components):
        if part.startswith(f"{FENCE}\n") and part.endswith(FENCE):
            return part.removeprefix(FENCE).removesuffix(FENCE).strip("\n")
    return next((file for file in message.attachments if file.filename == FILE_NAME), None)


def found_form(draft: Draft, offer: Offer) -> ui.Modal:
    """A form filled with `draft`; its custom id says all that is needed to read it, after a restart too."""
    form = ui.Modal(title="Draw this here", custom_id=Press(action=FOUND_FORM, job_id=NO_JOB).custom_id)
    add_words_and_looks(form, draft, offer)
    numbers: ui.TextInput[Any] = ui.TextInput(
        custom_id=NUMBERS,
        style=TextStyle.short,
        default=numbers_line(draft) or None,
        required=False,
        max_length=NUMBERS_LENGTH,
    )
    form.add_item(ui.Label(text="Numbers", description="For one that you leave out, mine is taken", component=numbers))
    return form


def adopted(interaction: Interaction) -> Draft:
    """What the member made of the form. What they left empty is to be nothing, not their own default.

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
    """`text` line by line, without what cannot be seen or turns its direction."""
    return "\n".join(visible(line) for line in text.strip().splitlines())


def _here(finding: UnavailableSetting, profile: ModelProfile) -> Iterator[str]:
    found, adoption = finding.settings, finding.adoption
    if not found.is_understood:
        yield unread_sentence(words(found.program, NAME_LENGTH) if found.program else None)
        return
    yield f"**Drawn here:** {' · '.join(_facts(adoption, profile))}"
    if adoption.missing_loras:
        named = ", ".join(words(name, NAME_LENGTH) for name in adoption.missing_loras[:MAX_NAMED])
        more = len(adoption.missing_loras) - MAX_NAMED
        yield f"-# Without these LoRAs: {named}{f' and {more} more' if more > 0 else ''}"
    if found.unread:
        named = ", ".join(words(name, UNREAD_LENGTH) for name in found.unread[:MAX_UNREAD])
        more = len(found.unread) - MAX_UNREAD
        yield f"-# I leave out what I cannot read: {named}{f' and {more} more' if more > 0 else ''}"
    if found.model and found.model.casefold() not in {profile.name.casefold(), profile.title.casefold()}:
        yield f"-# Another model drew it ({words(found.model, NAME_LENGTH)}), so the same seed gives another picture"
    if adoption.shortened:
        yield f"-# I take {MAX_PROMPT_LENGTH:,} characters; the end of the words is left out"


def _facts(adoption: ImportedSettings, profile: ModelProfile) -> Iterator[str]:
    draft, drawn = adoption.draft, adoption.drawn
    size = profile.size(draft.size)
    yield "a new seed" if draft.seed is None else f"seed `{draft.seed}`"
    if draft.blends:
        yield f"variation `{draft.blends[-1].seed}`"
    yield f"{size.width} × {size.height}"
    if draft.quality:
        yield f"{draft.quality} quality"
    yield f"{drawn.num_inference_steps or profile.num_inference_steps} steps"
    yield f"guidance {profile.guidance_scale if drawn.guidance_scale is None else drawn.guidance_scale:g}"
    if adoption.style:
        yield f"{words(adoption.style.title, NAME_LENGTH)} × {draft.adapter_weight:g}"
    yield words(profile.title, NAME_LENGTH)


def _texts(components: object) -> Iterator[str]:
    for component in cast("list[Any]", components):
        if isinstance(component, discord.TextDisplay):
            yield component.content
        yield from _texts(getattr(component, "children", []))
