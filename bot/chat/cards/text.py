"""The lines of a card. Members' words in them are escaped; everything else is ours."""

from __future__ import annotations

import math
from datetime import datetime

import discord

from bot.chat.cards.markdown import escape, shorten, visible
from bot.domain.card import JobCard, ParentLink, QueuePosition
from bot.domain.downloads import MEGABYTE, Transfer
from bot.domain.job import Job, JobStatus, Parent, Relation
from bot.domain.progress import Phase, Progress
from bot.domain.quota import counted, in_credits

TITLE_LENGTH = 240  # characters of the prompt; the whole of it is under Details
NAME_LENGTH = 60  # characters of a model's or a style's title
NOTE_LENGTH = 600
BAR_CELLS = 20

_RELATIONS = {
    Relation.REROLL: "reroll",
    Relation.VARIATION: "variation",
    Relation.REMIX: "remix",
    Relation.UPSCALE: "upscale",
}


def title(job: Job) -> str:
    """The prompt, as one bold line."""
    return f"**{words(job.request.prompt, TITLE_LENGTH)}**"


def words(text: str, limit: int) -> str:
    """Somebody's words, shortened and shown letter for letter."""
    return escape(shorten(visible(text), limit)) or "…"


def author(card: JobCard) -> str:
    """Who asked, and what the pictures come from. A mention in a card pings nobody (AllowedMentions.none())."""
    by = f"by <@{card.job.origin.user_id}>"
    if card.job.parent is None:
        return f"-# {by}"
    return f"-# {by} · {_provenance(card.job.parent, card.parent)}"


def facts(card: JobCard) -> str:
    """One quiet line: what it takes to draw the same again, how long it took, and what it cost."""
    request = card.job.request
    parts = [
        f"seed `{request.seed}`",
        f"{request.width} × {request.height}",
        f"{request.num_inference_steps} steps",
        f"guidance {request.guidance_scale:g}",
    ]
    parts += _styles(card)
    parts.append(words(card.model_title, NAME_LENGTH))
    if card.job.seconds is not None:
        parts.append(seconds(card.job.seconds))
    parts.append(cost(card.job))
    return f"-# {' · '.join(parts)}"


def cost(job: Job) -> str:
    """What the job cost, where it ended, else what it will; and its price beside that, where it is another."""
    if job.paid == 0:
        return "costs nothing"
    return in_credits(job.price) if job.paid in {None, job.price} else f"{job.paid:,} of {in_credits(job.price)}"


def cancelled(job: Job) -> str:
    """What is left to say of a job that was cancelled."""
    return f"-# Cancelled · {cost(job)}{' for what was drawn already' if job.paid else ''}"


def queued(card: JobCard) -> str:
    """The place in the queue, or what has to come first, and the styles and the price."""
    transfer = card.progress.transfer if card.progress else None
    line = f"⏳ {place(card.job, card.position)}" if transfer is None else f"📥 {fetching(transfer)}"
    return f"{line}\n-# {' · '.join((*_styles(card), in_credits(card.job.price)))}"


def fetching(transfer: Transfer) -> str:
    """What comes from the hub, and how much of it is here."""
    line, done = f"Fetching {words(transfer.title, NAME_LENGTH)}", f"{transfer.done // MEGABYTE:,}"
    if transfer.total is None:
        return f"{line}, {done} MB" if transfer.done else f"{line}…"
    return f"{line}, {done} of {math.ceil(transfer.total / MEGABYTE):,} MB"


def place(job: Job, position: QueuePosition | None) -> str:
    """Where a job stands and, once a speed is known, when it is ready, as a timestamp that counts by itself."""
    if job.status is JobStatus.RUNNING:
        line = "Drawing now"
    elif position is not None and position.is_paused:
        line = "Waiting until the moderators let the queue go on"
    elif position is None or position.ahead == 0:
        line = "Next in line"
    else:
        line = f"{counted(position.ahead, 'job')} ahead"
    return f"{line}{_ready(position)}"


def running(progress: Progress | None, position: QueuePosition | None = None) -> str:
    """A bar, what happens right now and, once a speed is known, when it is ready."""
    if progress is None:
        return f"{bar(0.0)}\n-# Getting ready…{_ready(position)}"
    return f"{bar(progress.fraction)}\n-# {_phase(progress)}{_ready(position)}"


def bar(fraction: float) -> str:
    """`fraction` (0 to 1) as a bar with its percentage; never full before the end."""
    percent = max(0, min(100, int(fraction * 100)))
    filled = percent * BAR_CELLS // 100
    return f"`{'█' * filled}{'░' * (BAR_CELLS - filled)}` **{percent} %**"  # monospaced, so that it does not jump


def seconds(value: float) -> str:
    """A duration as members read it: 8.3 s, 42 s, 3 min 5 s."""
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def sentence(text: str) -> str:
    """One of our own sentences; a failure may quote a value, so it is cut but not escaped."""
    return shorten(text, NOTE_LENGTH)


def _styles(card: JobCard) -> list[str]:
    """Each with how strongly it shows; a style may come from the prompt, and whoever typed it sees what became of it."""
    chosen = zip(card.style_titles, card.job.request.styles, strict=False)
    return [f"{words(title, NAME_LENGTH)} × {style.weight:g}" for title, style in chosen]


def _provenance(parent: Parent, link: ParentLink | None) -> str:
    name = _RELATIONS[parent.relation]
    of = "" if parent.image_index is None else f" picture {parent.image_index + 1}"
    if link is None:
        return f"{name} of{of or ' an earlier job'}"
    url = f"https://discord.com/channels/{link.guild_id or '@me'}/{link.channel_id}/{link.message_id}"
    return f"[{name} of{of or ' this'}]({url}) by <@{link.user_id}>"


def _phase(progress: Progress) -> str:
    if progress.phase is Phase.LOADING:
        return "Loading the model…"
    several = progress.num_images > 1
    if progress.phase is Phase.DECODING:
        return f"{progress.decoded} of {progress.num_images} pictures finished" if several else "Finishing touches"
    step, steps = progress.step // progress.num_images, progress.steps // progress.num_images
    return f"{progress.num_images} pictures · step {step} of {steps}" if several else f"Step {step} of {steps}"


def _ready(position: QueuePosition | None) -> str:
    return "" if position is None or position.done_at is None else f" · ready {_relative(position.done_at)}"


def _relative(when: datetime) -> str:
    return discord.utils.format_dt(when, "R")
