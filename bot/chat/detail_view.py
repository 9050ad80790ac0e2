"""All parameters of a job, to copy."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import discord
from discord import ui

from bot.chat.card_text import words
from bot.chat.cards import PINK
from bot.chat.markdown import code_block
from bot.domain.image import StoredImage
from bot.domain.job import Job
from bot.domain.profile import Style
from bot.domain.prompt import ComposedPrompt
from bot.domain.prompt_fit import PromptFit
from bot.domain.prompt_weights import CHUNK_TOKENS, MAX_CHUNKS
from bot.domain.quota import in_credits, price

MAX_TEXT = 3_600  # characters; Discord takes 4,000 in one message, and the headings need some
FILE_NAME = "parameters.txt"


def details_view(
    job: Job, images: Sequence[StoredImage], composed: ComposedPrompt, *, model: str, styles: Sequence[Style]
) -> tuple[ui.LayoutView, tuple[discord.File, ...]]:
    """A message for one member: the parameters in code blocks, or as a file where they are too long or cannot be quoted.

    A code block cannot hold backticks in a row unchanged, and what is copied has to be exact.
    """
    texts = list(_texts(job, images, composed))
    view = ui.LayoutView(timeout=None)
    fit = PromptFit.read(images[0].parameters) if images else None
    container: ui.Container[Any] = ui.Container(ui.TextDisplay(_heading(job, model, styles, fit)), accent_colour=PINK)
    view.add_item(container)
    if "``" in "".join(texts) or sum(map(len, texts)) > MAX_TEXT:
        file = discord.File(io.BytesIO("\n\n".join(texts).encode()), filename=FILE_NAME)
        container.add_item(ui.File(file))
        return view, (file,)
    for text in texts:
        container.add_item(ui.TextDisplay(code_block(text)))
    return view, ()


def _heading(job: Job, model: str, styles: Sequence[Style], fit: PromptFit | None) -> str:
    lines = ["### Details", f"-# Job `{job.id}` · model {words(model, 100)}"]
    weights = {chosen.name: chosen.weight for chosen in job.request.styles}
    for style in styles:
        lines[-1] += f" · style {words(style.title, 100)} × {weights[style.name]:g}"
    lines[-1] += f" · {in_credits(price(job.request))}"
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
    yield "\n".join(
        (
            composed.prompt,
            f"Negative prompt: {composed.negative_prompt}",
            f"Steps: {request.num_inference_steps}, CFG scale: {request.guidance_scale:g}, Seed: {request.seed}, "
            f"Size: {request.width}x{request.height}",
        )
    )
