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
from bot.domain.quota import in_credits, price

MAX_TEXT = 3_600  # characters; Discord takes 4,000 in one message, and the headings need some
FILE_NAME = "parameters.txt"


def details_view(
    job: Job, images: Sequence[StoredImage], composed: ComposedPrompt, *, model: str, style: Style | None
) -> tuple[ui.LayoutView, tuple[discord.File, ...]]:
    """A message for one member: the parameters in code blocks, or as a file where they are too long or cannot be quoted.

    A code block cannot hold backticks in a row unchanged, and what is copied has to be exact.
    """
    texts = list(_texts(job, images, composed))
    view = ui.LayoutView(timeout=None)
    container: ui.Container[Any] = ui.Container(ui.TextDisplay(_heading(job, model, style)), accent_colour=PINK)
    view.add_item(container)
    if "``" in "".join(texts) or sum(map(len, texts)) > MAX_TEXT:
        file = discord.File(io.BytesIO("\n\n".join(texts).encode()), filename=FILE_NAME)
        container.add_item(ui.File(file))
        return view, (file,)
    for text in texts:
        container.add_item(ui.TextDisplay(code_block(text)))
    return view, ()


def _heading(job: Job, model: str, style: Style | None) -> str:
    lines = ["### Details", f"-# Job `{job.id}` · model {words(model, 100)}"]
    if style is not None:
        lines[-1] += f" · style {words(style.title, 100)} × {job.request.adapter_weight:g}"
    lines[-1] += f" · {in_credits(price(job.request))}"
    return "\n".join(lines)


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
