"""/healthz and /metrics."""

import asyncio
import socket

import aiohttp
import pytest
from aiohttp import web

from bot.health import PortTakenError, measure_lag, serve_health
from bot.health_check import ask_health
from bot.metrics import Metrics


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def get(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


async def broken() -> bool:
    raise RuntimeError("probe")


async def test_healthz_is_200_only_when_every_check_holds():
    port = free_port()
    async with serve_health(port, {"gateway": yes, "database": yes}, Metrics()):
        assert await get(port, "/healthz") == (200, "gateway: ok\ndatabase: ok\n")


@pytest.mark.parametrize("check", [no, broken])
async def test_healthz_is_503_and_names_what_is_not_ready(check):
    port = free_port()
    async with serve_health(port, {"gateway": yes, "generator": check}, Metrics()):
        assert await get(port, "/healthz") == (503, "gateway: ok\ngenerator: not ready\n")


async def test_metrics_are_in_prometheus_form():
    port, metrics = free_port(), Metrics()
    metrics.images.inc(4)
    async with serve_health(port, {}, metrics):
        status, text = await get(port, "/metrics")

    assert status == 200
    assert "pastel_images_total 4.0" in text


async def test_port_0_serves_nothing():
    async with serve_health(0, {}, Metrics()) as port:
        assert port == 0


async def test_a_port_in_use_is_one_sentence():
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(PortTakenError, match=f"HTTP_PORT {port} is in use"):
            async with serve_health(port, {}, Metrics()):
                pass


async def test_only_this_machine_is_answered_unless_another_address_is_given(monkeypatch):
    addresses: list[str | None] = []

    class Site(web.TCPSite):
        def __init__(self, runner, host=None, port=None):
            addresses.append(host)
            super().__init__(runner, host, port)

    monkeypatch.setattr(web, "TCPSite", Site)
    for host in ({}, {"host": "127.0.0.2"}, {"host": "0.0.0.0"}):
        async with serve_health(free_port(), {}, Metrics(), **host):
            pass

    assert addresses == ["127.0.0.1", "127.0.0.2", "0.0.0.0"]


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_an_address_of_another_machine_is_one_sentence(host):
    with pytest.raises(PortTakenError, match=f"HTTP_HOST {host} is no address of this machine") as caught:
        async with serve_health(free_port(), {}, Metrics(), host=host):
            pass
    assert "\n" not in str(caught.value)


async def test_loop_lag_is_recorded():
    metrics = Metrics()
    probe = asyncio.create_task(measure_lag(metrics.loop_lag_seconds.observe))

    def measured() -> float:
        return metrics.registry.get_sample_value("pastel_loop_lag_seconds_count") or 0

    for _ in range(500):
        if measured():
            break
        await asyncio.sleep(0.02)
    probe.cancel()

    assert measured() >= 1


async def test_whoever_asks_is_told_whether_the_bot_is_ready():
    port = free_port()
    async with serve_health(port, {"gateway": yes}, Metrics()):
        assert await asyncio.to_thread(ask_health, "0.0.0.0", port) == (True, "gateway: ok")
    async with serve_health(port, {"gateway": no}, Metrics()):
        assert await asyncio.to_thread(ask_health, "127.0.0.1", port) == (False, "gateway: not ready")


def test_where_nobody_answers_the_bot_is_not_healthy():
    is_ready, said = ask_health("127.0.0.1", free_port())

    assert not is_ready
    assert "ConnectionRefusedError" in said


def test_where_the_operator_turned_the_answer_off_nobody_is_called_ill():
    assert ask_health("127.0.0.1", 0)[0]
