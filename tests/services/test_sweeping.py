"""The sweep of files that no row knows, at the start and every hour."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from bot.domain.image import Swept
from bot.errors import FolderError
from bot.ports import UnknownKeys
from bot.services.sweeping import INTERVAL
from tests.services.harness import ServicesHarness, until


async def test_what_an_earlier_process_left_is_looked_at_at_once_and_what_this_one_leaves_every_hour(
    harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await harness.delivered()
    await harness.store.save_upload(b"of a request that was refused", interaction_id=8)
    ages: list[datetime | None] = []
    sweep = harness.store.sweep

    async def note(unknown: UnknownKeys, *, before: datetime | None) -> Swept:
        ages.append(before)
        return await sweep(unknown, before=before)

    monkeypatch.setattr(harness.store, "sweep", note)
    sweeping = harness.services.sweeping
    harness.tasks.append(asyncio.create_task(sweeping.run()))
    await until(lambda: harness.clock.sleeping == 1)
    kept = {image.key for image in await harness.jobs.images(job.id)}
    assert ages == [None]
    assert set(harness.store.files) == kept
    assert harness.metrics.registry.get_sample_value("pastel_pictures") == len(kept)
    assert harness.metrics.registry.get_sample_value("pastel_picture_bytes") == sum(map(len, harness.store.files.values()))

    await harness.store.save_upload(b"of another request that was refused", interaction_id=10)
    harness.clock.advance(INTERVAL)
    await until(lambda: len(ages) == 2 and harness.clock.sleeping == 1)
    assert set(harness.store.files) == kept
    assert ages == [None, harness.clock.now() - timedelta(hours=1)]

    await harness.store.save_upload(b"while the clock jumps", interaction_id=9)
    harness.clock.set_ahead(timedelta(hours=2))
    harness.clock.advance(INTERVAL)
    await asyncio.sleep(0.1)
    assert len(ages) == 2
    sweeping.stop()


async def test_a_first_round_that_failed_is_made_up_for(harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    ages: list[datetime | None] = []

    async def refuse_once(unknown: UnknownKeys, *, before: datetime | None) -> Swept:
        ages.append(before)
        if len(ages) == 1:
            raise FolderError("The folder cannot be read.")
        return Swept()

    monkeypatch.setattr(harness.store, "sweep", refuse_once)
    for _ in range(3):
        await harness.services.sweeping.sweep()

    assert ages == [None, None, harness.clock.now() - timedelta(hours=1)]
