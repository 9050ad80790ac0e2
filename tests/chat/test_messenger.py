from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from datetime import timedelta

import discord
import pytest
import simcord
from simcord.backend.errors import BackendError

from bot.chat import messenger
from bot.chat.client import PastelBot
from bot.chat.messenger import DiscordMessenger
from bot.domain.delivery import DeliveryFault
from bot.domain.job import Job, JobStatus, ReplyTarget
from bot.metrics import Metrics
from bot.ports import MessengerError
from tests import examples
from tests.chat.cards.test_card import card

JOB = examples.job()


@dataclass
class Rig:
    """A bot without cogs on SimCord, its messenger, and a channel."""

    env: simcord.Env
    messenger: DiscordMessenger
    channel: simcord.ChannelHandle

    def reply(self, **changes: object) -> ReplyTarget:
        target = ReplyTarget(channel_id=self.channel.id, application_id=self.env.backend.application_id)
        return replace(target, **changes)

    async def posted(self, job: Job = JOB) -> ReplyTarget:
        message_id = await self.messenger.post(self.reply(), card(job=job), nonce=job.id)
        return self.reply(message_id=message_id)


@pytest.fixture
async def rig() -> AsyncGenerator[Rig]:
    bot = PastelBot(metrics=Metrics(), meta=None, extensions=(), guild_ready_timeout=0)
    env = simcord.Env(bot, shard_count=1)
    await env.start()
    try:
        channel = env.create_guild().create_text_channel("drawings")
        yield Rig(env, DiscordMessenger(bot), channel)
    finally:
        await env.shutdown()


@pytest.fixture(autouse=True)
def offline(rig: Rig):
    """SimCord's webhook adapter for what the test itself calls."""
    with rig.env.time_context():
        yield


async def test_a_post_shows_the_card_with_its_files_and_our_nonce(rig: Rig):
    reply = await rig.posted()

    (message,) = rig.channel.history()
    assert message.id == reply.message_id
    assert message.flags.components_v2
    assert [file.filename for file in message.attachments] == ["p-0.png"]
    sent = next(entry for entry in rig.env.backend.http_requests if entry.method == "POST")
    assert sent.json is not None
    assert (sent.json["nonce"], sent.json["enforce_nonce"]) == (JOB.id, True)
    assert sent.json["allowed_mentions"]["parse"] == []


async def test_an_edit_replaces_all_files(rig: Rig):
    reply = await rig.posted()

    assert await rig.messenger.edit_by_id(reply, card(pictures=3)) == reply.message_id

    (message,) = rig.channel.history()
    assert [file.filename for file in message.attachments] == ["p-0.png", "p-1.png", "p-2.png"]


async def test_an_edit_to_a_card_without_files_removes_them(rig: Rig):
    reply = await rig.posted()

    await rig.messenger.edit_by_id(reply, card(JobStatus.CANCELLED, files=()))

    (message,) = rig.channel.history()
    assert message.attachments == []


async def test_a_card_sent_again_and_again_is_not_kept_in_memory(rig: Rig):
    reply = await rig.posted()
    for _ in range(5):
        await rig.messenger.edit_by_id(reply, card())

    store = rig.messenger._client._connection._view_store
    assert (store._views, store._synced_message_views) == ({}, {})


async def test_a_deleted_message_is_gone_and_deleting_it_again_is_no_error(rig: Rig):
    reply = await rig.posted()

    await rig.messenger.delete(reply)
    await rig.messenger.delete(reply)

    assert rig.channel.history() == []
    with pytest.raises(MessengerError) as caught:
        await rig.messenger.edit_by_id(reply, card())
    assert caught.value.fault is DeliveryFault.MESSAGE_GONE


