"""Nothing is deleted for its age by a clock that is wrong."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from bot.domain.house_rules import GuildSettings
from bot.domain.job import id_made_at
from bot.storage.house_rules import SqliteHouseRules
from tests.examples import GUILD
from tests.fakes import START
from tests.services.world import World, until

YEARS = timedelta(days=4000)
MONTH = timedelta(days=31).total_seconds()

DAY = 24 * 3600.0  # seconds
STILL_THERE = "SELECT COUNT(*) FROM images JOIN jobs ON jobs.id = job_id WHERE interaction_id = ?"


@pytest.fixture
async def world(world: World) -> World:
    """Of a server that keeps pictures for 30 days."""
    rules = GuildSettings(picture_days=30)
    await SqliteHouseRules(world.database).change(GUILD, lambda _: rules, by=1, now=world.clock.now())
    return world


async def test_a_clock_that_is_years_ahead_for_one_look_deletes_nothing(world: World) -> None:
    await world.delivered(id_made_at(START))
    await world.services.retention.enforce()

    world.clock.set_ahead(YEARS)
    await world.services.retention.enforce()
    world.clock.set_back(YEARS)
    for _ in range(3):
        world.clock.advance(3600)
        await world.services.retention.enforce()

    assert len(world.store.files) == 1


async def test_a_clock_that_stays_ahead_deletes_nothing_although_pictures_are_asked_for_under_it(world: World) -> None:
    """What Discord says of the time is not believed less than what was stored under the wrong clock."""
    await world.delivered(id_made_at(START))
    world.clock.set_ahead(YEARS)
    await world.delivered(id_made_at(START + timedelta(minutes=5)))

    for _ in range(48):
        await world.services.retention.enforce()
        world.clock.advance(3600)

    assert len(world.store.files) == 2


@pytest.mark.parametrize("years", [1, -1], ids=["ahead", "behind"])
async def test_a_bot_that_starts_with_a_wrong_clock_deletes_nothing_until_it_is_put_right(world: World, years: int) -> None:
    await world.delivered(id_made_at(START))
    world.clock.set_ahead(years * YEARS)
    world.build()
    for _ in range(3):
        await world.services.retention.enforce()
        world.clock.advance(3600)
    assert len(world.store.files) == 1

    world.clock.set_back(years * YEARS)
    world.clock.advance(MONTH)
    await world.delivered(id_made_at(START + timedelta(seconds=MONTH)))
    await world.services.retention.enforce()  # the clock was stepped, so it waits for the next round
    world.clock.advance(3600)
    await world.services.retention.enforce()

    assert len(world.store.files) == 1


async def test_a_bot_that_was_off_for_a_month_deletes_once_somebody_has_asked_for_a_picture(world: World) -> None:
    await world.delivered(id_made_at(START))
    world.clock.advance(MONTH)
    world.build()
    await world.services.retention.enforce()
    assert len(world.store.files) == 1

    await world.delivered(id_made_at(world.clock.now()))
    await world.services.retention.enforce()

    assert len(world.store.files) == 1


async def test_a_bot_that_was_off_for_days_and_that_nobody_uses_deletes_later_by_as_much(world: World) -> None:
    await world.delivered(id_made_at(START))
    await world.services.retention.enforce()
    world.clock.advance(3 * DAY)
    world.build()

    for _ in range(30):
        await world.services.retention.enforce()
        world.clock.advance(DAY)
    assert len(world.store.files) == 1
    world.build()
    for _ in range(3):
        await world.services.retention.enforce()
        world.clock.advance(DAY)

    assert world.store.files == {}


async def test_a_bot_that_is_on_for_half_an_hour_a_week_deletes_within_that_week(world: World) -> None:
    await world.delivered(id_made_at(START))
    for _ in range(5):
        world.clock.advance(7 * DAY)
        world.build()
        rounds = asyncio.create_task(world.services.retention.run())
        await until(lambda: world.clock.sleeping == 1)
        await world.delivered(id_made_at(world.clock.now()))
        world.clock.advance(1800)
        await until(lambda: world.clock.sleeping == 1)
        world.services.retention.stop()
        await rounds

    assert len(world.store.files) == 5
    assert await world.database.read(lambda c: c.execute(STILL_THERE, (id_made_at(START),)).fetchone()[0]) == 0


async def test_a_wrong_clock_before_the_first_picture_stops_nothing_once_it_is_put_right(world: World) -> None:
    world.clock.set_ahead(YEARS)
    world.build()
    await world.services.retention.enforce()
    world.clock.set_back(YEARS)
    await world.delivered(id_made_at(START))

    for _ in range(31 * 24):
        world.clock.advance(3600)
        await world.services.retention.enforce()

    assert world.store.files == {}


async def test_a_picture_that_was_finished_under_a_clock_years_ahead_goes_in_time_once_that_is_put_right(world: World) -> None:
    world.clock.set_ahead(YEARS)
    await world.delivered(id_made_at(START))
    world.clock.set_back(YEARS)

    for _ in range(29):
        world.clock.advance(DAY)
        await world.services.retention.enforce()
    assert len(world.store.files) == 1
    for _ in range(2):
        world.clock.advance(DAY)
        await world.services.retention.enforce()

    assert world.store.files == {}


async def test_a_bot_that_nobody_uses_deletes_in_time_also_across_a_restart(world: World) -> None:
    await world.delivered(id_made_at(START))
    for _ in range(29):
        world.clock.advance(24 * 3600)
        await world.services.retention.enforce()
    world.build()
    world.clock.advance(2 * 24 * 3600)
    await world.services.retention.enforce()

    assert world.store.files == {}


async def test_a_picture_that_was_finished_under_a_clock_years_behind_is_not_old_when_that_is_put_right(world: World) -> None:
    world.clock.set_back(YEARS)
    await world.delivered(id_made_at(START))
    world.clock.set_ahead(YEARS)
    for _ in range(3):
        world.clock.advance(3600)
        await world.services.retention.enforce()
    assert len(world.store.files) == 1

    world.clock.advance(MONTH)
    await world.services.retention.enforce()

    assert world.store.files == {}


async def test_the_disagreement_is_told_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    await world.delivered(id_made_at(START))
    world.clock.set_ahead(YEARS)

    for _ in range(5):
        await world.services.retention.enforce()
        await world.services.sweeping.sweep()
        world.clock.advance(3600)

    (record,) = caplog.records
    assert "was stepped by +4000.0 days" in record.getMessage()


async def test_files_are_not_swept_by_a_wrong_clock(world: World) -> None:
    await world.delivered(id_made_at(START))
    await world.services.sweeping.sweep()
    await world.store.save_upload(b"being stored this moment", interaction_id=2)

    world.clock.set_ahead(YEARS)
    await world.services.sweeping.sweep()

    assert len(world.store.files) == 2
