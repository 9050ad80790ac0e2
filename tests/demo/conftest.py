"""The demo as `make demo` starts it, on the tiny random model and a folder of its own."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from bot import bootstrap
from bot.demo import run_demo
from bot.settings import Settings
from tests.demo.visitor import PATIENCE, Visitor

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/#\S+")
EDIT_INTERVAL = 0.2  # seconds; a tiny model is done before the usual interval ends


def demo_settings(folder: Path) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA_DIR", str(folder))
        patch.setenv("MODEL", "tiny-random")
        patch.setenv("DEVICE", "cpu")
        return Settings.load(need_token=False)


@contextlib.asynccontextmanager
async def running_demo(settings: Settings) -> AsyncIterator[str]:
    """Yields the address; ends with SIGTERM, as a supervisor would."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        demo = asyncio.create_task(run_demo(settings), name="demo")
        async with asyncio.timeout(PATIENCE):
            while not (address := ADDRESS.search(said.getvalue())) and not demo.done():  # noqa: ASYNC110 - it prints
                await asyncio.sleep(0.02)
        if address is None:
            demo.result()
        assert address is not None
        try:
            yield address[0]
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            async with asyncio.timeout(PATIENCE):
                await demo


@pytest.fixture(scope="module")
def called_hosts() -> Iterator[set[str]]:
    """Every host that this process connects to or asks a name server for."""
    hosts: set[str] = set()
    watching = True

    def watch(event: str, args: tuple[Any, ...]) -> None:
        if watching and event == "socket.connect" and isinstance(args[1], tuple):
            hosts.add(args[1][0])
        elif watching and event == "socket.getaddrinfo":
            hosts.add(args[0])

    sys.addaudithook(watch)  # for good: Python has no way to remove one
    yield hosts
    watching = False


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory, called_hosts: set[str]) -> AsyncIterator[str]:
    """One demo for all tests of the module."""
    del called_hosts  # it watches from before the start
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "open_runtime", partial(bootstrap.open_runtime, edit_interval=EDIT_INTERVAL))
        async with running_demo(demo_settings(tmp_path_factory.mktemp("data"))) as address:
            yield address


@pytest_asyncio.fixture(loop_scope="module")
async def visitor(address: str) -> AsyncIterator[Visitor]:
    """A window of its own for each test."""
    async with aiohttp.ClientSession() as session:
        visitor = Visitor(session, address)
        await visitor.open()
        yield visitor
