"""Cancelling and deleting, and who may."""

from __future__ import annotations

import asyncio

import pytest

from bot.domain.delivery import DeliveryFault
from bot.domain.job import Actor, Job, JobStatus
from bot.errors import InvalidRequestError, NotAllowedError, NotFoundError, UserError
from bot.services.removal import CARD_STAYS
from tests.examples import (
    GUILD,
    MEMBER,
    MODERATOR,
    OTHER,
    reply,
    request,
)
from tests.services.world import World, fault, until

OWNER = Actor(user_id=MEMBER, guild_id=GUILD)
STRANGER = Actor(user_id=OTHER, guild_id=GUILD)
A_MODERATOR = Actor(user_id=MODERATOR, guild_id=GUILD, manages_messages=True)
UNKNOWN = "ffffffffffffffff"


@pytest.mark.parametrize("actor", [OWNER, A_MODERATOR])
async def test_a_waiting_job_is_cancelled_by_owner_or_moderator_and_its_card_says_so(world: World, actor: Actor) -> None:
    job = await world.submit()

    cancelled = await world.services.generation.cancel(job.id, actor)
    await world.services.delivery.deliver_due()

    assert cancelled.status is JobStatus.CANCELLED
    assert world.cards()[-1].job.status is JobStatus.CANCELLED
    assert not await world.is_open(job)


async def test_strangers_neither_cancel_nor_delete(world: World) -> None:
    waiting, shown = await world.submit(1), await world.submit(2)
    foreign = Actor(user_id=MODERATOR, guild_id=GUILD + 1, manages_messages=True)

    for actor, refusal in ((STRANGER, NotAllowedError), (foreign, NotFoundError)):
        with pytest.raises(refusal):
            await world.services.generation.cancel(waiting.id, actor)
        with pytest.raises(refusal):
            await world.services.generation.delete(shown.id, actor)

    assert await world.jobs.counts() == {"queued": 2}
    assert "delete" not in world.messenger.ways


async def test_what_has_ended_cannot_be_cancelled(world: World) -> None:
    job = await world.delivered()

    with pytest.raises(InvalidRequestError, match="already finished"):
        await world.services.generation.cancel(job.id, OWNER)

    assert await world.status(job) is JobStatus.DELIVERED


@pytest.mark.parametrize("actor", [OWNER, A_MODERATOR])
async def test_a_deleted_job_leaves_neither_card_nor_files(world: World, actor: Actor) -> None:
    job = await world.delivered(request=request(num_images=2))

    await world.services.generation.delete(job.id, actor)

    assert world.messenger.ways[-1] == "delete"
    assert world.store.files == {}
    assert (await world.job(job.id)).deleted_at is not None
    assert await world.jobs.images(job.id) == ()


async def test_deleting_a_waiting_job_cancels_it_and_its_card_never_comes_back(world: World) -> None:
    job = await world.submit()

    await world.services.generation.delete(job.id, OWNER)
    shown = len(world.messenger.calls)
    await world.services.delivery.deliver_due()

    assert await world.status(job) is JobStatus.CANCELLED
    assert world.messenger.ways[-1] == "delete"
    assert len(world.messenger.calls) == shown
    assert not await world.is_open(job)


async def test_deleting_a_running_job_stops_its_drawing(world: World) -> None:
    world.generator.gate.clear()
    world.start_worker()
    job = await world.submit()
    await until(lambda: len(world.generator.started) == 1)

    await world.services.generation.delete(job.id, OWNER)

    await until(lambda: len(world.generator.ended) == 1)
    assert world.store.files == {}
    assert await world.status(job) is JobStatus.CANCELLED


async def test_a_deletion_takes_away_the_card_that_a_delivery_just_posted(world: World) -> None:
    job = await world.drawn(reply=reply(message_id=None, token=None))
    world.messenger.slow = lambda call: call.way == "post"
    turn = asyncio.create_task(world.services.delivery.deliver_due())
    await until(lambda: world.messenger.ways == ["find_post", "post"])

    deleting = asyncio.create_task(world.services.generation.delete(job.id, OWNER))
    await until(lambda: _is_deleted(world, job))
    world.messenger.slow_gate.set()
    await deleting
    await turn

    assert world.messenger.ways == ["find_post", "post", "delete"]
    assert world.messenger.calls[-1].reply.message_id == 900


async def test_a_deletion_that_discord_refuses_says_so_and_can_be_repeated(world: World) -> None:
    job = await world.delivered()
    world.messenger.fail("delete", fault(DeliveryFault.FORBIDDEN))

    with pytest.raises(UserError, match="by hand") as refused:
        await world.services.generation.delete(job.id, OWNER)
    assert str(refused.value) == CARD_STAYS
    assert world.store.files == {}
    await world.services.generation.delete(job.id, OWNER)

    assert world.messenger.ways[-2:] == ["delete", "delete"]


async def _is_deleted(world: World, job: Job) -> bool:
    return (await world.job(job.id)).deleted_at is not None
