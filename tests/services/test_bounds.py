"""Bounds a member: places for work of one kind, and the pace of tries."""

import asyncio

import pytest

from bot.errors import QuotaError
from bot.services.bounds import TIDY_UP, Pace, Places

ANNA, BEN, CARL = 1, 2, 3


class Time:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def places(**bounds: int) -> Places:
    given = {"a_member": 3, "at_once": 2, "in_all": 5} | bounds
    return Places(own_full="yours are full", all_full="all are full", **given)


class Crowd:
    """Members who take a place and keep it until they are told to go."""

    def __init__(self, bound: Places) -> None:
        self.bound = bound
        self.working: list[int] = []
        self.gates: list[asyncio.Event] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def come(self, *members: int) -> None:
        for member in members:
            self.tasks.append(asyncio.create_task(self._work(member)))
        await self._settle()

    async def leave(self, member: int) -> None:
        self.gates[self.working.index(member)].set()
        await self._settle()

    async def _work(self, member: int) -> None:
        async with self.bound.take(member):
            gate = asyncio.Event()
            self.working.append(member)
            self.gates.append(gate)
            try:
                await gate.wait()
            finally:
                index = self.gates.index(gate)
                del self.gates[index], self.working[index]

    async def _settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_a_member_works_on_one_thing_at_a_time_and_others_do_not_wait_for_their_heap() -> None:
    crowd = Crowd(places())
    await crowd.come(ANNA, ANNA, ANNA, BEN)
    assert crowd.working == [ANNA, BEN]

    await crowd.leave(ANNA)
    assert sorted(crowd.working) == [ANNA, BEN]
    await crowd.end()


async def test_no_more_than_agreed_are_at_work_however_many_members_ask() -> None:
    crowd = Crowd(places())
    await crowd.come(ANNA, BEN, CARL)
    assert crowd.working == [ANNA, BEN]

    await crowd.leave(BEN)
    assert crowd.working == [ANNA, CARL]
    await crowd.end()


async def test_a_member_beyond_their_heap_is_refused_and_others_are_not() -> None:
    crowd = Crowd(places())
    await crowd.come(ANNA, ANNA, ANNA)

    with pytest.raises(QuotaError, match="yours are full"):
        async with crowd.bound.take(ANNA):
            pass
    await crowd.come(BEN)
    assert crowd.working == [ANNA, BEN]
    await crowd.end()


async def test_beyond_all_places_even_a_newcomer_is_refused() -> None:
    crowd = Crowd(places())
    await crowd.come(ANNA, ANNA, ANNA, BEN, BEN)

    with pytest.raises(QuotaError, match="all are full"):
        async with crowd.bound.take(CARL):
            pass
    await crowd.end()


async def test_whoever_is_cancelled_while_waiting_or_working_leaves_nothing_behind() -> None:
    crowd = Crowd(places())
    await crowd.come(ANNA, ANNA, ANNA, BEN, BEN)
    await crowd.end()

    await crowd.come(ANNA, BEN)
    assert crowd.working == [ANNA, BEN]
    await crowd.end()


async def test_tries_are_paced_and_a_rest_brings_them_back() -> None:
    time = Time()
    pace = Pace(6, clock=time)
    for _ in range(6):
        pace.spend(ANNA)

    with pytest.raises(QuotaError, match="Wait 10 s"):
        pace.spend(ANNA)
    pace.spend(BEN)
    time.now += 10
    pace.spend(ANNA)
    with pytest.raises(QuotaError):
        pace.spend(ANNA)


async def test_who_rested_is_forgotten_and_who_did_not_is_not() -> None:
    time = Time()
    pace = Pace(2, clock=time)
    for member in range(TIDY_UP):
        pace.spend(member)
    time.now += 31
    pace.spend(ANNA)
    pace.spend(ANNA)
    pace.spend(TIDY_UP)

    assert len(pace._left) == 2
    with pytest.raises(QuotaError):
        pace.spend(ANNA)
