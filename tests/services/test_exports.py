"""Exports: one at a time, in pages, and none that stays open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest

from bot.domain.privacy import MemberData
from bot.errors import InvalidRequestError
from bot.services import exports
from bot.services.exports import BUSY, UNDER_WAY, Exports
from tests.services.harness import until


@dataclass
class Records:
    """Members of three pages each. While `gate` is clear, nobody gets a second one."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    reading: set[int] = field(default_factory=set[int])
    most: int = 0

    async def pages(self, user_id: int) -> AsyncIterator[MemberData]:
        self.reading.add(user_id)
        self.most = max(self.most, len(self.reading))
        try:
            yield MemberData(user_id=user_id)
            await self.gate.wait()
            yield MemberData(user_id=user_id)
            yield MemberData(user_id=user_id)
        finally:
            self.reading.discard(user_id)


async def take(service: Exports, user_id: int) -> list[str]:
    async with aclosing(service.files(user_id, max_bytes=10**6)) as files:
        return [file.name async for file in files]


async def started(records: Records, service: Exports, user_id: int) -> asyncio.Task[list[str]]:
    task = asyncio.create_task(take(service, user_id))
    await until(lambda: user_id in records.reading)
    return task


async def test_a_member_has_one_export_at_a_time() -> None:
    records = Records()
    service = Exports(records)
    first = await started(records, service, 1)

    for _ in range(5):
        with pytest.raises(InvalidRequestError) as refused:
            await take(service, 1)
        assert str(refused.value) == UNDER_WAY
    records.gate.set()

    assert await first == ["pastel-data.json"]
    assert await take(service, 1) == ["pastel-data.json"]


async def test_members_take_turns_and_a_crowd_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "MOST_IN_LINE", 3)
    records = Records()
    service = Exports(records)
    tasks = [await started(records, service, 1), *(asyncio.create_task(take(service, number)) for number in (2, 3))]
    await asyncio.sleep(0)

    with pytest.raises(InvalidRequestError) as refused:
        await take(service, 4)
    assert str(refused.value) == BUSY
    records.gate.set()

    assert await asyncio.gather(*tasks) == [["pastel-data.json"]] * 3
    assert records.most == 1


async def test_an_export_that_breaks_off_leaves_the_turn_to_others() -> None:
    records = Records()
    service = Exports(records)
    task = await started(records, service, 1)

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    records.gate.set()

    assert await take(service, 2) == ["pastel-data.json"]
    assert await take(service, 1) == ["pastel-data.json"]


async def test_others_get_as_much_time_as_a_page_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    records, rests = Records(), list[float]()
    records.gate.set()
    ticks = iter(range(0, 100, 7))
    monkeypatch.setattr(exports, "monotonic", lambda: next(ticks))

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    async with aclosing(Exports(records, sleep=rest).files(1, max_bytes=10**6)) as files:
        async for _ in files:
            pass

    assert rests == [7, 7, 7]
