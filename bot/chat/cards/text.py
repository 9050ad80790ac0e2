"""Writes the lines of a card, in the language of the task. Members' words in them are escaped; everything else is ours."""

from __future__ import annotations

import math
from datetime import datetime

import discord

from bot.chat.cards.markdown import escape, link, shorten, small, visible
from bot.chat.translation import _, plural, rendered
from bot.domain.card import JobCard, ParentLink, QueuePosition
from bot.domain.downloads import MEGABYTE, Transfer
from bot.domain.job import Job, JobStatus, Parent, Relation
from bot.domain.links import message_link
from bot.domain.progress import Phase, Progress
from bot.domain.quota import in_credits
from bot.messages import Message, translatable

TITLE_LENGTH = 240  # characters of the prompt; Details shows all of it
NAME_LENGTH = 60  # characters of a model's or a style's title
NOTE_LENGTH = 600
BAR_CELLS = 20

_RELATIONS = {
    Relation.REROLL: (translatable("reroll"), translatable("reroll of #{number}")),
    Relation.VARIATION: (translatable("variation"), translatable("variation of #{number}")),
    Relation.REMIX: (translatable("remix"), translatable("remix of #{number}")),
    Relation.UPSCALE: (translatable("upscale"), translatable("upscale of #{number}")),
}


def title(job: Job) -> str:
    """Returns the prompt as one bold line."""
    return f"**{words(job.request.prompt, TITLE_LENGTH)}**"


def words(text: str, limit: int) -> str:
    """Returns a member's words, shortened and shown letter for letter."""
    return escape(shorten(visible(text), limit)) or "…"


def author(card: JobCard) -> str:
    """Returns who asked, and the pictures' source. A mention in a card pings nobody (AllowedMentions.none())."""
    member = f"<@{card.job.origin.user_id}>"
    if card.job.parent is None:
        return small(_("by {member}", member=member))
    source = _source(card.job.parent, card.parent)
    if card.parent is None or card.parent.user_id == card.job.origin.user_id:
        return small(_("by {member} · {source}", member=member, source=source))
    other = f"<@{card.parent.user_id}>"
    return small(_("by {member} · {source} by {other}", member=member, source=source, other=other))


def facts(card: JobCard) -> str:
    """Returns a small line: the parameters to draw the same again, how long it took, and what it cost."""
    request = card.job.request
    parts = [
        _("seed `{seed}`", seed=request.seed),
        f"{request.width} × {request.height}",
        plural("{count} step", "{count} steps", request.num_inference_steps),
        _("guidance {scale:g}", scale=request.guidance_scale),
    ]
    parts += _styles(card)
    parts.append(words(card.model_title, NAME_LENGTH))
    if card.job.seconds is not None:
        parts.append(seconds(card.job.seconds))
    parts.append(cost(card.job))
    return f"-# {' · '.join(parts)}"


def cost(job: Job) -> str:
    """Returns what the job cost or, before its end, will cost; and its price beside that, where it differs."""
    if job.paid == 0:
        return _("free")
    if job.paid is None or job.paid == job.price:
        return credits_text(job.price)
    return _("{paid:,} of {price}", paid=job.paid, price=in_credits(job.price))


def credits_text(amount: int) -> str:
    """Returns the amount with its unit, in the language of the task."""
    return rendered(in_credits(amount))


def pictures_text(number: int) -> str:
    """Returns a number of pictures."""
    return plural("{count:,} picture", "{count:,} pictures", number)


def cancelled(job: Job) -> str:
    """Returns the sentence for a cancelled job."""
    if job.paid:
        return small(_("Cancelled · {price} for what was drawn already", price=cost(job)))
    return small(_("Cancelled · {price}", price=cost(job)))


def queued(card: JobCard) -> str:
    """Returns the place in the queue, or what the job waits for, and the styles and the price."""
    transfer = card.progress.transfer if card.progress else None
    line = f"⏳ {place(card.job, card.position)}" if transfer is None else f"📥 {fetching(transfer)}"
    return f"{line}\n-# {' · '.join((*_styles(card), credits_text(card.job.price)))}"


def fetching(transfer: Transfer) -> str:
    """Returns what is downloaded from the hub, and how much of it has arrived."""
    title, done = words(transfer.title, NAME_LENGTH), transfer.done // MEGABYTE
    if transfer.total is not None:
        total = math.ceil(transfer.total / MEGABYTE)
        return _("Downloading {title}: {done:,} of {total:,} MB", title=title, done=done, total=total)
    return (
        _("Downloading {title}: {done:,} MB", title=title, done=done)
        if transfer.done
        else _("Downloading {title}…", title=title)
    )


def place(job: Job, position: QueuePosition | None) -> str:
    """Returns a job's place and, once a speed is known, when it is ready, as a timestamp that Discord counts down."""
    if job.status is JobStatus.RUNNING:
        line = _("Drawing now")
    elif position is not None and position.is_paused:
        line = _("Paused by the moderators")
    elif position is None or position.ahead == 0:
        line = _("You're next")
    else:
        line = _("#{place:,} in line", place=position.ahead + 1)
    return f"{line}{_ready(position)}"


def running(progress: Progress | None, position: QueuePosition | None = None) -> str:
    """Returns a bar, the current phase and, once a speed is known, when the job is ready."""
    happening = _("Getting ready…") if progress is None else _phase(progress)
    return f"{bar(0.0 if progress is None else progress.fraction)}\n-# {happening}{_ready(position)}"


def bar(fraction: float) -> str:
    """Returns `fraction` (0 to 1) as a bar with its percentage; never full before the end."""
    percent = max(0, min(100, int(fraction * 100)))
    filled = percent * BAR_CELLS // 100
    return f"`{'█' * filled}{'░' * (BAR_CELLS - filled)}` **{percent} %**"  # monospaced, so that it does not jump


def seconds(value: float) -> str:
    """Returns a duration as members read it: 8.3 s, 42 s, 3 min 5 s."""
    if value < 10:
        return _("{seconds:.1f} s", seconds=value)
    minutes, left = divmod(round(value), 60)
    return _("{minutes} min {seconds} s", minutes=minutes, seconds=left) if minutes else _("{seconds} s", seconds=left)


def sentence(text: Message | str) -> str:
    """Returns one of our own sentences; a failure may quote a value, so it is cut but not escaped."""
    return shorten(rendered(text), NOTE_LENGTH)


def _styles(card: JobCard) -> list[str]:
    """Returns each style with its weight; a style may come from the prompt, so its author sees how it was understood."""
    chosen = zip(card.style_titles, card.job.request.styles, strict=False)
    return [f"{words(title, NAME_LENGTH)} × {style.weight:g}" for title, style in chosen]


def _source(parent: Parent, card: ParentLink | None) -> str:
    whole, one = _RELATIONS[parent.relation]
    name = _(whole) if parent.image_index is None else _(one, number=parent.image_index + 1)
    return name if card is None else link(name, message_link(card.guild_id, card.channel_id, card.message_id))


def _phase(progress: Progress) -> str:
    if progress.phase is Phase.LOADING:
        return _("Waking up the model…")
    if progress.phase is Phase.DECODING:
        return _("Finishing touches…")
    step, steps = progress.step // progress.num_images, progress.steps // progress.num_images
    return _("Step {step} of {steps}", step=step, steps=steps)


def _ready(position: QueuePosition | None) -> str:
    if position is None or position.done_at is None:
        return ""
    ready = _("ready {when}", when=_relative(position.done_at))
    return f" · {ready}"


def _relative(when: datetime) -> str:
    return discord.utils.format_dt(when, "R")
