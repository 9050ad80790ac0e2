"""What Discord does with threads and SimCord does not (developer documentation: topics/threads, opcodes and status codes)."""

from __future__ import annotations

from typing import Any

import pytest
import simcord
from simcord.backend.errors import BackendError
from simcord.enums import ChannelType
from simcord.http.router import RequestContext

from tests.cogs.harness import SimcordHarness

ARCHIVED = (400, 50083, "Thread is archived")
MISSING_ACCESS = (403, 50001, "Missing Access")
UNKNOWN_CHANNEL = (404, 10003, "Unknown Channel")
MISSING_PERMISSIONS = (403, 50013, "Missing Permissions")


def teach_threads(
    harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch, *, shut_out: tuple[int, int, str] = MISSING_ACCESS
) -> None:
    """An archived thread takes no edits, a locked one is opened by those alone who may manage threads, and of a private one
    that it is not in the bot is told `shut_out`.
    """
    backend = harness.env.backend
    edit_message, edit_channel, require = backend.edit_message, backend.edit_channel, RequestContext.require_channel_permissions

    def guarded_edit(channel_id: int, *rest: Any, **more: Any) -> Any:
        if is_archived(harness, channel_id):
            raise BackendError(*ARCHIVED)
        return edit_message(channel_id, *rest, **more)

    def guarded_opening(channel_id: int, *rest: Any, **more: Any) -> Any:
        channel = backend.channels[channel_id]
        if channel.is_thread and channel.thread_metadata.locked:
            raise BackendError(*MISSING_PERMISSIONS)
        return edit_channel(channel_id, *rest, **more)

    def guarded_access(context: RequestContext, channel_id: int, *names: str) -> Any:
        channel = backend.channels.get(channel_id)
        is_private = channel is not None and channel.type == ChannelType.PRIVATE_THREAD
        if is_private and backend.bot_user.id not in channel.thread_members:
            raise BackendError(*shut_out)
        return require(context, channel_id, *names)

    monkeypatch.setattr(backend, "edit_message", guarded_edit)
    monkeypatch.setattr(backend, "edit_channel", guarded_opening)
    monkeypatch.setattr(RequestContext, "require_channel_permissions", guarded_access)


def open_thread(harness: SimcordHarness, *, is_private: bool = False) -> Any:
    """A thread of ann's, without the bot where it is private."""
    kind = ChannelType.PRIVATE_THREAD if is_private else ChannelType.PUBLIC_THREAD
    made = harness.env.backend.create_thread(harness.channel.id, "a thread", harness.member.id, type=kind)
    (thread,) = [thread for thread in harness.channel.threads if thread.id == made.id]
    return thread


def add_bot(harness: SimcordHarness, thread: Any) -> None:
    """As a mention in a private thread does."""
    harness.env.backend.add_thread_member(thread.id, harness.env.backend.bot_user.id)


def remove_bot(harness: SimcordHarness, thread: Any) -> None:
    harness.env.backend.remove_thread_member(thread.id, harness.env.backend.bot_user.id)


def archive(harness: SimcordHarness, thread: Any, *, locked: bool = False) -> None:
    """By its timer, or by a moderator's hand."""
    metadata = harness.env.backend.channels[thread.id].thread_metadata
    metadata.archived, metadata.locked = True, locked


def unlock(harness: SimcordHarness, thread: Any) -> None:
    """A moderator opens it again."""
    metadata = harness.env.backend.channels[thread.id].thread_metadata
    metadata.archived = metadata.locked = False


def is_archived(harness: SimcordHarness, channel_id: int) -> bool:
    channel = harness.env.backend.channels[channel_id]
    return bool(channel.is_thread and channel.thread_metadata.archived)


def direct_messages(harness: SimcordHarness, member: Any) -> list[simcord.backend.models.message.Message]:
    """What the bot has sent to the member directly."""
    backend = harness.env.backend
    channel_id = backend.dm_channels.get(member.id)
    return [] if channel_id is None else list(backend.messages[channel_id].values())
