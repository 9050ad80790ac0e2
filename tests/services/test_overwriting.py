"""The rewrite that overwrites traces: one a day however often members press, and pauses that grow where a disk has no room."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from bot.domain.job import Actor
from bot.errors import FolderError
from bot.metrics import Metrics
from bot.services.overwriting import FIRST_PAUSE, LONGEST_PAUSE, LOOK_SECONDS, Overwriting
from tests.examples import GUILD, MEMBER, request
from tests.fakes import FakeClock
from tests.services.harness import ServicesHarness, until

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NO_ROOM = FolderError("It needs 3 MiB; 1 are free.")


@dataclass
class FakeTraces:
    """Implements services.overwriting.TraceRepository. `refusal` is raised by every rewrite."""

    clock: FakeClock
    since: datetime | None = None
    last: datetime | None = None
    refusal: Exception | None = None
    tries: list[datetime] = field(default_factory=list[datetime])

    async def oldest(self) -> datetime | None:
        return self.since

    async def overwritten_at(self) -> datetime | None:
        return self.last

    async def overwrite(self, *, now: datetime) -> float:
        self.tries.append(now)
        if self.refusal is not None:
            raise self.refusal
        self.since, self.last = None, now
        return 0.01


@dataclass
class Round:
    """An Overwriting whose clocks a test moves together."""

    clock: FakeClock = field(default_factory=FakeClock)
    metrics: Metrics = field(default_factory=Metrics)
    ticks: float = 0.0

    def __post_init__(self) -> None:
        self.traces = FakeTraces(self.clock)
        self.overwriting = Overwriting(
            traces=self.traces, clock=self.clock, metrics=self.metrics, sleep=self.clock.sleep, ticks=lambda: self.ticks
        )

    async def pass_by(self, time: timedelta) -> None:
        """As `run` does it: a look every few minutes."""
        for _ in range(int(time.total_seconds() // LOOK_SECONDS)):
            self.ticks += LOOK_SECONDS
            self.clock.advance(LOOK_SECONDS)
            await self.overwriting.look()

    def erase(self) -> None:
        self.traces.since = self.traces.since or self.clock.now()

    @property
    def gaps(self) -> list[timedelta]:
        """Between one try and the next."""
        return [later - earlier for earlier, later in pairwise(self.traces.tries)]

    @property
    def gauge(self) -> float:
        return self.metrics.traces_seconds._value.get()


async def test_without_an_erasure_nothing_is_ever_rewritten() -> None:
    there = Round()

    await there.pass_by(DAY * 3)

    assert there.traces.tries == []
    assert there.gauge == 0


async def test_traces_are_overwritten_within_a_day_and_once_a_day_at_most_however_many_erase() -> None:
    there = Round()
    waited: list[timedelta] = []
    for _ in range(24 * 4):
        there.erase()
        since = there.traces.since
        assert since is not None
        await there.pass_by(HOUR)
        if there.traces.since is None:
            waited.append(there.traces.tries[-1] - since)

    assert len(there.traces.tries) == 4 + 1
    assert min(there.gaps) >= timedelta(hours=23)
    assert max(waited) <= DAY


async def test_erasures_that_come_together_are_served_together() -> None:
    there = Round()
    there.erase()
    await there.pass_by(MINUTE * 5)
    assert there.traces.tries == []

    await there.pass_by(MINUTE * 10)

    assert len(there.traces.tries) == 1


async def test_a_disk_without_room_is_asked_after_pauses_that_grow_and_the_operator_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    there = Round()
    there.traces.refusal = NO_ROOM
    there.erase()

    await there.pass_by(DAY)

    gaps = [
        (later - earlier).total_seconds() for earlier, later in zip(there.traces.tries, there.traces.tries[1:], strict=False)
    ]
    assert gaps[:3] == [FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4]
    assert max(gaps) == LONGEST_PAUSE
    assert len(there.traces.tries) < 15
    assert [record.message for record in caplog.records] == [str(NO_ROOM)]
    assert there.gauge == pytest.approx(DAY.total_seconds(), abs=LOOK_SECONDS * 2)

    there.traces.refusal = None
    await there.pass_by(timedelta(seconds=LONGEST_PAUSE))
    assert there.gauge == 0
    assert there.traces.since is None


async def test_a_clock_that_was_set_back_keeps_nobody_waiting() -> None:
    there = Round()
    there.traces.last = there.clock.now() + DAY * 400
    there.traces.since = there.clock.now() + DAY * 400

    await there.pass_by(HOUR)

    assert len(there.traces.tries) == 1


async def test_a_stop_ends_a_rewrite_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Round()
    there.traces.since = there.clock.now() - HOUR
    begun, ended = asyncio.Event(), asyncio.Event()

    async def overwrite(*, now: datetime) -> float:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return 0.0

    monkeypatch.setattr(there.traces, "overwrite", overwrite)
    running = asyncio.create_task(there.overwriting.run())
    await begun.wait()

    await there.overwriting.stop()

    assert ended.is_set()
    await running


async def test_forty_presses_of_one_member_are_one_rewrite(harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    rewrites = 0
    rewrite = harness.database.rewrite

    async def count(*args: object) -> float:
        nonlocal rewrites
        rewrites += 1
        return await rewrite(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(harness.database, "rewrite", count)
    secret = "tattletale"
    await harness.delivered(request=request(prompt=secret))
    answers = [await harness.services.privacy.erase(MEMBER, Actor(user_id=MEMBER, guild_id=GUILD)) for _ in range(40)]
    harness.tasks.append(asyncio.create_task(harness.services.overwriting.run()))
    await until(lambda: harness.clock.sleeping >= 1)
    assert rewrites == 0

    for _ in range(5):
        harness.clock.advance(LOOK_SECONDS)
        await asyncio.sleep(0.05)

    async def is_over() -> bool:
        return await harness.repositories.traces.oldest() is None

    await until(is_over)
    assert False not in answers, "the member was told that it takes longer"
    assert answers[0] is True
    assert rewrites == 1
    assert secret.encode() not in harness.database.path.read_bytes()
    await harness.services.overwriting.stop()
