"""Shows all parameters of a job, to copy."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import discord
from discord import ui

from bot.chat.cards.card import PINK
from bot.chat.cards.markdown import code_block, heading, small
from bot.chat.cards.text import cost, words
from bot.chat.limits import MESSAGE_LENGTH
from bot.chat.translation import _, plural
from bot.domain.image import StoredImage
from bot.domain.infotext.pairs import read_pairs
from bot.domain.infotext.prompt_fit import PromptFit
from bot.domain.infotext.style_reading import was_read_less_exactly
from bot.domain.infotext.variations import variation_pairs
from bot.domain.job import Job
from bot.domain.profile import Style
from bot.domain.prompt import ComposedPrompt
from bot.domain.prompt_weights import CHUNK_TOKENS, MAX_CHUNKS
from bot.messages import translatable

MAX_TEXT = MESSAGE_LENGTH - 400  # characters; the headings need some
FILE_NAME = "parameters.txt"
NAME_LENGTH = 100  # characters of a model's or a style's title
READ_LESS_EXACTLY = translatable(
    "I read styles more exactly since this was drawn, so the same settings can give a slightly different picture."
)
SEEDS = ("seed", "variation seed", "variation chain")  # the parameter by which the pictures of a job differ


def details_view(
    job: Job, images: Sequence[StoredImage], composed: ComposedPrompt, *, model: str, styles: Sequence[Style]
) -> tuple[ui.LayoutView, tuple[discord.File, ...]]:
    """Returns a message for one member: the parameters in a code block, or in a file, for each picture, where they are too long
    or cannot be quoted. The message gives only the seeds of further pictures, where they differ in nothing else.

    A code block cannot show backticks in a row unchanged, and copied text has to be exact.
    """
    texts = list(_texts(job, images, composed))
    seeds = _seeds(images)
    shown = texts[:1] if seeds else texts
    view = ui.LayoutView(timeout=None)
    fit = PromptFit.read(images[0].parameters) if images else None
    told = _heading(job, model, styles, fit)
    if any(was_read_less_exactly(image.parameters) for image in images):
        told += f"\n{small(_(READ_LESS_EXACTLY))}"
    container: ui.Container[Any] = ui.Container(ui.TextDisplay(told), accent_colour=PINK)
    view.add_item(container)
    if "``" in "".join(shown) or sum(map(len, (*shown, *seeds))) > MAX_TEXT:
        file = discord.File(io.BytesIO("\n\n".join(texts).encode()), filename=FILE_NAME)
        container.add_item(ui.File(file))
        return view, (file,)
    for text in shown:
        container.add_item(ui.TextDisplay(code_block(text)))
    if seeds:
        container.add_item(ui.TextDisplay("\n".join(seeds)))
    return view, ()


def _seeds(images: Sequence[StoredImage]) -> list[str]:
    """Returns a line with the seed for each picture after the first; none where they differ in more than seeds."""
    if len(images) < 2:
        return []
    first, *others = [image.parameters.rpartition("\n") for image in images]
    common = read_pairs(first[2])
    lines = [_("This is picture {number}. The others differ only in their seed:", number=images[0].index + 1)]
    for image, (words_before, _newline, last_line) in zip(images[1:], others, strict=True):
        pairs = read_pairs(last_line)
        own = [key for key in SEEDS if key in pairs and pairs[key] != common.get(key)]
        if words_before != first[0] or not own or {**pairs, **{key: common.get(key) for key in own}} != common:
            return []
        told = (f"`{key.capitalize()}: {pairs[key]}`" for key in own)  # as the file writes it
        lines.append(f"-# {' · '.join((_('Picture {number}', number=image.index + 1), *told))}")
    return lines


def _heading(job: Job, model: str, styles: Sequence[Style], fit: PromptFit | None) -> str:
    weights = {chosen.name: chosen.weight for chosen in job.request.styles}
    facts = [_("Job `{id}`", id=job.id), _("model {title}", title=words(model, NAME_LENGTH))]
    facts += [
        _("style {title} × {weight:g}", title=words(style.title, NAME_LENGTH), weight=weights[style.name]) for style in styles
    ]
    facts.append(cost(job))
    if fit is not None:
        facts.append(plural("{count} token", "{count} tokens", fit.tokens))
    lines = [heading(_("Details")), f"-# {' · '.join(facts)}"]
    return "\n".join((*lines, *_what_did_not_fit(fit))) if fit is not None else "\n".join(lines)


def _what_did_not_fit(fit: PromptFit) -> Iterator[str]:
    limit = MAX_CHUNKS * CHUNK_TOKENS
    if fit.dropped_words:
        yield plural(
            "The last word of your prompt didn't fit. The model reads up to {limit} tokens.",
            "The last {count} words of your prompt didn't fit. The model reads up to {limit} tokens.",
            fit.dropped_words,
            limit=limit,
        )
    if fit.dropped_negative_words:
        yield plural(
            "The last word under *leave out* didn't fit. The model reads up to {limit} tokens.",
            "The last {count} words under *leave out* didn't fit. The model reads up to {limit} tokens.",
            fit.dropped_negative_words,
            limit=limit,
        )


def _texts(job: Job, images: Sequence[StoredImage], composed: ComposedPrompt) -> Iterator[str]:
    """Yields the parameters in each picture's file; those of the request before there are pictures."""
    if images:
        yield from (image.parameters for image in images)
        return
    request = job.request
    variations = "".join(f", {key}: {value}" for key, value in variation_pairs(request.blends).items())
    yield "\n".join(
        (
            composed.prompt,
            f"Negative prompt: {composed.negative_prompt}",
            f"Steps: {request.num_inference_steps}, CFG scale: {request.guidance_scale:g}, Seed: {request.seed}, "
            f"Size: {request.width}x{request.height}{variations}",
        )
    )
