"""Discord through the proxy that the environment names."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import pytest
from discord.http import Route

from bot.chat.connection import BEHIND_PROXY, bot_name
from bot.chat.proxy import proxy_for_discord
from bot.errors import NetworkError, SettingsError

TOKEN = "MTA4OTk5OTk5OTk5OTk5OTk5.GaBcDe." + "x" * 38  # shaped like a token, made up


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy.example:3128"}, "http://proxy.example:3128"),
        ({"https_proxy": "proxy.example:3128"}, "http://proxy.example:3128"),
        ({"ALL_PROXY": "http://proxy.example:3128"}, "http://proxy.example:3128"),
        ({"HTTP_PROXY": "http://proxy.example:3128"}, None),
        ({"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "localhost,.discord.com"}, None),
        ({"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "example.org"}, "http://proxy.example:3128"),
        ({"HTTPS_PROXY": ""}, None),
    ],
)
def test_the_proxy_is_the_one_that_other_programs_use(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], proxy: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert proxy_for_discord() == proxy


def test_a_discord_on_this_machine_needs_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setattr(Route, "BASE", "http://127.0.0.1:8080/api/v10")

    assert proxy_for_discord() is None


def test_a_proxy_of_another_kind_is_refused_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://ann:secret@proxy.example:1080")

    with pytest.raises(SettingsError, match="HTTPS_PROXY") as caught:
        proxy_for_discord()

    assert "secret" not in str(caught.value)


class Proxy:
    """Notes what it is asked for, and refuses it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head.splitlines()[0])
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncGenerator[str]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        async with server:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_discord_is_asked_through_it_and_a_proxy_that_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Proxy()
    async with proxy.open() as address:
        monkeypatch.setenv("HTTPS_PROXY", f"http://ann:secret@{address}")
        with pytest.raises(NetworkError) as caught:
            await bot_name(TOKEN)

    assert {line.split()[1] for line in proxy.asked} == {"discord.com:443"}
    assert str(caught.value).startswith(BEHIND_PROXY)
    assert "secret" not in str(caught.value)


async def test_a_proxy_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")

    with pytest.raises(NetworkError) as caught:
        await bot_name(TOKEN)

    assert str(caught.value).startswith(BEHIND_PROXY)
