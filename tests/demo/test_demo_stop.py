"""Starting and stopping the demo."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

from tests.demo.conftest import demo_settings, running_demo
from tests.demo.visitor import Visitor


async def test_sigterm_ends_the_demo_and_it_starts_again_over_the_same_folder(tmp_path: Path) -> None:
    """The pretend Discord forgets everything between the two, so the commands must be registered anew."""
    settings = demo_settings(tmp_path)
    for _ in range(2):
        async with running_demo(settings) as address, aiohttp.ClientSession() as session:
            visitor = Visitor(session, address)
            await visitor.open()
            assert "anime" in await visitor.commands()
    assert {task.get_name() for task in asyncio.all_tasks()} <= {asyncio.current_task().get_name(), "demo"}
    assert (tmp_path / "demo" / "pastel.db").exists()
    assert not (tmp_path / "pastel.db").exists()
