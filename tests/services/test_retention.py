"""What a server no longer wants to keep, over time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from bot.domain.guild_settings.settings import GuildSettings
from bot.domain.job import Job, VariationStrength
from bot.domain.operator_rules import OperatorRules
from bot.domain.privacy import FOR_GOOD, REMOVED, KeepingTimes
from bot.domain.request import InitImage
from bot.errors import FolderError, NotFoundError
from tests.examples import GUILD, MEMBER, origin, request
from tests.services.harness import ServicesHarness, until

DAY = timedelta(days=1).total_seconds()


async def keep(
    harness: ServicesHarness, *, pictures: int | None = None, words: int | None = None, guild_id: int = GUILD
) -> None:
    settings = GuildSettings(picture_days=pictures, prompt_days=words)
    await harness.repositories.guild_settings.change(guild_id, lambda _: settings, by=1, now=harness.clock.now())


async def has_pictures(harness: ServicesHarness, job: Job) -> bool:
    return bool(await harness.jobs.images(job.id))


async def test_pictures_go_after_their_days_and_not_before(harness: ServicesHarness) -> None:
    await keep(harness, pictures=7)
    job = await harness.delivered()

    harness.clock.advance(7 * DAY - 5)
    assert await harness.services.retention.enforce() == 0
    assert await has_pictures(harness, job)
    harness.clock.advance(10)
    assert await harness.services.retention.enforce() == 1

    assert not await has_pictures(harness, job)
    assert harness.store.files == {}
    assert (await harness.job(job.id)).request == job.request
    assert harness.messenger.ways[-1] != "delete"  # the card in Discord stays as it is
    assert await harness.services.retention.enforce() == 0


async def test_pictures_that_went_can_be_drawn_again_but_not_varied(harness: ServicesHarness) -> None:
    await keep(harness, pictures=7)
    job = await harness.delivered()
    harness.clock.advance(8 * DAY)
    await harness.services.retention.enforce()

    with pytest.raises(NotFoundError, match="no longer have these pictures, so there's nothing to start from"):
        await harness.services.generation.propose_variation(job.id, 0, VariationStrength.SUBTLE, origin())
    await harness.services.generation.propose_reroll(job.id, origin())


async def test_words_take_their_pictures_along(harness: ServicesHarness) -> None:
    await keep(harness, words=3)
    job = await harness.delivered(request=request(init_image=InitImage(key=await harness.upload(b"x"), strength=0.5)))

    harness.clock.advance(3 * DAY + 5)
    await harness.services.retention.enforce()

    assert (await harness.job(job.id)).request == REMOVED
    assert harness.store.files == {}


async def test_without_a_wish_of_the_server_everything_is_kept(harness: ServicesHarness) -> None:
    await keep(harness, pictures=1, words=1, guild_id=GUILD + 1)
    here, in_private = await harness.delivered(1), await harness.delivered(2, origin=origin(2, MEMBER, None))

    harness.clock.advance(4000 * DAY)
    await harness.services.retention.enforce()

    for job in (here, in_private):
        assert await has_pictures(harness, job)


async def test_the_hosts_times_hold_in_every_server_and_in_direct_messages(harness: ServicesHarness) -> None:
    harness.host = OperatorRules(keeping=KeepingTimes(picture_days=10, word_days=20))
    harness.build()
    await keep(harness, pictures=30, words=30)
    await keep(harness, pictures=5, guild_id=GUILD + 1)
    jobs = [
        await harness.delivered(n, origin=origin(n, MEMBER, guild))
        for n, guild in enumerate((GUILD, GUILD + 1, GUILD + 2, None), 1)
    ]

    harness.clock.advance(9 * DAY)
    await harness.services.retention.enforce()
    assert [await has_pictures(harness, job) for job in jobs] == [True, False, True, True]
    harness.clock.advance(2 * DAY)
    await harness.services.retention.enforce()
    assert [await has_pictures(harness, job) for job in jobs] == [False] * 4
    assert {(await harness.job(job.id)).request.prompt for job in jobs} == {jobs[0].request.prompt}
    harness.clock.advance(10 * DAY)
    await harness.services.retention.enforce()
    assert {(await harness.job(job.id)).request.prompt for job in jobs} == {REMOVED.prompt}


async def test_members_are_told_the_shorter_of_the_servers_and_the_hosts_times(harness: ServicesHarness) -> None:
    harness.host = OperatorRules(keeping=KeepingTimes(picture_days=10, word_days=20))
    harness.build()
    await keep(harness, pictures=30, words=7)

    assert await harness.services.privacy.times(GUILD) == KeepingTimes(picture_days=7, word_days=7)
    assert await harness.services.privacy.times(None) == KeepingTimes(picture_days=10, word_days=20)


async def test_a_picture_that_was_never_shown_is_kept_until_it_is(harness: ServicesHarness) -> None:
    await keep(harness, pictures=1, words=1)
    job = await harness.drawn()

    harness.clock.advance(2 * DAY)
    await harness.services.retention.enforce()
    assert await has_pictures(harness, job)
    await harness.services.delivery.deliver_due()
    await harness.services.retention.enforce()

    assert not await has_pictures(harness, job)


async def test_files_that_cannot_be_deleted_are_tried_again(harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    await keep(harness, pictures=1)
    job = await harness.delivered()
    harness.clock.advance(2 * DAY)

    async def refuse(keys: Sequence[str]) -> None:
        raise FolderError("The folder cannot be written.")

    with monkeypatch.context() as broken:
        broken.setattr(harness.store, "delete", refuse)
        with pytest.raises(FolderError):
            await harness.services.retention.enforce()
    assert await has_pictures(harness, job)
    await harness.services.retention.enforce()

    assert harness.store.files == {}


async def test_it_goes_round_at_the_start_and_every_hour_until_it_is_stopped(harness: ServicesHarness) -> None:
    await keep(harness, pictures=1)
    first = await harness.delivered(1)
    harness.clock.advance(2 * DAY)
    round_trip = asyncio.create_task(harness.services.retention.run())

    await until(lambda: harness.clock.pauses == [3600.0])
    assert not await has_pictures(harness, first)
    second = await harness.delivered(2)
    harness.clock.advance(2 * DAY)
    await until(lambda: harness.clock.pauses == [3600.0])
    assert not await has_pictures(harness, second)

    harness.services.retention.stop()
    await asyncio.wait_for(round_trip, 5)


async def test_a_round_that_fails_is_not_the_last(harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = 0

    async def break_down(self: object) -> int:
        nonlocal rounds
        rounds += 1
        raise FolderError("The folder cannot be written.")

    monkeypatch.setattr(type(harness.services.retention), "enforce", break_down)
    task = asyncio.create_task(harness.services.retention.run())
    await until(lambda: harness.clock.pauses == [3600.0])
    harness.clock.advance(3600)
    await until(lambda: rounds == 2)

    harness.services.retention.stop()
    await asyncio.wait_for(task, 5)


async def test_members_are_told_the_servers_own_times(harness: ServicesHarness) -> None:
    await keep(harness, pictures=7, words=30)

    assert await harness.services.privacy.times(GUILD) == KeepingTimes(picture_days=7, word_days=30)
    assert await harness.services.privacy.times(None) == FOR_GOOD
