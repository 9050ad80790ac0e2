"""Addresses of messages, which Discord opens in place."""

from __future__ import annotations

from bot.domain.job import Job


def job_link(job: Job) -> str | None:
    """Where the job's card is; None where that is not known, or no card is left."""
    reply = job.reply
    if job.deleted_at is not None or reply.message_id is None:
        return None
    return message_link(job.origin.guild_id, reply.channel_id, reply.message_id)


def place_link(job: Job) -> str:
    """Where the job's card is, or would be."""
    return job_link(job) or f"https://discord.com/channels/{job.origin.guild_id or '@me'}/{job.reply.channel_id}"


def message_link(guild_id: int | None, channel_id: int, message_id: int) -> str:
    """`guild_id` None is a direct message."""
    return f"https://discord.com/channels/{guild_id or '@me'}/{channel_id}/{message_id}"
