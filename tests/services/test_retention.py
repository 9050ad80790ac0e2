"""What a server no longer wants to keep, over time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from bot.domain.host_rules import HostRules
from bot.domain.house_rules import GuildSettings
from bot.domain.job import Job, VariationStrength
from bot.domain.privacy import FOR_GOOD, REMOVED, KeepingTimes
from bot.domain.request import InitImage
from bot.errors import FolderError, NotFoundError
from bot.storage.house_rules import SqliteHouseRules
from tests.examples import GUILD, MEMBER, origin, request
from tests.services.world import World, until

DAY = timedelta(days=1).total_seconds()


async def keep(world: World, *, pictures: int | None = None, words: int | None = None, guild_id: int = GUILD) -> None:
    settings = GuildSettings(picture_days=pictures, prompt_days=words)
    await SqliteHouseRules(world.database).change(guild_id, lambda _: settings, by=1, now=world.clock.now())


async def has_pictures(world: World, job: Job) -> bool:
    return bool(await world.jobs.images(job.id))


async def test_pictures_go_after_their_days_and_not_before(world: World) -> None:
    await keep(world, pictures=7)
    job = await world.delivered()

    world.clock.advance(7 * DAY - 5)
    assert await world.services.retention.enforce() == 0
    assert await has_pictures(world, job)
    world.clock.advance(10)
    assert await world.services.retention.enforce() == 1

    assert not await has_pictures(world, job)
    assert world.store.files == {}
    assert (await world.job(job.id)).request == job.request
    assert world.messenger.ways[-1] != "delete"  # the card in Discord stays as it is
    assert await world.services.retention.enforce() == 0


async def test_pictures_that_went_can_be_drawn_again_but_not_varied(world: World) -> None:
    await keep(world, pictures=7)
    job = await world.delivered()
    world.clock.advance(8 * DAY)
    await world.services.retention.enforce()

    with pytest.raises(NotFoundError, match="no longer stored, so there is nothing to start from"):
        await world.services.generation.propose_variation(job.id, 0, VariationStrength.SUBTLE, origin())
    await world.services.generation.propose_reroll(job.id, origin())


async def test_words_take_their_pictures_along(world: World) -> None:
    await keep(world, words=3)
    job = await world.delivered(request=request(init_image=InitImage(key=await world.upload(b"x"), strength=0.5)))

    world.clock.advance(3 * DAY + 5)
    await world.services.retention.enforce()

    assert (await world.job(job.id)).request == REMOVED
    assert world.store.files == {}


async def test_without_a_wish_of_the_server_everything_is_kept(world: World) -> None:
    await keep(world, pictures=1, words=1, guild_id=GUILD + 1)
    here, in_private = await world.delivered(1), await world.delivered(2, origin=origin(2, MEMBER, None))

    world.clock.advance(4000 * DAY)
    await world.services.retention.enforce()

    for job in (here, in_private):
        assert await has_pictures(world, job)


async def test_the_hosts_times_hold_in_every_server_and_in_direct_messages(world: World) -> None:
    world.host = HostRules(keeping=KeepingTimes(picture_days=10, word_days=20))
    world.build()
    await keep(world, pictures=30, words=30)
    await keep(world, pictures=5, guild_id=GUILD + 1)
    jobs = [
        await world.delivered(n, origin=origin(n, MEMBER, guild))
        for n, guild in enumerate((GUILD, GUILD + 1, GUILD + 2, None), 1)
    ]

    world.clock.advance(9 * DAY)
    await world.services.retention.enforce()
    assert [await has_pictures(world, job) for job in jobs] == [True, False, True, True]
    world.clock.advance(2 * DAY)
    await world.services.retention.enforce()
    assert [await has_pictures(world, job) for job in jobs] == [False] * 4
    assert {(await world.job(job.id)).request.prompt for job in jobs} == {jobs[0].request.prompt}
    world.clock.advance(10 * DAY)
    await world.services.retention.enforce()
    assert {(await world.job(job.id)).request.prompt for job in jobs} == {REMOVED.prompt}


async def test_members_are_told_the_shorter_of_the_servers_and_the_hosts_times(world: World) -> None:
    world.host = HostRules(keeping=KeepingTimes(picture_days=10, word_days=20))
    world.build()
    await keep(world, pictures=30, words=7)

    assert await world.services.privacy.times(GUILD) == KeepingTimes(picture_days=7, word_days=7)
    assert await world.services.privacy.times(None) == KeepingTimes(picture_days=10, word_days=20)


async def test_a_picture_that_was_never_shown_is_kept_until_it_is(world: World) -> None:
    await keep(world, pictures=1, words=1)
    job = await world.drawn()

    world.clock.advance(2 * DAY)
    await world.services.retention.enforce()
    assert await has_pictures(world, job)
    await world.services.delivery.deliver_due()
    await world.services.retention.enforce()

    assert not await has_pictures(world, job)


async def test_files_that_cannot_be_deleted_are_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await keep(world, pictures=1)
    job = await world.delivered()
    world.clock.advance(2 * DAY)

    async def refuse(keys: Sequence[str]) -> None:
        raise FolderError("The folder cannot be written.")

    with monkeypatch.context() as broken:
        broken.setattr(world.store, "delete", refuse)
        with pytest.raises(FolderError):
            await world.services.retention.enforce()
    assert await has_pictures(world, job)
    await world.services.retention.enforce()

    assert world.store.files == {}


async def test_it_goes_round_at_the_start_and_every_hour_until_it_is_stopped(world: World) -> None:
    await keep(world, pictures=1)
    first = await world.delivered(1)
    world.clock.advance(2 * DAY)
    round_trip = asyncio.create_task(world.services.retention.run())

    await until(lambda: world.clock.pauses == [3600.0])
    assert not await has_pictures(world, first)
    second = await world.delivered(2)
    world.clock.advance(2 * DAY)
    await until(lambda: world.clock.pauses == [3600.0])
    assert not await has_pictures(world, second)

    world.services.retention.stop()
    await asyncio.wait_for(round_trip, 5)


async def test_a_round_that_fails_is_not_the_last(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = 0

    async def break_down(self: object) -> int:
        nonlocal rounds
        rounds += 1
        raise FolderError("The folder cannot be written.")

    monkeypatch.setattr(type(world.services.retention), "enforce", break_down)
    task = asyncio.create_task(world.services.retention.run())
    await until(lambda: world.clock.pauses == [3600.0])
    world.clock.advance(3600)
    await until(lambda: rounds == 2)

    world.services.retention.stop()
    await asyncio.wait_for(task, 5)


async def test_members_are_told_the_servers_own_times(world: World) -> None:
    await keep(world, pictures=7, words=30)

    assert await world.services.privacy.times(GUILD) == KeepingTimes(picture_days=7, word_days=30)
    assert await world.services.privacy.times(None) == FOR_GOOD
