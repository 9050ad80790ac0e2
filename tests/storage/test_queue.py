from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.job import INTERRUPTED, MAX_ATTEMPTS, JobStatus
from bot.ports import Ahead, Recovery
from bot.storage.fair_turns import DRAWN, LINE, SERVED
from bot.storage.ledger import STANDING
from bot.storage.queue import (
    AHEAD,
    ANY_RUNS,
    BACKLOG,
    CLAIM,
    LINES,
    ORPHANS,
    SUSPECT,
    SUSPECT_RUNS,
    SUSPECTS,
    WITH_LORAS,
    WITHOUT_LORAS,
)
from tests.storage.samples import LEASE, NOW, REASON, Store, images

INSIDE = (
    "(subquery-2)",
    "(subquery-3)",
    "(subquery-4)",
    "drawn",
    "fair_queue",
    "CONSTANT ROW",
    "today",
    "here",
    "granted",
    "jobs_without_loras",  # holds what waits
    "json_each VIRTUAL TABLE INDEX 1:",  # the styles that are not here
)  # parts of a statement, small already

CLAIMABLE = {"batch": 8, "unfetched": "[]"}


async def test_jobs_are_claimed_in_the_order_they_came(store: Store) -> None:
    added = [(await store.add(number)).id for number in (3, 1, 2)]

    assert [(await store.claim()).id for _ in added] == added
    assert await store.jobs.claim(now=NOW, lease_until=NOW, batch=64) is None


async def test_a_claim_counts_the_attempt_and_starts_the_clock(store: Store) -> None:
    queued = await store.add()
    later = NOW + timedelta(seconds=3)

    claimed = await store.claim(later)

    expected = replace(queued, status=JobStatus.RUNNING, attempt=1, started_at=later, lease_until=later + LEASE)
    assert claimed == expected
    assert await store.get(queued.id) == expected


async def test_the_holder_extends_its_lease_and_a_stale_one_does_not(store: Store) -> None:
    job = await store.running()
    until = NOW + timedelta(minutes=5)

    assert await store.jobs.extend_lease(job.id, 1, lease_until=until)
    assert not await store.jobs.extend_lease(job.id, 2, lease_until=NOW)
    assert not await store.jobs.extend_lease("0" * 16, 1, lease_until=NOW)

    assert (await store.get(job.id)).lease_until == until


async def test_a_job_put_back_keeps_its_place(store: Store) -> None:
    first = await store.running(1)
    await store.add(2)

    assert await store.jobs.put_back(first.id, 1, aborted=False)

    waiting = await store.get(first.id)
    assert (waiting.status, waiting.started_at, waiting.lease_until) == (JobStatus.QUEUED, None, None)
    again = await store.claim()
    assert (again.id, again.attempt, again.aborts, again.tries) == (first.id, 2, 0, 2)


async def test_an_abort_does_not_count_as_a_try(store: Store) -> None:
    job = await store.running()

    assert await store.jobs.put_back(job.id, 1, aborted=True)

    again = await store.claim()
    assert (again.attempt, again.aborts, again.tries) == (2, 1, 1)


@pytest.mark.parametrize("operation", ["extend_lease", "finish", "fail", "put_back"])
async def test_a_stale_attempt_changes_nothing(store: Store, operation: str) -> None:
    stale = await store.running()
    await store.jobs.put_back(stale.id, stale.attempt, aborted=False)
    holder = await store.claim()
    calls = {
        "extend_lease": lambda: store.jobs.extend_lease(stale.id, stale.attempt, lease_until=NOW + timedelta(hours=1)),
        "finish": lambda: store.jobs.finish(stale.id, stale.attempt, images(stale), now=NOW),
        "fail": lambda: store.jobs.fail(stale.id, stale.attempt, REASON, now=NOW),
        "put_back": lambda: store.jobs.put_back(stale.id, stale.attempt, aborted=True),
    }

    assert await calls[operation]() is False

    assert await store.get(stale.id) == holder
    assert await store.jobs.images(stale.id) == ()


async def test_at_start_every_running_job_is_an_orphan(store: Store) -> None:
    running = [await store.running(1), await store.running(2)]
    queued = await store.add(3)

    recovery = await store.jobs.recover(now=NOW, expired_only=False)

    assert recovery == Recovery(requeued=tuple(job.id for job in running), failed=())
    assert {(await store.get(job.id)).status for job in (*running, queued)} == {JobStatus.QUEUED}


async def test_a_lease_of_before_the_clock_was_set_back_has_run_out(store: Store) -> None:
    job = await store.running(1)

    assert (await store.jobs.recover(now=NOW - timedelta(seconds=20), expired_only=True)).requeued == ()
    assert (await store.jobs.recover(now=NOW - timedelta(days=365), expired_only=True)).requeued == (job.id,)


async def test_later_only_expired_leases_count(store: Store) -> None:
    expired = await store.running(1)
    await store.add(2)
    held = await store.claim(NOW + timedelta(seconds=1))

    recovery = await store.jobs.recover(now=NOW + LEASE, expired_only=True)

    assert recovery == Recovery(requeued=(expired.id,), failed=())
    assert (await store.get(held.id)).status is JobStatus.RUNNING


async def test_a_job_that_was_interrupted_in_every_try_fails_with_a_sentence_and_a_refund(store: Store) -> None:
    job = await store.add()
    for _ in range(MAX_ATTEMPTS - 1):
        await store.claim()
        assert (await store.jobs.recover(now=NOW, expired_only=False)).requeued == (job.id,)
    await store.claim()

    recovery = await store.jobs.recover(now=NOW, expired_only=False)

    assert recovery == Recovery(requeued=(), failed=(job.id,))
    failed = await store.get(job.id)
    assert (failed.status, failed.failure, failed.finished_at) == (JobStatus.FAILED, INTERRUPTED, NOW)
    assert set(await store.postings(job.id)) == {"reserve", "refund"}
    assert [entry.job_id for entry in await store.outbox.due(now=NOW, limit=9)] == [job.id]


