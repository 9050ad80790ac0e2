"""Nothing is deleted for its age by a clock that is wrong."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from bot.domain.guild_settings.settings import GuildSettings
from bot.domain.job import id_made_at
from tests.examples import GUILD
from tests.fakes import START
from tests.services.harness import ServicesHarness, until

YEARS = timedelta(days=4000)
MONTH = timedelta(days=31).total_seconds()

DAY = 24 * 3600.0  # seconds
STILL_THERE = "SELECT COUNT(*) FROM images JOIN jobs ON jobs.id = job_id WHERE interaction_id = ?"


@pytest.fixture
async def harness(harness: ServicesHarness) -> ServicesHarness:
    """Of a server that keeps pictures for 30 days."""
    rules = GuildSettings(picture_days=30)
    await harness.repositories.guild_settings.change(GUILD, lambda _: rules, by=1, now=harness.clock.now())
    return harness


async def test_a_clock_that_is_years_ahead_for_one_look_deletes_nothing(harness: ServicesHarness) -> None:
    await harness.delivered(id_made_at(START))
    await harness.services.retention.enforce()

    harness.clock.set_ahead(YEARS)
    await harness.services.retention.enforce()
    harness.clock.set_back(YEARS)
    for _ in range(3):
        harness.clock.advance(3600)
        await harness.services.retention.enforce()

    assert len(harness.store.files) == 1


async def test_a_clock_that_stays_ahead_deletes_nothing_although_pictures_are_asked_for_under_it(
    harness: ServicesHarness,
) -> None:
    """What Discord says of the time is not believed less than what was stored under the wrong clock."""
    await harness.delivered(id_made_at(START))
    harness.clock.set_ahead(YEARS)
    await harness.delivered(id_made_at(START + timedelta(minutes=5)))

    for _ in range(48):
        await harness.services.retention.enforce()
        harness.clock.advance(3600)

    assert len(harness.store.files) == 2


@pytest.mark.parametrize("years", [1, -1], ids=["ahead", "behind"])
async def test_a_bot_that_starts_with_a_wrong_clock_deletes_nothing_until_it_is_put_right(
    harness: ServicesHarness, years: int
) -> None:
    await harness.delivered(id_made_at(START))
    harness.clock.set_ahead(years * YEARS)
    harness.build()
    for _ in range(3):
        await harness.services.retention.enforce()
        harness.clock.advance(3600)
    assert len(harness.store.files) == 1

    harness.clock.set_back(years * YEARS)
    harness.clock.advance(MONTH)
    await harness.delivered(id_made_at(START + timedelta(seconds=MONTH)))
    await harness.services.retention.enforce()  # the clock was stepped, so it waits for the next round
    harness.clock.advance(3600)
    await harness.services.retention.enforce()

    assert len(harness.store.files) == 1


async def test_a_bot_that_was_off_for_a_month_deletes_once_somebody_has_asked_for_a_picture(harness: ServicesHarness) -> None:
    await harness.delivered(id_made_at(START))
    harness.clock.advance(MONTH)
    harness.build()
    await harness.services.retention.enforce()
    assert len(harness.store.files) == 1

    await harness.delivered(id_made_at(harness.clock.now()))
    await harness.services.retention.enforce()

    assert len(harness.store.files) == 1


async def test_a_bot_that_was_off_for_days_and_that_nobody_uses_deletes_later_by_as_much(harness: ServicesHarness) -> None:
    await harness.delivered(id_made_at(START))
    await harness.services.retention.enforce()
    harness.clock.advance(3 * DAY)
    harness.build()

    for _ in range(30):
        await harness.services.retention.enforce()
        harness.clock.advance(DAY)
    assert len(harness.store.files) == 1
    harness.build()
    for _ in range(3):
        await harness.services.retention.enforce()
        harness.clock.advance(DAY)

    assert harness.store.files == {}


async def test_a_bot_that_is_on_for_half_an_hour_a_week_deletes_within_that_week(harness: ServicesHarness) -> None:
    await harness.delivered(id_made_at(START))
    for _ in range(5):
        harness.clock.advance(7 * DAY)
        harness.build()
        rounds = asyncio.create_task(harness.services.retention.run())
        await until(lambda: harness.clock.sleeping == 1)
        await harness.delivered(id_made_at(harness.clock.now()))
        harness.clock.advance(1800)
        await until(lambda: harness.clock.sleeping == 1)
        harness.services.retention.stop()
        await rounds

    assert len(harness.store.files) == 5
    assert await harness.database.read(lambda c: c.execute(STILL_THERE, (id_made_at(START),)).fetchone()[0]) == 0


async def test_a_wrong_clock_before_the_first_picture_stops_nothing_once_it_is_put_right(harness: ServicesHarness) -> None:
    harness.clock.set_ahead(YEARS)
    harness.build()
    await harness.services.retention.enforce()
    harness.clock.set_back(YEARS)
    await harness.delivered(id_made_at(START))

    for _ in range(31 * 24):
        harness.clock.advance(3600)
        await harness.services.retention.enforce()

    assert harness.store.files == {}


async def test_a_picture_that_was_finished_under_a_clock_years_ahead_goes_in_time_once_that_is_put_right(
    harness: ServicesHarness,
) -> None:
    harness.clock.set_ahead(YEARS)
    await harness.delivered(id_made_at(START))
    harness.clock.set_back(YEARS)

    for _ in range(29):
        harness.clock.advance(DAY)
        await harness.services.retention.enforce()
    assert len(harness.store.files) == 1
    for _ in range(2):
        harness.clock.advance(DAY)
        await harness.services.retention.enforce()

    assert harness.store.files == {}


async def test_a_bot_that_nobody_uses_deletes_in_time_also_across_a_restart(harness: ServicesHarness) -> None:
    await harness.delivered(id_made_at(START))
    for _ in range(29):
        harness.clock.advance(24 * 3600)
        await harness.services.retention.enforce()
    harness.build()
    harness.clock.advance(2 * 24 * 3600)
    await harness.services.retention.enforce()

    assert harness.store.files == {}


async def test_a_picture_that_was_finished_under_a_clock_years_behind_is_not_old_when_that_is_put_right(
    harness: ServicesHarness,
) -> None:
    harness.clock.set_back(YEARS)
    await harness.delivered(id_made_at(START))
    harness.clock.set_ahead(YEARS)
    for _ in range(3):
        harness.clock.advance(3600)
        await harness.services.retention.enforce()
    assert len(harness.store.files) == 1

    harness.clock.advance(MONTH)
    await harness.services.retention.enforce()

    assert harness.store.files == {}


async def test_the_disagreement_is_told_once(harness: ServicesHarness, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    await harness.delivered(id_made_at(START))
    harness.clock.set_ahead(YEARS)

    for _ in range(5):
        await harness.services.retention.enforce()
        await harness.services.sweeping.sweep()
        harness.clock.advance(3600)

    (record,) = caplog.records
    assert "was stepped by +4000.0 days" in record.getMessage()


async def test_files_are_not_swept_by_a_wrong_clock(harness: ServicesHarness) -> None:
    await harness.delivered(id_made_at(START))
    await harness.services.sweeping.sweep()
    await harness.store.save_upload(b"being stored this moment", interaction_id=2)

    harness.clock.set_ahead(YEARS)
    await harness.services.sweeping.sweep()

    assert len(harness.store.files) == 2
