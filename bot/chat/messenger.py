"""Shows cards on Discord, by the interaction's token or by channel and message id."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import cast

import discord

from bot.chat.actions import is_card_of
from bot.chat.cards.card import render
from bot.chat.cards.lookup import custom_ids
from bot.chat.faults import Route, as_messenger_errors
from bot.chat.translation import rendered, speaking
from bot.domain.card import JobCard
from bot.domain.delivery import DeliveryFault, SeenAnswer
from bot.domain.job import JobId, ReplyTarget
from bot.domain.language import Language
from bot.messages import Message
from bot.ports import MessengerError

CALL_LIMIT = 90.0  # seconds; discord.py itself repeats 5xx answers for 25 s, and an upload of 25 MiB takes its time
SEARCH_DEPTH = 200  # messages of a channel that are looked through for a lost post
NOBODY = discord.AllowedMentions.none()


class DiscordMessenger:
    """Implements ports.Messenger with a logged-in client.

    Every edit sends the whole card with all its files: Discord drops attachments that an edit does not name.
    """

    def __init__(self, client: discord.Client) -> None:
        self._client = client

    async def first_answer(self, reply: ReplyTarget) -> SeenAnswer:
        webhook = self._webhook(reply)
        async with _call(Route.TOKEN):
            message = await webhook.fetch_message(cast("int", "@original"))
        return SeenAnswer(message_id=message.id, is_private=message.flags.ephemeral)

    async def say(self, reply: ReplyTarget, sentence: Message | str, *, language: Language | None = None) -> None:
        webhook = self._webhook(reply)
        with speaking(language or Language.ENGLISH):
            said = rendered(sentence)
        async with _call(Route.TOKEN):
            await webhook.edit_message(_original(reply), content=said, allowed_mentions=NOBODY)

    async def edit_by_token(self, reply: ReplyTarget, card: JobCard) -> int:
        webhook = self._webhook(reply)
        shown = render(card)
        async with _call(Route.TOKEN):
            message = await webhook.edit_message(
                _original(reply), view=shown.view, attachments=shown.files, allowed_mentions=NOBODY
            )
        return message.id

    async def edit_by_id(self, reply: ReplyTarget, card: JobCard) -> int:
        if reply.message_id is None:
            raise MessengerError(DeliveryFault.MESSAGE_GONE, "never seen")
        message = self._channel(reply).get_partial_message(reply.message_id)
        shown = render(card)
        async with _call(Route.BOT):
            await message.edit(view=shown.view, attachments=shown.files, allowed_mentions=NOBODY)
        return reply.message_id

    async def post(self, reply: ReplyTarget, card: JobCard, *, nonce: str) -> int:
        shown = render(card)
        async with _call(Route.BOT):
            # discord.py sends enforce_nonce with every nonce: repeated, it gives the existing message.
            message = await self._channel(reply).send(view=shown.view, files=shown.files, nonce=nonce, allowed_mentions=NOBODY)
        return message.id

    async def find_post(self, reply: ReplyTarget, job_id: JobId, *, since: datetime) -> int | None:
        try:
            async with _call(Route.BOT):
                async for message in self._messages(reply, since):
                    if self._is_ours(message) and any(is_card_of(name, job_id) for name in custom_ids(message.components)):
                        return message.id
        except MessengerError as error:
            if error.fault is not DeliveryFault.FORBIDDEN:  # without Read Message History we cannot read the channel
                raise
        return None

    async def reopen(self, reply: ReplyTarget) -> None:
        async with _call(Route.BOT):
            await self._client.http.edit_channel(reply.channel_id, archived=False)

    async def open_direct(self, user_id: int) -> int:
        async with _call(Route.BOT):
            channel = await self._client.create_dm(discord.Object(user_id))
        return channel.id

    async def tell(self, channel_id: int, sentence: Message | str, *, nonce: str, language: Language | None = None) -> int:
        with speaking(language or Language.ENGLISH):
            said = rendered(sentence)
        async with _call(Route.BOT):
            channel = self._client.get_partial_messageable(channel_id)
            message = await channel.send(said, nonce=nonce, suppress_embeds=True, allowed_mentions=NOBODY)
        return message.id

    async def delete(self, reply: ReplyTarget) -> None:
        if reply.message_id is None:
            return
        message = self._channel(reply).get_partial_message(reply.message_id)
        try:
            await _delete(message)
        except MessengerError as error:
            if error.fault is DeliveryFault.THREAD_CLOSED:
                await self.reopen(reply)
                await _delete(message)
            elif error.fault not in {DeliveryFault.MESSAGE_GONE, DeliveryFault.CHANNEL_GONE}:
                raise

    async def _messages(self, reply: ReplyTarget, since: datetime) -> AsyncGenerator[discord.Message]:
        """Yields the first messages after `since` and, where there are more, the newest."""
        after, count = discord.Object(discord.utils.time_snowflake(since)), 0
        async for message in self._channel(reply).history(limit=SEARCH_DEPTH, after=after, oldest_first=True):
            count += 1
            yield message
        if count == SEARCH_DEPTH:
            async for message in self._channel(reply).history(limit=SEARCH_DEPTH, after=after, oldest_first=False):
                yield message

    def _webhook(self, reply: ReplyTarget) -> discord.Webhook:
        if reply.token is None:
            raise MessengerError(DeliveryFault.TOKEN_DEAD, "no token")
        webhook = discord.Webhook.partial(reply.application_id, reply.token, client=self._client)
        webhook.proxy = self._client.http.proxy  # discord.py 2.7.1 leaves it out here
        return webhook

    def _channel(self, reply: ReplyTarget) -> discord.PartialMessageable:
        return self._client.get_partial_messageable(reply.channel_id)

    def _is_ours(self, message: discord.Message) -> bool:
        return self._client.user is not None and message.author.id == self._client.user.id


@asynccontextmanager
async def _call(route: Route) -> AsyncGenerator[None]:
    with as_messenger_errors(route):
        async with asyncio.timeout(CALL_LIMIT):
            yield


async def _delete(message: discord.PartialMessage) -> None:
    async with _call(Route.BOT):
        await message.delete()


def _original(reply: ReplyTarget) -> int:
    """Returns the message id, or Discord's name for the first answer; discord.py passes both on, despite its signature."""
    return reply.message_id if reply.message_id is not None else cast("int", "@original")
