"""The hourly sweep of files that no row knows."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from bot.ports import UnknownKeys
from bot.services.sweeping import INTERVAL, Sweeping
from tests.services.world import World, until


async def test_what_nothing_needs_goes_within_the_hour_and_everything_else_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await world.delivered()
    await world.store.save_upload(b"of a request that was refused", interaction_id=8)
    ages: list[datetime] = []
    sweep = world.store.sweep

    async def note(unknown: UnknownKeys, *, before: datetime | None) -> int:
        assert before is not None
        ages.append(before)
        return await sweep(unknown, before=before)

    monkeypatch.setattr(world.store, "sweep", note)
    ticks = 0.0
    sweeping = Sweeping(
        jobs=world.jobs,
        store=world.store,
        clock=world.clock,
        metrics=world.metrics,
        sleep=world.clock.sleep,
        ticks=lambda: ticks,
    )
    world.tasks.append(asyncio.create_task(sweeping.run()))
    await until(lambda: world.clock.sleeping == 1)
    assert len(world.store.files) == 2

    ticks += INTERVAL
    world.clock.advance(INTERVAL)
    await until(lambda: len(ages) == 1 and world.clock.sleeping == 1)
    assert set(world.store.files) == {image.key for image in await world.jobs.images(job.id)}
    assert ages == [world.clock.now() - timedelta(hours=1)]

    await world.store.save_upload(b"while the clock jumps", interaction_id=9)
    world.clock.advance(INTERVAL)  # and hardly any time has passed
    await asyncio.sleep(0.1)
    assert len(ages) == 1
    sweeping.stop()
