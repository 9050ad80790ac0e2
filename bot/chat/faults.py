"""Translates Discord's refusals to faults of delivery.

Codes: Discord's documentation, topics/opcodes-and-status-codes; each fault has one behaviour.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from enum import Enum, auto

import aiohttp
import discord

from bot.domain.delivery import DeliveryFault
from bot.ports import MessengerError

UNKNOWN_CHANNEL, UNKNOWN_GUILD, UNKNOWN_MESSAGE, UNKNOWN_WEBHOOK, UNKNOWN_INTERACTION = 10003, 10004, 10008, 10015, 10062
REQUEST_TOO_LARGE, ALREADY_ACKNOWLEDGED, INVALID_WEBHOOK_TOKEN = 40005, 40060, 50027
THREAD_ARCHIVED, THREAD_LOCKED = 50083, 160005
BUCKET_PAUSE = 5.0  # seconds, where Discord limits the rate and does not say for how long
TOKEN_REFUSED_PAUSE = 60.0  # seconds; the gateway will end the process, and results wait on disk

_BY_CODE = {
    UNKNOWN_CHANNEL: DeliveryFault.CHANNEL_GONE,
    UNKNOWN_GUILD: DeliveryFault.CHANNEL_GONE,
    UNKNOWN_MESSAGE: DeliveryFault.MESSAGE_GONE,
    UNKNOWN_WEBHOOK: DeliveryFault.TOKEN_DEAD,
    UNKNOWN_INTERACTION: DeliveryFault.TOKEN_DEAD,
    INVALID_WEBHOOK_TOKEN: DeliveryFault.TOKEN_DEAD,
    REQUEST_TOO_LARGE: DeliveryFault.TOO_LARGE,
    ALREADY_ACKNOWLEDGED: DeliveryFault.ALREADY_ANSWERED,
    THREAD_ARCHIVED: DeliveryFault.THREAD_CLOSED,
    THREAD_LOCKED: DeliveryFault.THREAD_CLOSED,
}


class Route(Enum):
    """The right by which a message is edited: the interaction's token, or the bot's own."""

    TOKEN = auto()
    BOT = auto()


@contextmanager
def as_messenger_errors(route: Route) -> Generator[None]:
    """Turns errors of discord.py and aiohttp into MessengerError.

    The texts of the originals are left out: the address of a webhook route contains the interaction's token.
    """
    try:
        yield
    except discord.RateLimited as error:
        raise MessengerError(DeliveryFault.RATE_LIMITED, "bucket", retry_after=error.retry_after) from None
    except discord.HTTPException as error:
        raise _of_response(error, route) from None
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise MessengerError(DeliveryFault.UNAVAILABLE, type(error).__name__) from None


def _of_response(error: discord.HTTPException, route: Route) -> MessengerError:
    detail = f"{error.status}, code {error.code}"
    if error.status == 429:
        return MessengerError(DeliveryFault.RATE_LIMITED, detail, retry_after=_retry_after(error))
    if error.status == 401 and route is Route.BOT:
        return MessengerError(DeliveryFault.UNAVAILABLE, detail, retry_after=TOKEN_REFUSED_PAUSE)
    return MessengerError(fault_of(error, route), detail)


def fault_of(error: discord.HTTPException, route: Route) -> DeliveryFault:
    """Returns the fault that an answer of Discord's means, whatever its headers say."""
    if error.code in _BY_CODE:
        return _BY_CODE[error.code]
    if error.status >= 500:
        return DeliveryFault.UNAVAILABLE
    if error.status == 413:
        return DeliveryFault.TOO_LARGE
    if route is Route.TOKEN and error.status in {401, 404}:
        # Tokens were seen to fail with a bare 404 inside their 15 minutes (discord-api-docs issue 6851).
        return DeliveryFault.TOKEN_DEAD
    if error.status == 403:  # with 50001, 50013 or no code; 50007: a user who blocks direct messages
        return DeliveryFault.FORBIDDEN
    return DeliveryFault.REFUSED


def _retry_after(error: discord.HTTPException) -> float | None:
    """Returns the seconds to wait; None without a Via header: Cloudflare bans this address, and every further try counts."""
    headers = error.response.headers
    if not headers.get("Via"):
        return None
    try:
        return float(headers.get("Retry-After", ""))
    except ValueError:
        return BUCKET_PAUSE
