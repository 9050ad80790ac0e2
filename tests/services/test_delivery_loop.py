"""The outbox loop: several cards at once, errors of our own, rests and stops."""

from __future__ import annotations

import asyncio

import pytest

from bot.domain.delivery import DeliveryFault
from bot.domain.job import JobStatus
from bot.services.delivery import CONCURRENCY
from tests.examples import reply, request
from tests.services.world import World, fault, until

FAR_IN_TIME = 20 * 60.0  # seconds; no token lives that long


async def test_a_job_that_was_deleted_meanwhile_is_closed_quietly(world: World) -> None:
    job = await world.drawn()
    await world.jobs.mark_deleted(job.id, by=900, now=world.clock.now())

    await world.services.delivery.deliver_due()

    assert world.messenger.calls == []
    assert not await world.is_open(job)


async def test_one_bad_card_does_not_hold_up_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = await world.drawn(1), await world.drawn(2, request=request(num_images=2))
    fit = world.codec.fit

    async def broken(file, max_bytes):
        if bad.id in file.name:
            raise ZeroDivisionError
        return await fit(file, max_bytes)

    monkeypatch.setattr(world.codec, "fit", broken)

    await world.services.delivery.deliver_due()

    assert await world.status(good) is JobStatus.DELIVERED
    assert await world.status(bad) is JobStatus.SUCCEEDED
    assert await world.is_open(bad)
    assert world.metrics.registry.get_sample_value("pastel_errors_total") == 1


async def test_a_shown_card_whose_record_failed_is_edited_again_and_not_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await world.drawn()
    delivered = type(world.outbox).delivered
    failures = iter([OSError("disk full")] * 5)

    async def failing(self, *args, **kwargs):
        if (error := next(failures, None)) is not None:
            raise error
        await delivered(self, *args, **kwargs)

    monkeypatch.setattr(type(world.outbox), "delivered", failing)
    for _ in range(6):
        await world.services.delivery.deliver_due()
        world.clock.advance(70)

    assert set(world.messenger.ways) == {"edit_by_token"}
    assert await world.status(job) is JobStatus.DELIVERED


async def test_several_cards_are_under_way_at_once_but_not_more_than_the_limit(world: World) -> None:
    jobs = [await world.drawn(n) for n in range(1, CONCURRENCY + 3)]
    world.messenger.gate.clear()
    world.start_delivery()

    await until(lambda: len(world.messenger.calls) == CONCURRENCY)
    assert await world.services.delivery.deliver_due() == 0
    assert len(world.messenger.calls) == CONCURRENCY
    world.messenger.gate.set()

    for job in jobs:
        await world.wait_for(JobStatus.DELIVERED, job)
    assert len({call.card.job.id for call in world.messenger.calls if call.card}) == len(world.messenger.calls)


async def test_the_loop_shows_a_card_that_is_added_while_it_rests(world: World) -> None:
    world.start_delivery()
    await until(lambda: world.clock.sleeping > 0)
    job = await world.drawn()

    world.services.delivery.wake()

    await world.wait_for(JobStatus.DELIVERED, job)


async def test_the_loop_tries_again_when_the_time_has_come(world: World) -> None:
    job = await world.drawn(reply=reply(token=None))
    world.messenger.fail("edit_by_id", fault(DeliveryFault.UNAVAILABLE))
    world.start_delivery()
    await until(lambda: len(world.messenger.calls) == 1)

    async def shown() -> bool:
        world.clock.advance(0.5)
        return await world.status(job) is JobStatus.DELIVERED

    await until(shown)


async def test_a_stop_lets_cards_under_way_end_and_starts_no_more(world: World) -> None:
    job = await world.drawn(1)
    world.messenger.gate.clear()
    running = world.start_delivery()
    await until(lambda: len(world.messenger.calls) == 1)

    stopping = asyncio.create_task(world.services.delivery.stop())
    late = await world.drawn(2)
    world.services.delivery.wake()
    world.messenger.gate.set()
    await stopping
    await running
    await world.services.delivery.stop()

    assert await world.status(job) is JobStatus.DELIVERED
    assert await world.status(late) is JobStatus.SUCCEEDED


async def test_a_stop_before_the_start_is_not_lost(world: World) -> None:
    await world.drawn()
    await world.services.delivery.stop()

    await world.services.delivery.run()

    assert world.messenger.calls == []


async def test_deliveries_are_counted_by_way_and_result(world: World) -> None:
    await world.drawn()
    world.messenger.fail("edit_by_token", fault(DeliveryFault.TOKEN_DEAD))

    await world.services.delivery.deliver_due()

    sample = world.metrics.registry.get_sample_value
    assert sample("pastel_deliveries_total", {"way": "token", "result": "token_dead"}) == 1
    assert sample("pastel_deliveries_total", {"way": "id", "result": "ok"}) == 1


async def test_a_request_without_an_answer_is_an_outage(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.services.courier.CALL_TIMEOUT", 0.01)
    job = await world.drawn()
    world.messenger.gate.clear()

    await world.services.delivery.deliver_due()
    world.messenger.gate.set()
    world.clock.advance(2)
    await world.services.delivery.deliver_due()

    assert world.messenger.ways == ["edit_by_token", "edit_by_token"]
    assert await world.status(job) is JobStatus.DELIVERED
