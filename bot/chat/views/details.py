"""All parameters of a job, to copy."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import discord
from discord import ui

from bot.chat.cards.card import PINK
from bot.chat.cards.markdown import code_block
from bot.chat.cards.text import cost, words
from bot.domain.image import StoredImage
from bot.domain.infotext.pairs import read_pairs
from bot.domain.infotext.prompt_fit import PromptFit
from bot.domain.infotext.style_reading import was_read_less_exactly
from bot.domain.infotext.variations import variation_pairs
from bot.domain.job import Job
from bot.domain.profile import Style
from bot.domain.prompt import ComposedPrompt
from bot.domain.prompt_weights import CHUNK_TOKENS, MAX_CHUNKS

MAX_TEXT = 3_600  # characters; Discord takes 4,000 in one message, and the headings need some
FILE_NAME = "parameters.txt"
READ_LESS_EXACTLY = (
    "-# Styles are read more exactly since this was drawn: drawn again with the same settings, it can look a little different."
)
SEEDS = ("seed", "variation seed", "variation chain")  # by which the pictures of a job differ


def details_view(
    job: Job, images: Sequence[StoredImage], composed: ComposedPrompt, *, model: str, styles: Sequence[Style]
) -> tuple[ui.LayoutView, tuple[discord.File, ...]]:
    """A message for one member: the parameters in a code block, or those of each picture in a file where they are too long or
    cannot be quoted. Of further pictures, the message only tells their seeds, where they differ in nothing else.

    A code block cannot hold backticks in a row unchanged, and what is copied has to be exact.
    """
    texts = list(_texts(job, images, composed))
    seeds = _seeds(images)
    shown = texts[:1] if seeds else texts
    view = ui.LayoutView(timeout=None)
    fit = PromptFit.read(images[0].parameters) if images else None
    heading = _heading(job, model, styles, fit)
    if any(was_read_less_exactly(image.parameters) for image in images):
        heading += f"\n{READ_LESS_EXACTLY}"
    container: ui.Container[Any] = ui.Container(ui.TextDisplay(heading), accent_colour=PINK)
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
    """A line for each picture behind the first, with what is different there; none where that is not the seeds alone."""
    if len(images) < 2:
        return []
    first, *others = [image.parameters.rpartition("\n") for image in images]
    common = read_pairs(first[2])
    lines = [f"That is picture {images[0].index + 1}. Only the seeds differ:"]
    for image, (words_before, _, last_line) in zip(images[1:], others, strict=True):
        pairs = read_pairs(last_line)
        own = [key for key in SEEDS if key in pairs and pairs[key] != common.get(key)]
        if words_before != first[0] or not own or {**pairs, **{key: common.get(key) for key in own}} != common:
            return []
        lines.append(f"-# Picture {image.index + 1} · " + " · ".join(f"`{key.capitalize()}: {pairs[key]}`" for key in own))
    return lines


def _heading(job: Job, model: str, styles: Sequence[Style], fit: PromptFit | None) -> str:
    lines = ["### Details", f"-# Job `{job.id}` · model {words(model, 100)}"]
    weights = {chosen.name: chosen.weight for chosen in job.request.styles}
    for style in styles:
        lines[-1] += f" · style {words(style.title, 100)} × {weights[style.name]:g}"
    lines[-1] += f" · {cost(job)}"
    if fit is not None:
        lines[-1] += f" · {fit.tokens} token{'' if fit.tokens == 1 else 's'}"
        lines += _what_did_not_fit(fit)
    return "\n".join(lines)


def _what_did_not_fit(fit: PromptFit) -> Iterator[str]:
    dropped = {"prompt": fit.dropped_words, "negative prompt": fit.dropped_negative_words}
    ends = [f"the last {f'{count} words' if count > 1 else 'word'} of the {name}" for name, count in dropped.items() if count]
    if ends:
        yield (
            f"{' and '.join(ends).capitalize()} did not fit: the model reads {MAX_CHUNKS} parts of {CHUNK_TOKENS} tokens, "
            "and a BREAK begins a new one."
        )


def _texts(job: Job, images: Sequence[StoredImage], composed: ComposedPrompt) -> Iterator[str]:
    """What each picture's file says about itself; before there are pictures, what was asked for."""
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
