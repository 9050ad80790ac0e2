"""What Discord's refusals become: an exit code and one sentence."""

import asyncio
from types import SimpleNamespace

import aiohttp
import discord
import pytest
from aiohttp import web
from discord.http import Route

from bot.chat.connection import bot_name, connect
from bot.errors import NetworkError, OutdatedError, TokenError, TryLaterError
from tests.local_discord.refusals import RefusalError, rate_limited, unauthorized
from tests.local_discord.server import TOKEN, LocalDiscord


@pytest.fixture
async def local(monkeypatch):
    async with LocalDiscord() as here:
        monkeypatch.setattr(Route, "BASE", f"{here.origin}/api/v10")
        yield here


class Socket:
    """As much of a websocket as ConnectionClosed reads."""

    close_code = None


class Ended:
    """Implements as much of the client as `connect` uses; the gateway ends with `error`."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.http = SimpleNamespace(proxy=None)

    async def login(self, token: str) -> None:
        assert token == TOKEN

    async def fetch_session_start_limits(self) -> discord.SessionStartLimits:
        return discord.SessionStartLimits(total=1000, remaining=1000, reset_after=0, max_concurrency=1)

    async def connect(self, *, reconnect: bool) -> None:
        raise self._error


def closed(code: int) -> discord.ConnectionClosed:
    return discord.ConnectionClosed(Socket(), shard_id=0, code=code)


@pytest.mark.parametrize(
    ("error", "kind", "exit_code"),
    [
        (closed(4004), TokenError, 77),
        (closed(4010), OutdatedError, 76),
        (closed(4011), TryLaterError, 75),
        (closed(4012), OutdatedError, 76),
        (closed(4013), OutdatedError, 76),
        (closed(4014), OutdatedError, 76),
        (discord.PrivilegedIntentsRequired(0), OutdatedError, 76),
        (closed(4999), NetworkError, 69),
        (discord.RateLimited(600), TryLaterError, 75),
        (discord.GatewayNotFound(), NetworkError, 69),
        (aiohttp.ClientPayloadError(), NetworkError, 69),
        (ConnectionResetError(), NetworkError, 69),
    ],
    ids=repr,
)
async def test_whatever_ends_the_gateway_has_its_exit_code_and_a_sentence(local, error, kind, exit_code):
    with pytest.raises(kind) as caught:
        await connect(Ended(error), TOKEN)

    (line,) = caught.value.lines
    assert caught.value.exit_code == exit_code
    assert line.rstrip(")").endswith((".", "Error", "NotFound"))
    assert caught.value.__suppress_context__, "no traceback of discord.py's"


@pytest.mark.parametrize(
    ("refusal", "exit_code", "said"),
    [
        (unauthorized(), 77, "DISCORD_TOKEN"),
        (RefusalError(403, 0, "Forbidden"), 69, "403"),
        (RefusalError(400, 0, "Bad Request"), 69, "400"),
        (rate_limited(1, cloudflare=True), 75, "429"),
        (rate_limited(3600), 69, "HTTPS to discord.com"),  # discord.py waits, and the login has no time for that
    ],
    ids=["401", "403", "400", "a ban of the address", "a long wait"],
)
async def test_a_login_that_is_refused_has_its_exit_code_and_a_sentence(local, monkeypatch, refusal, exit_code, said):
    monkeypatch.setattr("bot.chat.connection.LOGIN_LIMIT", 1.0)
    local.faults.add("GET", "/users/@me", before=refusal, times=5)

    with pytest.raises((TokenError, NetworkError, TryLaterError)) as caught:
        await bot_name(TOKEN)

    assert caught.value.exit_code == exit_code
    assert said in str(caught.value)


@pytest.mark.parametrize("kind", ["text/html", "application/json"])
async def test_a_page_of_another_program_in_discords_place_is_told_as_such(monkeypatch, kind):
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<h1>Welcome to the hotel</h1>", headers={"Content-Type": kind})

    app = web.Application()
    app.add_routes([web.get("/api/v10/users/@me", page)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setattr(Route, "BASE", f"http://127.0.0.1:{runner.addresses[0][1]}/api/v10")

    with pytest.raises(NetworkError, match="proxy"):
        await bot_name(TOKEN)
    await runner.cleanup()


async def test_a_token_that_is_reset_between_two_questions_of_the_login_is_a_refused_token(local):
    client = discord.AutoShardedClient(intents=discord.Intents.none())
    local.faults.add("GET", "/gateway/bot", before=unauthorized())

    with pytest.raises(TokenError):
        await connect(client, TOKEN)
    await client.close()


async def test_a_bot_that_was_started_500_times_in_a_day_is_not_connected_once_more(local):
    local.gateway.starts_left = 499
    client = discord.AutoShardedClient(intents=discord.Intents.none())

    with pytest.raises(TryLaterError, match="501 times today; at 1000 Discord resets the token"):
        await connect(client, TOKEN)
    await client.close()
    assert list(local.journal.of("gateway")) == []


async def test_a_fault_of_our_own_at_the_login_is_not_laid_at_discords_door(local):
    class Broken(Ended):
        async def login(self, token: str) -> None:
            raise LookupError("Nobody provided Quotas")

    with pytest.raises(LookupError):
        await asyncio.wait_for(connect(Broken(OSError()), TOKEN), 5)
