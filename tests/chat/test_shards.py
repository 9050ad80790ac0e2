"""Shards against the local Discord, through outages; no pause of theirs is waited for."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import discord
import pytest
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.chat import reconnecting, shards
from bot.chat.connection import CLOSED
from bot.chat.shards import PacedShardedBot
from tests.local_discord.server import TOKEN, LocalDiscord


@pytest.fixture
async def local(monkeypatch):
    """A local Discord that this process's discord.py talks to, without the pauses between two tries and two IDENTIFYs."""

    async def at_once(*_: object, **__: object) -> None:
        return None

    monkeypatch.setattr(reconnecting, "LONGEST_PAUSE", 0.0)
    monkeypatch.setattr(discord.Client, "before_identify_hook", at_once)
    async with LocalDiscord() as here:
        monkeypatch.setattr(Route, "BASE", f"{here.origin}/api/v10")
        monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(here.gateway.address))
        yield here


@asynccontextmanager
async def connecting() -> AsyncGenerator[tuple[PacedShardedBot, asyncio.Task[None]]]:
    """A client that is logged in, and the task of its gateway."""
    client = PacedShardedBot(command_prefix="!", intents=discord.Intents(guilds=True))
    await client.login(TOKEN)
    serving = asyncio.create_task(client.connect())
    try:
        yield client, serving
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await client.close()


def seen(local, what):
    return len(list(local.journal.of("gateway", what)))


async def until(local, what, times):
    await local.until(lambda: seen(local, what) >= times, f"{what} {times} times")


async def test_an_outage_is_outlasted_and_costs_one_identify(local):
    async with connecting() as (_, serving):
        await local.gateway.connected()
        local.gateway.refuses = True
        await local.gateway.disconnect()
        await until(local, "refused", 30)
        local.gateway.refuses = False
        await until(local, "identify", 2)
        await local.gateway.connected()

        assert not serving.done()
        assert seen(local, "identify") == 2


async def test_a_gateway_that_closes_before_it_greets_is_outlasted_at_the_start_and_later(local):
    local.gateway.turns_away = 4000
    async with connecting() as (_, serving):
        await until(local, "turned away", 10)
        local.gateway.turns_away = None
        await local.gateway.connected()
        local.gateway.refuses = True
        await local.gateway.disconnect()
        await until(local, "refused", 2)
        local.gateway.turns_away, local.gateway.refuses = 1001, False
        await until(local, "turned away", 20)
        local.gateway.turns_away = None
        await local.gateway.connected()

        assert not serving.done()


@pytest.mark.parametrize("code", sorted(CLOSED))
async def test_a_final_code_in_place_of_the_greeting_ends_the_start(local, code):
    local.gateway.turns_away = code
    async with connecting() as (_, serving):
        with pytest.raises(discord.ConnectionClosed) as caught:
            await asyncio.wait_for(serving, 10)

    assert caught.value.code == code
    assert seen(local, "turned away") == 1


async def test_a_connection_that_is_lost_is_resumed_and_needs_no_identify(local):
    async with connecting():
        for times in range(1, 4):
            await local.gateway.connected()
            await local.gateway.disconnect()
            await until(local, "resume", times)

    assert seen(local, "identify") == 1


async def test_once_the_identifies_are_used_up_the_next_one_waits(local, monkeypatch):
    asked = []

    async def wait(identifies) -> None:
        asked.append(identifies.wait())

    monkeypatch.setattr(shards, "_wait_for_turn", wait)
    monkeypatch.setattr(reconnecting, "IDENTIFIES_AT_ONCE", 3)
    async with connecting():
        for times in range(1, 5):
            await until(local, "ready", times)
            await local.gateway.say(9, data=False)
        await until(local, "ready", 5)

    assert [seconds > 0 for seconds in asked] == [False, False, False, True, True]


async def test_whoever_stops_it_while_it_reconnects_does_not_wait(local):
    async with connecting() as (_, serving):
        await local.gateway.connected()
        local.gateway.is_mute = True
        await local.gateway.disconnect()
        await until(local, "mute", 1)
        serving.cancel()

        done, _ = await asyncio.wait([serving], timeout=5)
        assert serving in done
