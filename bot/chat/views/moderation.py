"""Shows blocks and a member's recent jobs as messages for a moderator. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import discord
from discord import ui

from bot.chat.cards.card import PINK
from bot.chat.cards.markdown import heading, link, small
from bot.chat.cards.text import words
from bot.chat.replies import notice
from bot.chat.translation import _, plural
from bot.domain.job import Job, JobStatus
from bot.domain.links import job_link
from bot.domain.moderation import Block
from bot.messages import translatable

MAX_BLOCKS = 12  # Discord takes 4,000 characters in one message
MAX_JOBS = 10
REASON_LENGTH = 80
PROMPT_LENGTH = 100
NOBODY_BLOCKED = translatable("Nobody is blocked in this server.")
_STATES = {
    JobStatus.QUEUED: translatable("in the queue"),
    JobStatus.RUNNING: translatable("being drawn"),
    JobStatus.SUCCEEDED: translatable("drawn"),
    JobStatus.DELIVERED: translatable("drawn"),
    JobStatus.FAILED: translatable("failed"),
    JobStatus.CANCELLED: translatable("cancelled"),
    JobStatus.UNDELIVERABLE: translatable("couldn't be shown"),
}


def blocked_notice(block: Block, cancelled: int) -> str:
    """Returns the moderator's message after a block that cancelled `cancelled` jobs."""
    member = f"<@{block.user_id}>"
    if block.ends_at is None:
        done = _("Blocked {member} until a moderator lifts it. Undo with `/moderation unblock`.", member=member)
    else:
        done = _(
            "Blocked {member} until {when}. Undo with `/moderation unblock`.",
            member=member,
            when=discord.utils.format_dt(block.ends_at, "f"),
        )
    if not cancelled:
        return done
    gone = plural(
        "I've also cancelled {count} picture in the queue.", "I've also cancelled {count} pictures in the queue.", cancelled
    )
    return f"{done}\n{gone}"


def blocks_view(blocks: Sequence[Block]) -> ui.LayoutView:
    """Returns the blocks, newest first; one more than MAX_BLOCKS says that there are others."""
    lines = [_block(block) for block in blocks[:MAX_BLOCKS]]
    if len(blocks) > MAX_BLOCKS:
        lines.append(small(_("and older ones")))
    return _view(heading(_("Blocked in this server")), lines) if lines else notice(_(NOBODY_BLOCKED))


def jobs_view(user_id: int, jobs: Sequence[Job]) -> ui.LayoutView:
    """Returns the member's jobs, newest first."""
    if not jobs:
        return notice(_("{member} hasn't asked for anything in this server.", member=f"<@{user_id}>"))
    return _view(heading(_("Recent pictures of {member}", member=f"<@{user_id}>")), [_job(job) for job in jobs[:MAX_JOBS]])


def _block(block: Block) -> str:
    reason = f"\n> {words(block.reason, REASON_LENGTH)}" if block.reason else ""
    since = discord.utils.format_dt(block.blocked_at, "R")
    if block.ends_at is None:
        ends = _("until a moderator lifts it")
    else:
        ends = _("until {when}", when=discord.utils.format_dt(block.ends_at, "f"))
    by = _("by {member} {when}", member=f"<@{block.blocked_by}>", when=since)
    return f"<@{block.user_id}> · {ends}\n-# {by}{reason}"


def _job(job: Job) -> str:
    url = job_link(job)
    facts = [discord.utils.format_dt(job.created_at, "f"), _(_STATES[job.status])]
    facts += [_("deleted")] if job.deleted_at is not None else []
    facts += [link(_("jump to it"), url)] if url else []
    return f"**{words(job.request.prompt, PROMPT_LENGTH)}**\n-# {' · '.join(facts)} · `{job.id}`"


def _view(heading: str, lines: Sequence[str]) -> ui.LayoutView:
    view = ui.LayoutView(timeout=None)
    texts = (ui.TextDisplay[Any](text) for text in (heading, *lines))
    view.add_item(ui.Container(*texts, accent_colour=PINK))
    return view
