"""Starting and stopping the demo."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
from pathlib import Path

import aiohttp
import discord
import pytest

from bot.demo import run_demo
from bot.demo.server import serve
from bot.errors import OperatorError
from bot.resources import RANDOM_MODEL, SMALL_MODEL
from bot.settings import Settings
from tests.demo.conftest import demo_settings, running_demo
from tests.demo.visitor import Visitor


async def test_sigterm_ends_the_demo_and_it_starts_anew_over_the_same_folder(tmp_path: Path) -> None:
    """The pretend Discord forgets everything between the two: commands must come back, old jobs must not."""
    settings = demo_settings(tmp_path)
    for _ in range(2):
        async with running_demo(settings) as address, aiohttp.ClientSession() as session:
            assert jobs(tmp_path) == 0
            visitor = Visitor(session, address)
            await visitor.open()
            await visitor.draw("1girl", images="4", steps="60")
        assert jobs(tmp_path) == 1
    assert {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}} == set()
    assert not (tmp_path / "pastel.db").exists()


async def test_a_demo_without_its_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name == "simcord" or name.startswith(("simcord.", "bot.demo."))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "simcord", None)
    with pytest.raises(OperatorError, match=r"pip install '\.\[demo\]'"):
        await run_demo(demo_settings(tmp_path))


async def test_a_taken_port_is_told_in_one_line() -> None:
    async def nothing(*_: object) -> None: ...

    taken = await asyncio.start_server(nothing, "127.0.0.1", 0)
    async with taken:
        port = taken.sockets[0].getsockname()[1]
        bot = discord.Client(intents=discord.Intents(guilds=True))
        with pytest.raises(OperatorError, match=f"Port {port} is taken"):
            await serve(bot, port=port, ready=nothing, farewell=nothing)
    assert bot.is_closed()


@pytest.mark.parametrize("port", [None, 99_999], ids=["taken", "none at all"])
async def test_a_port_that_cannot_be_had_is_told_before_the_bot_starts(tmp_path: Path, port: int | None) -> None:
    async def nothing(*_: object) -> None: ...

    taken = await asyncio.start_server(nothing, "127.0.0.1", 0)
    async with taken:
        with pytest.raises(OperatorError, match="is taken or not allowed") as refused:
            await run_demo(demo_settings(tmp_path), port=port or taken.sockets[0].getsockname()[1])
    assert refused.value.exit_code == 73
    assert not (tmp_path / "demo").exists()


async def test_the_demo_draws_with_what_ships_although_there_is_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(settings: Settings, **_: object) -> None:
        raise OperatorError(f"the model is {settings.model}")

    monkeypatch.setattr("bot.resources.cuda_device_count", lambda: 1)
    monkeypatch.setattr("bot.demo.open_application", opened)
    settings = demo_settings(tmp_path).model_copy(update={"model": None})
    with pytest.raises(OperatorError, match=f"the model is ({SMALL_MODEL}|{RANDOM_MODEL})"):
        await run_demo(settings)


def jobs(data_dir: Path) -> int:
    with contextlib.closing(sqlite3.connect(data_dir / "demo" / "pastel.db")) as database:
        return database.execute("SELECT count(*) FROM jobs").fetchone()[0]
