"""Renders a job's card as a message of Discord's: layout and files. Pure; nothing here talks to Discord.

Discord's limits: 40 components with all that is nested, 4,000 characters of text, 10 files.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import discord
from discord import MediaGalleryItem, ui

from bot.chat.actions import Action
from bot.chat.cards import text as card_text
from bot.chat.cards.buttons import picture_rows, row
from bot.chat.cards.markdown import shorten, small, visible
from bot.chat.limits import ALT_TEXT_LENGTH
from bot.chat.translation import _, rendered, speaking
from bot.domain.card import JobCard
from bot.domain.job import Job, JobStatus
from bot.domain.language import Language
from bot.domain.request import MAX_IMAGES
from bot.messages import translatable

Item = ui.Item[Any]

GREY, BLUE, PINK, RED = 0x99A1B3, 0x8FB8FF, 0xF5A9C8, 0xE5707E
PICTURE_HINT = translatable("**One picture:** 🌱 subtle stays close · 🔥 strong changes more · 🔍 upscale enlarges")
NOT_DRAWN = translatable("I couldn't draw this one.")
_ACCENTS = {
    JobStatus.QUEUED: GREY,
    JobStatus.RUNNING: BLUE,
    JobStatus.SUCCEEDED: PINK,
    JobStatus.DELIVERED: PINK,
    JobStatus.FAILED: RED,
    JobStatus.CANCELLED: GREY,
    JobStatus.UNDELIVERABLE: GREY,
}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedCard:
    """The content of an edit or a post. Files are read once, so render again for another try."""

    view: ui.LayoutView
    files: list[discord.File]


def render(card: JobCard) -> RenderedCard:
    """Lays the card out in its own language, whoever asks for it. The view is marked as stopped, so that discord.py sends
    it without keeping it in memory.
    """
    with speaking(language_of_card(card.job)):
        files = list(_files(card))
        view = ui.LayoutView(timeout=None)
        view.add_item(ui.Container(*_body(card, files), accent_colour=_ACCENTS[card.job.status]))
    view.stop()
    return RenderedCard(view=view, files=files)


def language_of_card(job: Job) -> Language:
    """Returns the language of the job's public messages, decided on acceptance; English for older jobs."""
    return job.language or Language.ENGLISH


def _body(card: JobCard, files: list[discord.File]) -> Iterator[Item]:
    yield ui.TextDisplay(f"{card_text.title(card.job)}\n{card_text.author(card)}")
    match card.job.status:
        case JobStatus.QUEUED:
            yield ui.TextDisplay(card_text.queued(card))
            yield row(card.job.id, Action.CANCEL)
        case JobStatus.RUNNING:
            yield from _gallery(card, files)
            yield ui.TextDisplay(card_text.running(card.progress, card.position))
            yield row(card.job.id, Action.CANCEL)
        case JobStatus.SUCCEEDED | JobStatus.DELIVERED | JobStatus.UNDELIVERABLE:
            yield from _finished(card, files)
        case JobStatus.FAILED:
            yield ui.TextDisplay(f"⚠️ {card_text.sentence(card.job.failure or _(NOT_DRAWN))}")
            yield row(card.job.id, *_again(card), Action.DETAILS, Action.DELETE)
        case JobStatus.CANCELLED:
            yield ui.TextDisplay(card_text.cancelled(card.job))
            yield row(card.job.id, *_again(card), Action.DELETE)


def _again(card: JobCard) -> tuple[Action, ...]:
    """Returns Reroll and Remix; none for an upscale: they would draw other pictures. It is retried from the original's card."""
    return () if card.job.request.is_upscale else (Action.REROLL, Action.REMIX)


def _finished(card: JobCard, files: list[discord.File]) -> Iterator[Item]:
    yield from _gallery(card, files)
    yield ui.TextDisplay(card_text.facts(card))
    if card.note:
        yield ui.TextDisplay(card_text.sentence(card.note))
    reports = () if card.job.origin.guild_id is None else (Action.REPORT,)  # nobody moderates a direct message
    yield row(card.job.id, Action.REROLL, Action.REMIX, Action.DETAILS, Action.DELETE, *reports)
    pictures = min(len(card.images) or len(files), MAX_IMAGES)
    if pictures and not card.job.request.is_upscale:
        yield ui.Separator(spacing=discord.SeparatorSpacing.small)
        yield ui.TextDisplay(small(_(PICTURE_HINT)))
        yield from picture_rows(card.job.id, pictures)


def _gallery(card: JobCard, files: list[discord.File]) -> Iterator[Item]:
    hidden = card.job.showing.spoiler
    if files:
        yield ui.MediaGallery(*(MediaGalleryItem(file, description=file.description, spoiler=hidden) for file in files))


def _files(card: JobCard) -> Iterator[discord.File]:
    """Yields the files, named plainly and uniquely, as `attachment://` finds only such names."""
    taken: set[str] = set()
    for number, file in enumerate(card.files[:MAX_IMAGES], start=1):
        name = file.name if _PLAIN_NAME.fullmatch(file.name) and file.name not in taken else f"picture-{number}.png"
        taken.add(name)
        description = shorten(visible(rendered(file.description)), ALT_TEXT_LENGTH) or _("Picture {number}", number=number)
        yield discord.File(io.BytesIO(file.data), filename=name, description=description)