async def test_a_card_in_an_archived_thread_is_deleted_all_the_same(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    thread = rig.env.backend.create_thread(rig.channel.id, "a thread", rig.env.backend.bot_user.id)
    reply = rig.reply(channel_id=thread.id)
    reply = replace(reply, message_id=await rig.messenger.post(reply, card(job=JOB), nonce=JOB.id))
    delete = rig.env.backend.delete_message

    def guarded(channel_id: int, message_id: int) -> None:
        if rig.env.backend.channels[channel_id].thread_metadata.archived:
            raise BackendError(400, 50083, "Thread is archived")
        delete(channel_id, message_id)

    monkeypatch.setattr(rig.env.backend, "delete_message", guarded)
    thread.thread_metadata.archived = True

    await rig.messenger.delete(reply)

    assert reply.message_id not in rig.env.backend.messages[thread.id]


async def test_what_was_never_shown_cannot_be_edited_but_is_deleted_in_peace(rig: Rig):
    with pytest.raises(MessengerError) as caught:
        await rig.messenger.edit_by_id(rig.reply(), card())
    assert caught.value.fault is DeliveryFault.MESSAGE_GONE
    with pytest.raises(MessengerError) as caught:
        await rig.messenger.edit_by_token(rig.reply(), card())
    assert caught.value.fault is DeliveryFault.TOKEN_DEAD

    await rig.messenger.delete(rig.reply())


async def test_a_token_that_discord_does_not_know_is_dead(rig: Rig):
    reply = rig.reply(token="no-such-token", message_id=1)

    with pytest.raises(MessengerError) as caught:
        await rig.messenger.edit_by_token(reply, card())

    assert caught.value.fault is DeliveryFault.TOKEN_DEAD
    assert "no-such-token" not in str(caught.value)


async def test_a_channel_that_is_gone_is_told(rig: Rig):
    with pytest.raises(MessengerError) as caught:
        await rig.messenger.post(rig.reply(channel_id=123), card(), nonce=JOB.id)

    assert caught.value.fault is DeliveryFault.CHANNEL_GONE


async def test_a_channel_that_is_closed_to_us_is_told(rig: Rig):
    guild = rig.env.create_guild("another")
    everyone = guild.default_role
    closed = guild.create_text_channel("closed", overwrites={everyone: discord.PermissionOverwrite(send_messages=False)})

    with pytest.raises(MessengerError) as caught:
        await rig.messenger.post(rig.reply(channel_id=closed.id), card(), nonce=JOB.id)

    assert caught.value.fault is DeliveryFault.FORBIDDEN


async def test_a_lost_post_is_found_by_the_job_on_its_buttons(rig: Rig):
    other = replace(JOB, id="a" * 16)
    since = rig.env.now() - timedelta(seconds=1)
    await rig.posted(other)
    mine = await rig.posted()
    await rig.posted(replace(JOB, id="b" * 16))

    assert await rig.messenger.find_post(rig.reply(), JOB.id, since=since) == mine.message_id
    assert await rig.messenger.find_post(rig.reply(), "c" * 16, since=since) is None


class Channel:
    """A channel's history as Discord pages it; SimCord gives the newest messages whatever is asked for."""

    def __init__(self, messages: list[discord.Message]) -> None:
        self._messages = sorted(messages, key=lambda message: message.id)

    async def history(self, *, limit: int, after: discord.abc.Snowflake, oldest_first: bool) -> AsyncGenerator[discord.Message]:
        found = [message for message in self._messages if message.id > after.id]
        for message in (found if oldest_first else found[::-1])[:limit]:
            yield message


async def test_a_post_that_many_messages_came_before_is_found_among_the_newest(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(messenger, "SEARCH_DEPTH", 2)
    since = rig.env.now() - timedelta(seconds=1)
    posted = [await rig.posted(replace(JOB, id=f"{number}" * 16)) for number in range(6)]
    channel = Channel([message async for message in rig.messenger._channel(rig.reply()).history(limit=100)])
    monkeypatch.setattr(rig.messenger, "_channel", lambda _: channel)

    found = [await rig.messenger.find_post(rig.reply(), f"{number}" * 16, since=since) for number in range(6)]

    assert found == [posted[0].message_id, posted[1].message_id, None, None, posted[4].message_id, posted[5].message_id]


async def test_a_sentence_goes_to_the_member_directly_and_pings_nobody(rig: Rig):
    user = rig.env.create_user("ann")
    channel_id = await rig.messenger.open_direct(user.id)

    message_id = await rig.messenger.tell(channel_id, "@everyone look", nonce=JOB.id)

    assert await rig.messenger.open_direct(user.id) == channel_id
    message = rig.env.backend.messages[channel_id][message_id]
    assert (message.content, message.mention_everyone) == ("@everyone look", False)


async def test_a_token_is_used_through_the_clients_proxy(rig: Rig):
    rig.messenger._client.http.proxy = "http://proxy.example:3128"

    assert rig.messenger._webhook(rig.reply(token="secret")).proxy == "http://proxy.example:3128"


async def test_a_post_from_before_is_not_taken_for_the_lost_one(rig: Rig):
    await rig.posted()
    await rig.env.advance_time(3600)

    assert await rig.messenger.find_post(rig.reply(), JOB.id, since=rig.env.now()) is None


async def test_where_we_may_not_look_nothing_is_found(rig: Rig):
    guild = rig.env.create_guild("another")
    everyone = guild.default_role
    closed = guild.create_text_channel(
        "closed", overwrites={everyone: discord.PermissionOverwrite(read_message_history=False, view_channel=False)}
    )

    assert await rig.messenger.find_post(rig.reply(channel_id=closed.id), JOB.id, since=rig.env.now()) is None
