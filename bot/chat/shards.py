"""Shards that replace discord.py's own and reconnect through outages of Discord.

discord.py 2.7.1 waits up to 17 minutes between tries. Where a connection closes before HELLO, it retries forever at the start,
whatever the code, and ends with an error later. And it does not stop when it is cancelled while it connects.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import discord
import yarl
from discord.ext import commands
from discord.gateway import DiscordWebSocket, ReconnectWebSocket
from discord.shard import EventItem, EventType, Shard

from bot.chat.connection import CLOSED
from bot.chat.reconnecting import Backoff, IdentifyBudget

log = logging.getLogger(__name__)

SHORT_LIVED = 1.0  # seconds; a connection that was closed this soon is not opened again at once
CONNECT_LIMIT = 60.0  # seconds from opening a connection to IDENTIFY or RESUME
LOST = (OSError, aiohttp.ClientError, discord.HTTPException, discord.GatewayNotFound, discord.ConnectionClosed)


class PacedShard(Shard):
    """One shard. All reconnections go through `_renew`, one shard at a time, on the client's `connect`."""

    def __init__(
        self, ws: DiscordWebSocket, client: PacedShardedBot, queue_put: Callable[[EventItem], None], *, backoff: Backoff
    ) -> None:
        super().__init__(ws, client, queue_put)
        self._pauses = backoff
        self._identifies = client.identifies
        self._opened_at = time.monotonic()

    async def reidentify(self, exc: ReconnectWebSocket) -> None:
        """Reconnect after Discord closed the connection or asked for a new one."""
        self._cancel_task()
        self._tell_of_loss()
        if exc.resume and time.monotonic() - self._opened_at < SHORT_LIVED:
            await _pause(self._pauses, self.id, exc)
        await self._renew(resume=exc.resume)

    async def reconnect(self) -> None:
        """Try again after the last try failed and its pause is over."""
        self._cancel_task()
        await self._renew(resume=False)

    async def _renew(self, *, resume: bool) -> None:
        if not resume:
            await _wait_for_turn(self._identifies)
        opened = DiscordWebSocket.from_client(
            self._client,
            resume=resume,
            gateway=self.ws.gateway if resume else None,
            shard_id=self.id,
            session=self.ws.session_id,
            sequence=self.ws.sequence,
        )
        try:
            self.ws = await asyncio.wait_for(opened, CONNECT_LIMIT)
        except (*LOST, ReconnectWebSocket) as error:
            await self._handle_disconnect(error)
        else:
            self._opened_at = time.monotonic()
            self.launch()

    async def _handle_disconnect(self, e: Exception) -> None:
        if _is_final(e):
            await super()._handle_disconnect(e)  # ends the client's `connect` with this error
            return
        self._tell_of_loss()
        if not self._client.is_closed():
            await _pause(self._pauses, self.id, e)
            self._queue_put(EventItem(EventType.reconnect, self, e))

    def _tell_of_loss(self) -> None:
        self._dispatch("disconnect")
        self._dispatch("shard_disconnect", self.id)


class PacedShardedBot(commands.AutoShardedBot):
    """discord.py's bot with these shards; `identifies` counts what all of them send."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.identifies = IdentifyBudget()

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Wait for the budget; discord.py calls this right before IDENTIFY and waits 5 s between two."""
        await super().before_identify_hook(shard_id, initial=initial)
        self.identifies.take()

    async def launch_shard(self, gateway: yarl.URL, shard_id: int, *, initial: bool = False) -> None:
        """Connect a shard for the first time. Raises ConnectionClosed with a final code."""
        backoff = Backoff()
        while True:
            await _wait_for_turn(self.identifies)
            opened = DiscordWebSocket.from_client(self, initial=initial, gateway=gateway, shard_id=shard_id)
            try:
                ws = await asyncio.wait_for(opened, self.shard_connect_timeout)
                break
            except (*LOST, ReconnectWebSocket) as error:
                if _is_final(error):
                    raise
                await _pause(backoff, shard_id, error)
        own = vars(self)  # discord.py keeps both to itself
        shard = PacedShard(ws, self, own["_AutoShardedClient__queue"].put_nowait, backoff=backoff)
        own["_AutoShardedClient__shards"][shard_id] = shard
        shard.launch()


def _is_final(error: Exception) -> bool:
    return isinstance(error, discord.ConnectionClosed) and error.code in CLOSED


async def _wait_for_turn(identifies: IdentifyBudget) -> None:
    while (seconds := identifies.wait()) > 0:
        log.warning("Discord has let this bot in very often; the next connection waits %.0f s", seconds)
        await asyncio.sleep(seconds)


async def _pause(backoff: Backoff, shard_id: int, error: Exception) -> None:
    seconds = backoff.delay()
    log.warning("Shard %d has lost Discord's gateway (%s); next try in %.0f s", shard_id, type(error).__name__, seconds)
    await asyncio.sleep(seconds)
