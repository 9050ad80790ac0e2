"""Logs in and stays connected, and translates Discord's refusals, then or later, for the operator."""

from __future__ import annotations

import asyncio

import aiohttp
import discord
from discord.http import HTTPClient

from bot.chat.proxy import proxy_for_discord
from bot.errors import NetworkError, OperatorError, OutdatedError, TokenError, TryLaterError

LOGIN_LIMIT = 9.0  # seconds; a start-up fault is reported within 10
REFUSED = (
    "Discord refuses DISCORD_TOKEN. Reset it under discord.com/developers/applications > Bot and put the new one into .env."
)
UNREACHABLE = "Discord cannot be reached. Check this machine's network, DNS and firewall (HTTPS to discord.com)."
BEHIND_PROXY = (
    "Discord cannot be reached through the proxy that HTTPS_PROXY names. Check its address and password, and that it lets "
    "discord.com, gateway.discord.gg and cdn.discordapp.com through."
)
STRANGE = "What answers in Discord's place is not Discord. Check this machine's proxy, or the login page of its network."
# The close codes after which Discord allows no further try.
CLOSED: dict[int, tuple[type[OperatorError], str]] = {
    4004: (TokenError, REFUSED),
    4010: (OutdatedError, "Discord knows no shard of that number (close code 4010). Update Pastel."),
    4011: (
        TryLaterError,
        "The bot is in more servers than its shards may serve (close code 4011). Start Pastel again for more.",
    ),
    4012: (OutdatedError, "Discord no longer speaks this version's gateway protocol (close code 4012). Update Pastel."),
    4013: (OutdatedError, "Discord does not know what this version asks for (close code 4013). Update Pastel."),
    4014: (
        OutdatedError,
        "Discord refuses the intents (close code 4014). Pastel needs none that are privileged; update Pastel.",
    ),
}
REFUSALS = (
    discord.LoginFailure, discord.PrivilegedIntentsRequired, discord.ConnectionClosed, discord.GatewayNotFound,
    discord.RateLimited, discord.HTTPException, aiohttp.ClientError, OSError,
)  # fmt: skip


async def connect(client: discord.AutoShardedClient, token: str) -> None:
    """Logs in and serves the gateway until the client is closed; it reconnects by itself.

    The token is checked first, under a time limit, since the login itself also loads extensions and may sync commands.
    Raises TokenError, NetworkError, TryLaterError or OutdatedError instead of discord.py's own errors.
    """
    await bot_name(token)
    client.http.proxy = proxy_for_discord()
    try:
        await client.login(token)
        await _spare_starts(client)
        await client.connect(reconnect=True)
    except REFUSALS as error:
        raise _told(error) from None


async def bot_name(token: str) -> str:
    """Returns the name of the token's bot, without a gateway connection. Raises TokenError, NetworkError, TryLaterError."""
    http = HTTPClient(asyncio.get_running_loop(), proxy=proxy_for_discord())
    try:
        user = await asyncio.wait_for(http.static_login(token), LOGIN_LIMIT)
        return user["username"]
    except REFUSALS as error:
        raise _told(error) from None
    except (TypeError, KeyError, ValueError):  # no JSON, or an answer of another program
        raise NetworkError(STRANGE) from None
    finally:
        await http.close()


async def _spare_starts(client: discord.AutoShardedClient) -> None:
    """Raises TryLaterError for too frequent starts: a bot that restarts all day uses up its IDENTIFYs and loses its token."""
    starts = await client.fetch_session_start_limits()
    if starts.remaining < starts.total // 2:
        raise TryLaterError(
            f"Pastel has connected {starts.total - starts.remaining} times today; at {starts.total} Discord resets the token. "
            f"Find in the log why it starts so often. It can start again in {starts.reset_after // 60_000 + 1} minutes."
        )


def _told(error: BaseException) -> OperatorError:
    """Returns the operator's error for an error of discord.py."""
    if isinstance(error, discord.GatewayNotFound) and error.__cause__ is not None:
        return _told(error.__cause__)
    if isinstance(error, discord.PrivilegedIntentsRequired):
        kind, sentence = CLOSED[4014]
        return kind(sentence)
    if isinstance(error, discord.ConnectionClosed):
        kind, sentence = CLOSED.get(error.code, (NetworkError, f"Discord has closed the connection (close code {error.code})."))
        return kind(sentence)
    if isinstance(error, discord.RateLimited):
        return TryLaterError(f"Discord wants no requests of this bot for {error.retry_after:.0f} s. Start Pastel again then.")
    if isinstance(error, discord.LoginFailure):
        return TokenError(REFUSED)
    if isinstance(error, discord.HTTPException):
        return _answered(error.status)
    return NetworkError(f"{BEHIND_PROXY if proxy_for_discord() else UNREACHABLE} ({type(error).__name__})")


def _answered(status: int) -> OperatorError:
    if status == 401:
        return TokenError(REFUSED)
    if status == 429:
        return TryLaterError("Discord blocks this machine for too many requests (429). Start Pastel again in an hour.")
    return NetworkError(f"Discord answers {status} to the login. Try again in a few minutes.")
