"""Random schedules of faults and crashes: every job ends, and shows its end at most once."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.domain.job import Actor, Job, JobStatus, ReplyTarget
from bot.errors import GenerationError
from tests.examples import CHANNEL, MEMBER
from tests.services.fake_discord import Event, FakeDiscord
from tests.services.harness import ServicesHarness, open_world, until

ENDS = {JobStatus.DELIVERED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.UNDELIVERABLE}
# Lost answers and dead processes are what doubles a message, so they come up most.
EVENTS = st.one_of(
    st.sampled_from([Event.RESET_BEFORE, Event.RESET_AFTER, Event.CRASH_BEFORE, Event.CRASH_AFTER, Event.MESSAGE_DELETED]),
    st.sampled_from(list(Event)),
)


@dataclass(frozen=True)
class Plan:
    """One job's fate before its delivery; a message that is not known can be reached by token only."""

    fails: bool
    cancelled: bool
    message_known: bool


PLANS = st.lists(
    st.builds(Plan, fails=st.booleans(), cancelled=st.booleans(), message_known=st.booleans()), min_size=1, max_size=3
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    plans=PLANS,
    early=st.lists(EVENTS, max_size=6),
    events=st.lists(EVENTS, max_size=14),
    wait=st.sampled_from([0.0, 20 * 60.0]),
    steps=st.lists(st.sampled_from([0.5, 5.0, 70.0, 130.0]), min_size=1, max_size=6),
)
def test_every_job_ends_and_shows_its_end_at_most_once(
    plans: list[Plan], early: list[Event], events: list[Event], wait: float, steps: list[float]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_live_through(Path(folder), plans, early, events, wait, steps))


async def _live_through(
    folder: Path, plans: list[Plan], early: list[Event], events: list[Event], wait: float, steps: list[float]
) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)  # crashed tasks are meant to be so
    async with open_world(folder) as harness:
        discord = FakeDiscord(harness.clock, early)
        harness.build(messenger=discord)
        jobs = [await _ended(harness, discord, number, plan) for number, plan in enumerate(plans, start=1)]
        await harness.services.live.stop()
        harness.clock.advance(wait)
        discord.events.clear()
        discord.events.extend(events)

        await _deliver(harness, discord, jobs, steps)

        for job in jobs:
            await _check_end(harness, discord, job)


async def _ended(harness: ServicesHarness, discord: FakeDiscord, number: int, plan: Plan) -> Job:
    """A job that has been drawn, failed or cancelled, and not been shown."""
    now, token = harness.clock.now(), f"token-{number}"
    channel_id = CHANNEL + number
    message_id = discord.open_interaction(token, channel_id)
    reply = ReplyTarget(
        channel_id=channel_id,
        message_id=message_id if plan.message_known else None,
        token=token,
        token_expires_at=now + timedelta(minutes=14),
    )
    harness.generator.outcomes.clear()
    if plan.fails:
        harness.generator.outcomes.append(GenerationError("No luck.", retryable=False))
    if plan.cancelled:
        job = await harness.submit(number, reply=reply)
        await harness.services.generation.cancel(job.id, Actor(user_id=MEMBER))
        return job
    worker = harness.start_worker()
    job = await harness.submit(number, reply=reply)

    async def ended() -> bool:
        return not (await harness.status(job)).is_waiting

    await until(ended)
    await harness.services.worker.stop(10)
    await worker
    harness.build(messenger=discord)
    return job


async def _deliver(harness: ServicesHarness, discord: FakeDiscord, jobs: list[Job], steps: list[float]) -> None:
    """Take turns until nothing is left to show; after a crash the services start afresh."""
    for turn in range(200):
        crashes = discord.crashes
        tried = await harness.services.delivery.deliver_due()
        if discord.crashes > crashes:
            harness.build(messenger=discord)
        for job in jobs:
            assert len(discord.ends(job.id)) <= 1
        if not any([await harness.is_open(job) for job in jobs]):
            return
        due = None if tried else await harness.repositories.outbox.next_due()
        pause = 0 if due is None else (due - harness.clock.now()).total_seconds()
        harness.clock.advance(max(pause, steps[turn % len(steps)]))
    raise AssertionError("delivery did not come to an end")


async def _check_end(harness: ServicesHarness, discord: FakeDiscord, job: Job) -> None:
    status = await harness.status(job)
    assert status in ENDS
    shown = [message.status for message in discord.ends(job.id)]
    expected = JobStatus.SUCCEEDED if status in {JobStatus.DELIVERED, JobStatus.UNDELIVERABLE} else status
    if await _outcome(harness, job) == "delivered":
        assert shown == [expected]
    else:  # given up: the last answers were lost or refusals, so it may be there or not
        assert shown in ([expected], [])


async def _outcome(harness: ServicesHarness, job: Job) -> str:
    query = "SELECT outcome FROM outbox WHERE job_id = ?"
    return await harness.database.read(lambda connection: connection.execute(query, (job.id,)).fetchone()["outcome"])