async def test_after_a_crash_each_job_that_ran_is_drawn_alone_until_it_has_ended(store: Store) -> None:
    ran = [await store.running(number, user_id=number) for number in (1, 2)]
    waits = await store.add(3, user_id=3)
    assert (await store.jobs.recover(now=NOW, expired_only=False)).requeued == tuple(job.id for job in ran)

    for job in ran:
        alone = await store.claim()
        assert (alone.id, alone.tries) == (job.id, 1)
        assert await store.jobs.claim(now=NOW, lease_until=NOW, batch=64) is None
        await store.jobs.finish(alone.id, alone.attempt, images(alone), now=NOW)
    assert (await store.claim()).id == waits.id


async def test_what_runs_is_drawn_to_its_end_before_a_suspect_begins(store: Store) -> None:
    runs = await store.running(1, user_id=1)
    suspect = await store.add(2, user_id=2)
    await store.database.transaction(lambda connection: connection.execute(SUSPECT, (suspect.id,)).rowcount)
    await store.add(3, user_id=3)

    assert await store.jobs.claim(now=NOW, lease_until=NOW, batch=64) is None
    await store.jobs.finish(runs.id, runs.attempt, images(runs), now=NOW)
    assert (await store.claim()).id == suspect.id


async def test_a_job_that_kills_the_process_fails_and_whoever_ran_beside_it_is_drawn(store: Store) -> None:
    poison = await store.add(1, user_id=1)
    bystanders = [await store.add(number, user_id=number) for number in (2, 3)]
    drawn: set[str] = set()
    for _ in range(3 * MAX_ATTEMPTS):  # lives of the process
        await store.jobs.recover(now=NOW, expired_only=False)
        while (job := await store.jobs.claim(now=NOW, lease_until=NOW + LEASE, batch=64)) is not None:
            running = await store.scalar("SELECT COUNT(*) FROM jobs WHERE status = 'running'")
            if job.id != poison.id and running == 1:
                await store.jobs.finish(job.id, job.attempt, images(job), now=NOW)
                drawn.add(job.id)

    assert (await store.get(poison.id)).status is JobStatus.FAILED
    assert drawn == {job.id for job in bystanders}


async def test_aborts_are_not_held_against_an_interrupted_job(store: Store) -> None:
    job = await store.add()
    for attempt in range(1, MAX_ATTEMPTS + 1):
        await store.claim()
        await store.jobs.put_back(job.id, attempt, aborted=True)
    await store.claim()

    assert (await store.jobs.recover(now=NOW, expired_only=False)).requeued == (job.id,)


async def test_what_is_ahead_of_a_job_ends_before_it(store: Store) -> None:
    await store.succeeded(1)
    first = await store.running(2)
    later = await store.running(3, num_images=2)
    await store.jobs.put_back(first.id, 1, aborted=False)
    third = await store.add(4)

    running = ((later.id, pytest.approx(later.request.work)),)
    both = pytest.approx(later.request.work + first.request.work)
    assert await store.jobs.ahead(first.id) == Ahead(jobs=0, work=0, behind=1)
    assert await store.jobs.ahead(third.id) == Ahead(jobs=2, work=both, running=running)
    assert await store.jobs.ahead(later.id) == Ahead(jobs=1, work=pytest.approx(first.request.work))
    assert await store.jobs.ahead((await store.succeeded(5)).id) is None


async def test_of_those_that_run_together_the_one_whose_turn_comes_first_ends_first(store: Store) -> None:
    first, second = await store.running(1, user_id=1), await store.running(2, user_id=2)

    ahead = await store.jobs.ahead(second.id)

    assert ahead == Ahead(
        jobs=1, work=pytest.approx(first.request.work), running=((first.id, pytest.approx(first.request.work)),)
    )
    assert await store.jobs.ahead(first.id) == Ahead(jobs=0, work=0, behind=1)


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        (CLAIM, {"now": 1, "lease_until": 2, "seq": 3}),
        (LINES["first"], CLAIMABLE),
        (LINES["more"], CLAIMABLE),
        (WITHOUT_LORAS["first"], CLAIMABLE),
        (WITHOUT_LORAS["more"], CLAIMABLE),
        (SUSPECTS, CLAIMABLE),
        (SUSPECT_RUNS, {}),
        (ANY_RUNS, {}),
        (WITH_LORAS, {}),
        (DRAWN, {"id": "x"}),
        (AHEAD, {"seq": 5, "finish_tag": 1.0}),
        (BACKLOG, {}),
        (LINE.replace("?", ":user_id"), {"user_id": 1}),
        (SERVED.replace("?", ":user_id"), {"user_id": 1}),
        (STANDING, {"user_id": 1, "guild_id": 2, "day": 3}),
        (ORPHANS, {"now": 1, "longest": 2, "expired_only": 1}),
    ],
)
async def test_the_queue_never_reads_through_all_finished_jobs(store: Store, sql: str, values: dict[str, object]) -> None:
    def plan(connection: sqlite3.Connection) -> list[str]:
        return [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql.removeprefix('--sql')}", values)]

    steps = await store.database.read(plan)

    assert steps
    assert not [step for step in steps if step.startswith("SCAN") and not step.endswith(INSIDE)]
