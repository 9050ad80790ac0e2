"""Blocks and a member's recent jobs as messages for a moderator. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import discord
from discord import ui

from bot.chat.cards.card import PINK
from bot.chat.cards.text import words
from bot.domain.job import Job, JobStatus
from bot.domain.links import job_link
from bot.domain.moderation import Block
from bot.domain.quota import counted

MAX_BLOCKS = 12  # Discord takes 4,000 characters in one message
MAX_JOBS = 10
REASON_LENGTH = 80
PROMPT_LENGTH = 100
NOBODY_BLOCKED = "Nobody is blocked in this server."
_STATES = {
    JobStatus.QUEUED: "waits",
    JobStatus.RUNNING: "is being drawn",
    JobStatus.SUCCEEDED: "drawn",
    JobStatus.DELIVERED: "drawn",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "cancelled",
    JobStatus.UNDELIVERABLE: "could not be shown",
}


def blocked_notice(block: Block, cancelled: int) -> str:
    """What the moderator reads after a block that cancelled so many jobs."""
    jobs = f" {counted(cancelled, 'job')} cancelled." if cancelled else ""
    return f"<@{block.user_id}> cannot draw in this server {_until(block)}.{jobs} `/moderation unblock` lifts the block."


def blocks_view(blocks: Sequence[Block]) -> ui.LayoutView:
    """The newest first; one more than MAX_BLOCKS says that there are others."""
    lines = [_block(block) for block in blocks[:MAX_BLOCKS]]
    if len(blocks) > MAX_BLOCKS:
        lines.append("-# and older ones")
    return _view("### Blocked in this server", lines) if lines else _notice(NOBODY_BLOCKED)


def jobs_view(user_id: int, jobs: Sequence[Job]) -> ui.LayoutView:
    """The newest first."""
    if not jobs:
        return _notice(f"<@{user_id}> has not asked for anything in this server.")
    return _view(f"### The latest jobs of <@{user_id}> here", [_job(job) for job in jobs[:MAX_JOBS]])


def _block(block: Block) -> str:
    reason = f"\n> {words(block.reason, REASON_LENGTH)}" if block.reason else ""
    since = discord.utils.format_dt(block.blocked_at, "R")
    return f"<@{block.user_id}> · {_until(block)}\n-# by <@{block.blocked_by}> {since}{reason}"


def _until(block: Block) -> str:
    return "until somebody lifts it" if block.ends_at is None else f"until {discord.utils.format_dt(block.ends_at, 'f')}"


def _job(job: Job) -> str:
    link = job_link(job)
    facts = [discord.utils.format_dt(job.created_at, "f"), _STATES[job.status]]
    facts += ["deleted"] if job.deleted_at is not None else []
    facts += [f"[show it]({link})"] if link else []
    return f"**{words(job.request.prompt, PROMPT_LENGTH)}**\n-# {' · '.join(facts)} · `{job.id}`"


def _view(heading: str, lines: Sequence[str]) -> ui.LayoutView:
    view = ui.LayoutView(timeout=None)
    texts = (ui.TextDisplay[Any](text) for text in (heading, *lines))
    view.add_item(ui.Container(*texts, accent_colour=PINK))
    return view


def _notice(sentence: str) -> ui.LayoutView:
    view = ui.LayoutView(timeout=None)
    view.add_item(ui.TextDisplay(sentence))
    return view
