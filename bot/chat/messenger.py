"""Shows cards on Discord, by the interaction's token or by channel and message id."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import cast

import discord

from bot.chat.actions import is_card_of
from bot.chat.cards import render
from bot.chat.faults import Route, as_messenger_errors
from bot.chat.own_cards import custom_ids
from bot.domain.card import JobCard
from bot.domain.delivery import DeliveryFault, SeenAnswer
from bot.domain.job import JobId, ReplyTarget
from bot.ports import MessengerError

CALL_LIMIT = 90.0  # seconds; discord.py itself repeats 5xx answers for 25 s, and an upload of 25 MiB takes its time
SEARCH_DEPTH = 200  # messages of a channel that are looked through for a lost post
CLOCK_SLACK = 5.0  # seconds that Discord's clock may be behind ours
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

    async def say(self, reply: ReplyTarget, sentence: str) -> None:
        webhook = self._webhook(reply)
        async with _call(Route.TOKEN):
            await webhook.edit_message(_original(reply), content=sentence, allowed_mentions=NOBODY)

    async def edit_by_token(self, reply: ReplyTarget, card: JobCard) -> int:
        webhook = self._webhook(reply)
        rendered = render(card)
        async with _call(Route.TOKEN):
            message = await webhook.edit_message(
                _original(reply), view=rendered.view, attachments=rendered.files, allowed_mentions=NOBODY
            )
        return message.id

    async def edit_by_id(self, reply: ReplyTarget, card: JobCard) -> int:
        if reply.message_id is None:
            raise MessengerError(DeliveryFault.MESSAGE_GONE, "never seen")
        message = self._channel(reply).get_partial_message(reply.message_id)
        rendered = render(card)
        async with _call(Route.BOT):
            await message.edit(view=rendered.view, attachments=rendered.files, allowed_mentions=NOBODY)
        return reply.message_id

    async def post(self, reply: ReplyTarget, card: JobCard, *, nonce: str) -> int:
        rendered = render(card)
        async with _call(Route.BOT):
            # discord.py sends enforce_nonce with every nonce: the same one again gives the message that is there.
            message = await self._channel(reply).send(
                view=rendered.view, files=rendered.files, nonce=nonce, allowed_mentions=NOBODY
            )
        return message.id

    async def find_post(self, reply: ReplyTarget, job_id: JobId, *, since: datetime) -> int | None:
        try:
            async with _call(Route.BOT):
                after = discord.Object(discord.utils.time_snowflake(since) - int(CLOCK_SLACK * 1000) * (1 << 22))
                async for message in self._channel(reply).history(limit=SEARCH_DEPTH, after=after, oldest_first=True):
                    if self._is_ours(message) and any(is_card_of(name, job_id) for name in custom_ids(message.components)):
                        return message.id
        except MessengerError as error:
            if error.fault is not DeliveryFault.FORBIDDEN:  # without Read Message History we cannot look
                raise
        return None

    async def delete(self, reply: ReplyTarget) -> None:
        if reply.message_id is None:
            return
        try:
            async with _call(Route.BOT):
                await self._channel(reply).get_partial_message(reply.message_id).delete()
        except MessengerError as error:
            if error.fault not in {DeliveryFault.MESSAGE_GONE, DeliveryFault.CHANNEL_GONE}:
                raise

    def _webhook(self, reply: ReplyTarget) -> discord.Webhook:
        if reply.token is None:
            raise MessengerError(DeliveryFault.TOKEN_DEAD, "no token")
        return discord.Webhook.partial(reply.application_id, reply.token, client=self._client)

    def _channel(self, reply: ReplyTarget) -> discord.PartialMessageable:
        return self._client.get_partial_messageable(reply.channel_id)

    def _is_ours(self, message: discord.Message) -> bool:
        return self._client.user is not None and message.author.id == self._client.user.id


@asynccontextmanager
async def _call(route: Route) -> AsyncGenerator[None]:
    with as_messenger_errors(route):
        async with asyncio.timeout(CALL_LIMIT):
            yield


def _original(reply: ReplyTarget) -> int:
    """Discord knows the first answer by a name too; discord.py's signature asks for a number but passes both on."""
    return reply.message_id if reply.message_id is not None else cast("int", "@original")
