"""Log in and stay connected; what Discord's refusals at that point mean for the operator."""

from __future__ import annotations

import asyncio

import aiohttp
import discord
from discord.http import HTTPClient

from bot.errors import NetworkError, OperatorError, TokenError

LOGIN_LIMIT = 9.0  # seconds; a start-up fault is told within 10
REFUSED = (
    "Discord refuses DISCORD_TOKEN. Reset it under discord.com/developers/applications > Bot and put the new one into .env."
)
UNREACHABLE = "Discord cannot be reached. Check this machine's network, DNS and firewall (HTTPS to discord.com)."


async def connect(client: discord.Client, token: str) -> None:
    """Log in and serve the gateway until the client is closed; discord.py reconnects by itself.

    The token is asked about first, under a time limit, since the login itself also loads extensions and may sync commands.
    Raises TokenError, NetworkError or OperatorError instead of discord.py's own errors.
    """
    try:
        await bot_name(token)
        await client.login(token)
        await client.connect(reconnect=True)
    except discord.LoginFailure:
        raise TokenError(REFUSED) from None
    except discord.PrivilegedIntentsRequired:
        raise OperatorError("Discord refuses the intents. Pastel asks for none that are privileged; update Pastel.") from None
    except (aiohttp.ClientConnectionError, discord.GatewayNotFound, TimeoutError, OSError) as error:
        raise NetworkError(f"{UNREACHABLE} ({type(error).__name__})") from None
    except discord.HTTPException as error:
        raise NetworkError(f"Discord answers {error.status} to the login. Try again in a few minutes.") from None


async def bot_name(token: str) -> str:
    """Ask Discord whose token this is, without a gateway connection. Raises TokenError, NetworkError."""
    http = HTTPClient(asyncio.get_running_loop())
    try:
        user = await asyncio.wait_for(http.static_login(token), LOGIN_LIMIT)
        return user["username"]
    except discord.LoginFailure:
        raise TokenError(REFUSED) from None
    except (aiohttp.ClientConnectionError, TimeoutError, OSError, discord.HTTPException) as error:
        raise NetworkError(f"{UNREACHABLE} ({type(error).__name__})") from None
    finally:
        await http.close()
