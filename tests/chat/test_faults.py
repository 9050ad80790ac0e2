from __future__ import annotations

from unittest.mock import Mock

import aiohttp
import discord
import pytest

from bot.chat.faults import BUCKET_PAUSE, Route, as_messenger_errors
from bot.domain.delivery import DeliveryFault
from bot.ports import MessengerError

ERRORS = {403: discord.Forbidden, 404: discord.NotFound}
VIA = {"Via": "1.1 google"}


def refusal(
    status: int, code: int = 0, headers: dict[str, str] | None = None, *, errors: dict[str, object] | None = None
) -> discord.HTTPException:
    """What discord.py raises for such an answer."""
    response = Mock(spec_set=["status", "reason", "headers"])
    response.status, response.reason, response.headers = status, "because", headers or {}
    kind = discord.DiscordServerError if status >= 500 else ERRORS.get(status, discord.HTTPException)
    return kind(response, {"code": code, "message": "secret-token in a text"} | ({"errors": errors} if errors else {}))


def fault_of(error: Exception, route: Route = Route.BOT) -> MessengerError:
    with pytest.raises(MessengerError) as caught, as_messenger_errors(route):
        raise error
    return caught.value


@pytest.mark.parametrize("route", Route)
@pytest.mark.parametrize(
    ("status", "code", "fault"),
    [
        (404, 10008, DeliveryFault.MESSAGE_GONE),
        (404, 10003, DeliveryFault.CHANNEL_GONE),
        (404, 10004, DeliveryFault.CHANNEL_GONE),
        (404, 10015, DeliveryFault.TOKEN_DEAD),
        (404, 10062, DeliveryFault.TOKEN_DEAD),
        (403, 50001, DeliveryFault.FORBIDDEN),
        (403, 50013, DeliveryFault.FORBIDDEN),
        (403, 50007, DeliveryFault.FORBIDDEN),
        (403, 0, DeliveryFault.FORBIDDEN),
        (413, 0, DeliveryFault.TOO_LARGE),
        (400, 40005, DeliveryFault.TOO_LARGE),
        (400, 50083, DeliveryFault.THREAD_CLOSED),
        (400, 160005, DeliveryFault.THREAD_CLOSED),
        (400, 50035, DeliveryFault.REFUSED),
        (500, 0, DeliveryFault.UNAVAILABLE),
        (503, 0, DeliveryFault.UNAVAILABLE),
    ],
)
def test_every_refusal_has_its_meaning(route: Route, status: int, code: int, fault: DeliveryFault):
    assert fault_of(refusal(status, code), route).fault is fault


@pytest.mark.parametrize(("status", "code"), [(401, 50027), (401, 0), (404, 0)])
def test_a_webhook_route_that_knows_nothing_means_a_dead_token(status: int, code: int):
    assert fault_of(refusal(status, code), Route.TOKEN).fault is DeliveryFault.TOKEN_DEAD


def test_a_refused_bot_token_keeps_the_results_waiting():
    error = fault_of(refusal(401), Route.BOT)

    assert error.fault is DeliveryFault.UNAVAILABLE
    assert error.retry_after is not None


@pytest.mark.parametrize(
    "error",
    [aiohttp.ServerDisconnectedError(), aiohttp.ClientPayloadError(), ConnectionResetError(), TimeoutError(), OSError(5, "io")],
)
def test_a_lost_connection_leaves_the_outcome_unknown(error: Exception):
    assert fault_of(error).fault is DeliveryFault.UNAVAILABLE


def test_a_rate_limit_is_obeyed_to_the_second():
    error = fault_of(refusal(429, headers=VIA | {"Retry-After": "7.5"}))
    assert (error.fault, error.retry_after) == (DeliveryFault.RATE_LIMITED, 7.5)

    error = fault_of(discord.RateLimited(61.0))
    assert (error.fault, error.retry_after) == (DeliveryFault.RATE_LIMITED, 61.0)


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "3"}, {"Retry-After": "3600"}])
def test_cloudflares_block_names_no_time_so_that_delivery_stops_everything(headers: dict[str, str]):
    error = fault_of(refusal(429, headers=headers))

    assert (error.fault, error.retry_after) == (DeliveryFault.RATE_LIMITED, None)


def test_a_rate_limit_that_does_not_say_how_long_pauses_its_bucket_only():
    error = fault_of(refusal(429, headers=VIA))

    assert (error.fault, error.retry_after) == (DeliveryFault.RATE_LIMITED, BUCKET_PAUSE)


def test_no_text_of_discords_gets_into_our_error():
    assert "secret-token" not in str(fault_of(refusal(404, 10008)))
    assert fault_of(refusal(404, 10008)).__cause__ is None


def test_a_bug_of_ours_is_not_hidden():
    with pytest.raises(ValueError, match="ours"), as_messenger_errors(Route.BOT):
        raise ValueError("ours")
