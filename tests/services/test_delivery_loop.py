"""The outbox loop: several cards at once, errors of our own, rests and stops."""

from __future__ import annotations

import asyncio

import pytest

from bot.domain.delivery import DeliveryFault
from bot.domain.job import JobStatus
from bot.services.delivery import CONCURRENCY
from tests.examples import reply, request
from tests.services.harness import ServicesHarness, fault, until

FAR_IN_TIME = 20 * 60.0  # seconds; no token lives that long


async def test_a_job_that_was_deleted_meanwhile_is_closed_quietly(harness: ServicesHarness) -> None:
    job = await harness.drawn()
    await harness.jobs.mark_deleted(job.id, by=900, now=harness.clock.now())

    await harness.services.delivery.deliver_due()

    assert harness.messenger.calls == []
    assert not await harness.is_open(job)


async def test_one_bad_card_does_not_hold_up_the_others(harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = await harness.drawn(1), await harness.drawn(2, request=request(num_images=2))
    fit = harness.codec.fit

    async def broken(file, max_bytes):
        if bad.id in file.name:
            raise ZeroDivisionError
        return await fit(file, max_bytes)

    monkeypatch.setattr(harness.codec, "fit", broken)

    await harness.services.delivery.deliver_due()

    assert await harness.status(good) is JobStatus.DELIVERED
    assert await harness.status(bad) is JobStatus.SUCCEEDED
    assert await harness.is_open(bad)
    assert harness.metrics.registry.get_sample_value("pastel_errors_total") == 1


async def test_a_shown_card_whose_record_failed_is_edited_again_and_not_given_up(
    harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await harness.drawn()
    delivered = type(harness.repositories.outbox).delivered
    failures = iter([OSError("disk full")] * 5)

    async def failing(self, *args, **kwargs):
        if (error := next(failures, None)) is not None:
            raise error
        await delivered(self, *args, **kwargs)

    monkeypatch.setattr(type(harness.repositories.outbox), "delivered", failing)
    for _ in range(6):
        await harness.services.delivery.deliver_due()
        harness.clock.advance(70)

    assert set(harness.messenger.ways) == {"edit_by_token"}
    assert await harness.status(job) is JobStatus.DELIVERED


async def test_several_cards_are_under_way_at_once_but_not_more_than_the_limit(harness: ServicesHarness) -> None:
    jobs = [await harness.drawn(n) for n in range(1, CONCURRENCY + 3)]
    harness.messenger.gate.clear()
    harness.start_delivery()

    await until(lambda: len(harness.messenger.calls) == CONCURRENCY)
    assert await harness.services.delivery.deliver_due() == 0
    assert len(harness.messenger.calls) == CONCURRENCY
    harness.messenger.gate.set()

    for job in jobs:
        await harness.wait_for(JobStatus.DELIVERED, job)
    assert len({call.card.job.id for call in harness.messenger.calls if call.card}) == len(harness.messenger.calls)


async def test_the_loop_shows_a_card_that_is_added_while_it_rests(harness: ServicesHarness) -> None:
    harness.start_delivery()
    await until(lambda: harness.clock.sleeping > 0)
    job = await harness.drawn()

    harness.services.delivery.wake()

    await harness.wait_for(JobStatus.DELIVERED, job)


async def test_the_loop_tries_again_when_the_time_has_come(harness: ServicesHarness) -> None:
    job = await harness.drawn(reply=reply(token=None))
    harness.messenger.fail("edit_by_id", fault(DeliveryFault.UNAVAILABLE))
    harness.start_delivery()
    await until(lambda: len(harness.messenger.calls) == 1)

    async def shown() -> bool:
        harness.clock.advance(0.5)
        return await harness.status(job) is JobStatus.DELIVERED

    await until(shown)


async def test_a_stop_lets_cards_under_way_end_and_starts_no_more(harness: ServicesHarness) -> None:
    job = await harness.drawn(1)
    harness.messenger.gate.clear()
    running = harness.start_delivery()
    await until(lambda: len(harness.messenger.calls) == 1)

    stopping = asyncio.create_task(harness.services.delivery.stop())
    late = await harness.drawn(2)
    harness.services.delivery.wake()
    harness.messenger.gate.set()
    await stopping
    await running
    await harness.services.delivery.stop()

    assert await harness.status(job) is JobStatus.DELIVERED
    assert await harness.status(late) is JobStatus.SUCCEEDED


async def test_a_stop_before_the_start_is_not_lost(harness: ServicesHarness) -> None:
    await harness.drawn()
    await harness.services.delivery.stop()

    await harness.services.delivery.run()

    assert harness.messenger.calls == []


async def test_deliveries_are_counted_by_way_and_result(harness: ServicesHarness) -> None:
    await harness.drawn()
    harness.messenger.fail("edit_by_token", fault(DeliveryFault.TOKEN_DEAD))

    await harness.services.delivery.deliver_due()

    sample = harness.metrics.registry.get_sample_value
    assert sample("pastel_deliveries_total", {"way": "token", "result": "token_dead"}) == 1
    assert sample("pastel_deliveries_total", {"way": "id", "result": "ok"}) == 1


async def test_a_request_without_an_answer_is_an_outage(harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.services.card_sender.CALL_TIMEOUT", 0.01)
    job = await harness.drawn()
    harness.messenger.gate.clear()

    await harness.services.delivery.deliver_due()
    harness.messenger.gate.set()
    harness.clock.advance(2)
    await harness.services.delivery.deliver_due()

    assert harness.messenger.ways == ["edit_by_token", "edit_by_token"]
    assert await harness.status(job) is JobStatus.DELIVERED
