"""Every door where a member's file is read takes one of the places that there are for it, and says so when none is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bot.services.uploads import OWN_FULL
from tests.cogs.harness import SimcordHarness, png, refusal
from tests.cogs.test_context_menus import read

PLACES = 3


@asynccontextmanager
async def reading(harness: SimcordHarness, member: Any) -> AsyncGenerator[None]:
    """As many of the member's files as may be: one is being read, the others wait."""

    async def hold() -> None:
        async with harness.services.uploads.take(member.id):
            await asyncio.Event().wait()

    holders = [asyncio.create_task(hold()) for _ in range(PLACES)]
    await asyncio.sleep(0)
    try:
        yield
    finally:
        for holder in holders:
            holder.cancel()
        await asyncio.gather(*holders, return_exceptions=True)


async def anime(harness: SimcordHarness, member: Any) -> Any:
    return await member.slash(harness.channel, "anime", prompt="a cat", image=("start.png", png()), strength=0.7)


async def settings(harness: SimcordHarness, member: Any) -> Any:
    return await member.slash(harness.channel, "settings import", file=("settings.json", b"{}"))


async def read_settings(harness: SimcordHarness, member: Any) -> Any:
    return await read(harness, actor=member)


@pytest.mark.parametrize("door", [anime, settings, read_settings])
async def test_a_file_too_many_is_refused_with_a_sentence_and_others_go_on(harness: SimcordHarness, door: Any) -> None:
    async with reading(harness, harness.manager):
        assert OWN_FULL in refusal(await door(harness, harness.manager))
        await anime(harness, harness.other)
        assert len(await harness.all_jobs()) == 1

    assert OWN_FULL not in str(await door(harness, harness.manager))
