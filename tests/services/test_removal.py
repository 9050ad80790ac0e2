"""Cancelling and deleting, and who may."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.chat.cards import text as card_text
from bot.domain.delivery import DeliveryFault
from bot.domain.job import Actor, Job, JobStatus
from bot.domain.quota import Limits, Usage
from bot.errors import InvalidRequestError, NotAllowedError, NotFoundError, QuotaError, UserError
from bot.services.removal import CARD_STAYS
from bot.storage.ledger_audit import audit
from tests.examples import (
    CHANNEL,
    GUILD,
    MEMBER,
    MODERATOR,
    OTHER,
    reply,
    request,
)
from tests.services.harness import ServicesHarness, drawing, fault, until

OWNER = Actor(user_id=MEMBER, guild_id=GUILD)
STRANGER = Actor(user_id=OTHER, guild_id=GUILD)
A_MODERATOR = Actor(user_id=MODERATOR, guild_id=GUILD, manages_messages=True)
UNKNOWN = "ffffffffffffffff"


@pytest.mark.parametrize("actor", [OWNER, A_MODERATOR])
async def test_a_waiting_job_is_cancelled_by_owner_or_moderator_and_its_card_says_so(
    harness: ServicesHarness, actor: Actor
) -> None:
    job = await harness.submit()

    cancelled = await harness.services.generation.cancel(job.id, actor)
    await harness.services.delivery.deliver_due()

    assert cancelled.status is JobStatus.CANCELLED
    assert harness.cards()[-1].job.status is JobStatus.CANCELLED
    assert not await harness.is_open(job)


COSTLY = request(width=1024, height=1024, num_inference_steps=28, num_images=3)


@pytest.mark.parametrize(
    ("steps", "actor", "paid", "said"),
    [
        (3, OWNER, 0, "Cancelled · free"),
        (4, OWNER, 1, "Cancelled · 1 of 3 credits for what was drawn already"),
        (70, OWNER, 2, "Cancelled · 2 of 3 credits for what was drawn already"),
        (84, OWNER, 3, "Cancelled · 3 credits for what was drawn already"),
        (84, A_MODERATOR, 0, "Cancelled · free"),
    ],
)
@pytest.mark.parametrize("way", ["cancel", "delete"])
async def test_who_cancels_a_running_job_pays_for_the_steps_taken(
    harness: ServicesHarness, steps: int, actor: Actor, paid: int, said: str, way: str
) -> None:
    harness.limits = Limits(daily_credits=10)
    harness.generator.gate.clear()
    harness.generator.steps_at_gate = steps
    job = await harness.submit(request=COSTLY)
    harness.start_worker()
    await until(lambda: (taken := harness.services.worker.steps_taken(job.id)) is not None and taken.steps == steps)

    await getattr(harness.services.generation, way)(job.id, actor)
    await until(lambda: bool(harness.generator.ended))

    cancelled = await harness.job(job.id)
    assert (cancelled.status, cancelled.paid) == (JobStatus.CANCELLED, paid)
    assert (await harness.services.quotas.balance(job.origin)).usage == Usage(spent=paid, everywhere=paid)
    assert card_text.cancelled(cancelled) == f"-# {said}"
    assert await harness.database.read(audit) == ()


async def test_an_erasure_pays_for_the_steps_taken_as_any_cancel(harness: ServicesHarness) -> None:
    harness.generator.gate.clear()
    harness.generator.steps_at_gate = 70
    job = await harness.submit(request=COSTLY)
    harness.start_worker()
    await until(lambda: (taken := harness.services.worker.steps_taken(job.id)) is not None and taken.steps == 70)

    await harness.services.privacy.erase(MEMBER, OWNER)

    assert (await harness.job(job.id)).paid == 2


async def test_ever_so_many_drawings_stopped_at_the_last_step_use_the_allowance_up(harness: ServicesHarness) -> None:
    harness.limits = Limits(daily_credits=2)
    harness.generator.gate.clear()
    harness.generator.steps_at_gate = 3
    harness.start_worker()
    for number in (1, 2):
        job = await harness.submit(number)
        await drawing(harness, number)
        await harness.services.generation.cancel(job.id, OWNER)
        await until(lambda: len(harness.generator.ended) == number)  # noqa: B023  # waited for in this turn of the loop

    with pytest.raises(QuotaError, match=r"0 left today\. You'll have 2 again"):
        await harness.submit(3)


async def test_strangers_neither_cancel_nor_delete(harness: ServicesHarness) -> None:
    waiting, shown = await harness.submit(1), await harness.submit(2)
    foreign = Actor(user_id=MODERATOR, guild_id=GUILD + 1, manages_messages=True)

    for actor, refusal in ((STRANGER, NotAllowedError), (foreign, NotFoundError)):
        with pytest.raises(refusal):
            await harness.services.generation.cancel(waiting.id, actor)
        with pytest.raises(refusal):
            await harness.services.generation.delete(shown.id, actor)

    assert await harness.jobs.counts() == {"queued": 2}
    assert "delete" not in harness.messenger.ways


@pytest.mark.parametrize(
    "actor",
    [
        STRANGER,
        replace(STRANGER, guild_id=GUILD + 1),
        replace(STRANGER, guild_id=None),
        replace(A_MODERATOR, guild_id=GUILD + 1),
        replace(A_MODERATOR, only_in=CHANNEL + 1),
    ],
    ids=["member", "member of elsewhere", "in direct messages", "moderator of elsewhere", "moderator of another channel"],
)
@pytest.mark.parametrize("way", ["cancel", "delete"])
async def test_who_has_no_right_is_told_the_same_of_a_job_that_is_and_of_one_that_is_not(
    harness: ServicesHarness, actor: Actor, way: str
) -> None:
    shown, waiting = await harness.delivered(1), await harness.submit(2)
    said: set[tuple[type[UserError], str]] = set()
    for job_id in (waiting.id, shown.id, UNKNOWN):
        with pytest.raises(UserError) as refusal:
            await getattr(harness.services.generation, way)(job_id, actor)
        said.add((type(refusal.value), str(refusal.value)))

    assert len(said) == 1


async def test_what_has_ended_cannot_be_cancelled(harness: ServicesHarness) -> None:
    job = await harness.delivered()

    with pytest.raises(InvalidRequestError, match="already finished"):
        await harness.services.generation.cancel(job.id, OWNER)

    assert await harness.status(job) is JobStatus.DELIVERED


@pytest.mark.parametrize("actor", [OWNER, A_MODERATOR])
async def test_a_deleted_job_leaves_neither_card_nor_files(harness: ServicesHarness, actor: Actor) -> None:
    job = await harness.delivered(request=request(num_images=2))

    await harness.services.generation.delete(job.id, actor)

    assert harness.messenger.ways[-1] == "delete"
    assert harness.store.files == {}
    assert (await harness.job(job.id)).deleted_at is not None
    assert await harness.jobs.images(job.id) == ()


async def test_deleting_a_waiting_job_cancels_it_and_its_card_never_comes_back(harness: ServicesHarness) -> None:
    job = await harness.submit()

    await harness.services.generation.delete(job.id, OWNER)
    shown = len(harness.messenger.calls)
    await harness.services.delivery.deliver_due()

    assert await harness.status(job) is JobStatus.CANCELLED
    assert harness.messenger.ways[-1] == "delete"
    assert len(harness.messenger.calls) == shown
    assert not await harness.is_open(job)


async def test_deleting_a_running_job_stops_its_drawing(harness: ServicesHarness) -> None:
    harness.generator.gate.clear()
    harness.start_worker()
    job = await harness.submit()
    await until(lambda: len(harness.generator.started) == 1)

    await harness.services.generation.delete(job.id, OWNER)

    await until(lambda: len(harness.generator.ended) == 1)
    assert harness.store.files == {}
    assert await harness.status(job) is JobStatus.CANCELLED


async def test_a_deletion_takes_away_the_card_that_a_delivery_just_posted(harness: ServicesHarness) -> None:
    job = await harness.drawn(reply=reply(message_id=None, token=None))
    harness.messenger.slow = lambda call: call.way == "post"
    turn = asyncio.create_task(harness.services.delivery.deliver_due())
    await until(lambda: harness.messenger.ways == ["find_post", "post"])

    deleting = asyncio.create_task(harness.services.generation.delete(job.id, OWNER))
    await until(lambda: _is_deleted(harness, job))
    harness.messenger.slow_gate.set()
    await deleting
    await turn

    assert harness.messenger.ways == ["find_post", "post", "delete"]
    assert harness.messenger.calls[-1].reply.message_id == 900


async def test_a_deletion_that_discord_refuses_says_so_and_can_be_repeated(harness: ServicesHarness) -> None:
    job = await harness.delivered()
    harness.messenger.fail("delete", fault(DeliveryFault.FORBIDDEN))

    with pytest.raises(UserError, match="delete it yourself") as refused:
        await harness.services.generation.delete(job.id, OWNER)
    assert str(refused.value) == CARD_STAYS
    assert harness.store.files == {}
    await harness.services.generation.delete(job.id, OWNER)

    assert harness.messenger.ways[-2:] == ["delete", "delete"]


async def _is_deleted(harness: ServicesHarness, job: Job) -> bool:
    return (await harness.job(job.id)).deleted_at is not None
