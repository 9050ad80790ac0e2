"""Purses on real SQLite: what is checked, where credits come from, and where they go back to."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from bot.domain.delivery import DeliveryFault
from bot.domain.job import Job, id_made_at
from bot.domain.quota import UNLIMITED, Limits, StepsTaken, Usage, day_of
from bot.errors import DatabaseError, QuotaError
from bot.storage import ledger
from bot.storage.database import Database
from bot.storage.ledger_audit import audit
from tests.storage.samples import NOW, REASON, Store, images, new_job

EVENING = NOW.replace(hour=23, minute=59, second=59)
MORNING = EVENING + timedelta(seconds=2)
THREE = Limits(daily_credits=3)
Post = Callable[..., None]


async def usage(store: Store, *, now: datetime = NOW, user_id: int = 100, guild_id: int | None = 200) -> Usage:
    return await store.repositories.credits.usage(user_id, guild_id, now=now)


async def refused(store: Store, interaction_id: int, limits: Limits, *, now: datetime = NOW, **values: object) -> str:
    """The sentence of the refusal."""
    with pytest.raises(QuotaError) as error:
        await store.add(interaction_id, limits=limits, now=now, **values)
    return str(error.value)


async def finish(store: Store, job: Job, now: datetime = NOW) -> None:
    claimed = await store.claim(now)
    assert claimed.id == job.id
    assert await store.jobs.finish(job.id, claimed.attempt, images(job), now=now)


async def purses(store: Store, job: Job) -> list[tuple[str, str, int, int, int]]:
    """The job's postings: kind, purse, day, reserved, spent."""
    sql = "SELECT kind, purse, day, reserved, spent FROM ledger WHERE job_id = ? ORDER BY id"
    rows = await store.database.read(lambda connection: connection.execute(sql, (job.id,)).fetchall())
    return [tuple(row) for row in rows]


async def test_an_allowance_is_used_up_to_its_last_credit_and_no_further(store: Store) -> None:
    await store.add(1, limits=THREE, num_images=2)
    await store.add(2, limits=THREE)

    sentence = await refused(store, 3, THREE)

    assert "costs 1 credit and you have 0 left today. You'll have 3 again" in sentence
    assert await usage(store) == Usage(reserved=3, everywhere=3, waiting=2)
    assert await store.scalar("SELECT COUNT(*) FROM jobs") == 2


async def test_a_refusal_leaves_nothing_behind(store: Store) -> None:
    await refused(store, 1, Limits(daily_credits=0))

    for table in ("jobs", "ledger", "users", "guilds"):
        assert await store.scalar(f"SELECT COUNT(*) FROM {table}") == 0


async def test_a_known_interaction_gives_its_job_and_is_not_checked_again(store: Store) -> None:
    job = await store.add(1, limits=Limits(daily_credits=1))

    again = await store.jobs.add(new_job(1), limits=Limits(daily_credits=0, waiting_jobs=0), now=NOW)

    assert (again.created, again.job.id) == (False, job.id)
    assert await usage(store) == Usage(reserved=1, everywhere=1, waiting=1)


async def test_what_is_charged_stays_used_and_what_is_refunded_can_be_used_again(store: Store) -> None:
    kept, failed, cancelled = [await store.add(number, limits=THREE) for number in (1, 2, 3)]
    await finish(store, kept)
    await store.claim()
    await store.jobs.fail(failed.id, 1, REASON, now=NOW)
    await store.jobs.cancel(cancelled.id, now=NOW)

    assert await usage(store) == Usage(spent=1, everywhere=1)
    await store.add(4, limits=THREE, num_images=2)
    await refused(store, 5, THREE)


async def test_pictures_that_cannot_be_shown_are_paid_back_once(store: Store) -> None:
    job = await store.add(1, limits=THREE, num_images=2)
    await finish(store, job)

    for _ in range(2):
        await store.outbox.give_up(job.id, DeliveryFault.CHANNEL_GONE, now=NOW)

    assert await usage(store) == Usage()
    assert [posting[0] for posting in await purses(store, job)] == ["reserve", "charge", "refund"]


@pytest.mark.parametrize("post", [ledger.charge, ledger.refund])
async def test_nothing_is_charged_or_refunded_that_was_not_reserved(store: Store, post: Post) -> None:
    with pytest.raises(sqlite3.IntegrityError, match=r"has no reservation to (charge|refund)"):
        await store.database.transaction(lambda connection: post(connection, "0" * 16, now=NOW))


async def test_every_server_and_the_direct_messages_have_an_allowance_of_their_own(store: Store) -> None:
    for number, guild_id in enumerate((200, 201, None), start=1):
        await store.add(number, limits=Limits(daily_credits=1), guild_id=guild_id)
        await refused(store, 10 + number, Limits(daily_credits=1), guild_id=guild_id)
    await store.add(20, limits=Limits(daily_credits=1), user_id=101)

    assert await usage(store, guild_id=None) == Usage(reserved=1, everywhere=3, waiting=1)
    assert await usage(store, user_id=101) == Usage(reserved=1, everywhere=1, waiting=1)


async def test_the_allowance_is_full_again_at_midnight_utc(store: Store) -> None:
    await store.add(1, limits=THREE, now=EVENING, num_images=3)
    assert f"<t:{int(NOW.replace(hour=0, minute=0, second=0).timestamp()) + 86_400}:R>" in await refused(
        store, 2, THREE, now=EVENING
    )

    assert await usage(store, now=MORNING) == Usage(waiting=1)
    await store.add(2, limits=THREE, now=MORNING, num_images=3)


@pytest.mark.parametrize("wrong", [timedelta(days=1), timedelta(days=-1), timedelta(days=3000), timedelta(days=-3000)])
async def test_a_clock_that_is_stepped_renews_no_credits(store: Store, wrong: timedelta) -> None:
    """The day is Discord's, as it stands in each interaction's id."""
    first, second = id_made_at(NOW), id_made_at(NOW + timedelta(seconds=1))
    await store.add(first, limits=THREE, num_images=3)

    sentence = await refused(store, second, THREE, now=NOW + wrong)

    assert f"again <t:{int(NOW.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()) + 86400}:R>" in sentence
    await store.add(id_made_at(NOW + timedelta(days=1)), limits=THREE, num_images=3, now=NOW + wrong)


async def test_what_was_asked_for_before_midnight_by_discords_clock_counts_for_that_day(store: Store) -> None:
    await store.add(id_made_at(EVENING), limits=THREE, now=MORNING, num_images=3)

    assert await usage(store, now=MORNING) == Usage(waiting=1)


@pytest.mark.parametrize("ending", ["cancel", "fail", "give up"])
async def test_a_refund_after_midnight_goes_back_to_the_day_it_came_from(store: Store, ending: str) -> None:
    job = await store.add(1, limits=THREE, now=EVENING, num_images=2)
    if ending == "cancel":
        await store.jobs.cancel(job.id, now=MORNING)
    elif ending == "fail":
        claimed = await store.claim(MORNING)
        await store.jobs.fail(job.id, claimed.attempt, REASON, now=MORNING)
    else:
        await finish(store, job, MORNING)
        await store.outbox.give_up(job.id, DeliveryFault.CHANNEL_GONE, now=MORNING)

    assert {posting[2] for posting in await purses(store, job)} == {day_of(EVENING)}
    assert await usage(store, now=EVENING) == Usage()
    assert await usage(store, now=MORNING) == Usage()
    await store.add(2, limits=THREE, now=MORNING, num_images=3)
    await refused(store, 3, THREE, now=MORNING)


async def test_pictures_finished_after_midnight_count_for_the_day_they_were_ordered(store: Store) -> None:
    job = await store.add(1, limits=THREE, now=EVENING, num_images=2)
    await finish(store, job, MORNING)

    assert await usage(store, now=EVENING) == Usage(spent=2, everywhere=2)
    assert await usage(store, now=MORNING) == Usage()


async def test_granted_credits_are_used_after_the_allowance_and_do_not_expire(store: Store) -> None:
    await store.grant(4)
    job = await store.add(1, limits=THREE, num_images=4)

    assert [posting[:2] + posting[3:] for posting in await purses(store, job)] == [
        ("reserve", "daily", 3, 0),
        ("reserve", "granted", 1, 0),
    ]
    assert await usage(store) == Usage(reserved=3, granted=3, granted_reserved=1, everywhere=4, waiting=1)
    assert "0 left today, plus 3 that were granted to you" in await refused(store, 2, THREE, num_images=4)
    next_year = NOW + timedelta(days=365)
    assert (await usage(store, now=next_year)).granted == 3
    await store.add(3, limits=Limits(daily_credits=0), now=next_year, num_images=3)
    await refused(store, 4, Limits(daily_credits=0), now=next_year)


@pytest.mark.parametrize("charged", [False, True])
async def test_each_purse_gets_back_what_it_gave(store: Store, *, charged: bool) -> None:
    await store.grant(4)
    job = await store.add(1, limits=THREE, num_images=4)
    if charged:
        await finish(store, job)
        assert await usage(store) == Usage(spent=3, granted=3, everywhere=4)
        await store.outbox.give_up(job.id, DeliveryFault.CHANNEL_GONE, now=NOW)
    else:
        await store.jobs.cancel(job.id, now=NOW)

    assert await usage(store) == Usage(granted=4)


async def test_a_grant_belongs_to_one_member_in_one_server(store: Store) -> None:
    await store.grant(4)

    assert (await usage(store)).granted == 4
    assert await usage(store, guild_id=201) == await usage(store, user_id=101) == Usage()
    assert await usage(store, guild_id=None) == Usage()


async def test_a_repeated_event_grants_once(store: Store) -> None:
    for _ in range(3):
        await store.grant(4, interaction_id=7)
    await store.grant(2, interaction_id=8)

    assert (await usage(store)).granted == 6
    row = "SELECT granted_by || ' ' || user_id || ' ' || guild_id || ' ' || day FROM ledger WHERE interaction_id = 7"
    assert await store.scalar(row) == f"900 100 200 {day_of(NOW)}"


async def test_the_operators_cap_counts_all_servers_both_purses_and_the_day(store: Store) -> None:
    cap = Limits(daily_credits=1, operator_credits=4)
    await store.grant(9)
    await store.add(1, limits=cap, num_images=2)
    await store.add(2, limits=cap, guild_id=201)
    await store.add(3, limits=cap, guild_id=None)

    assert "0 left today in all servers together. You'll have 4 again" in await refused(store, 4, cap)
    await store.add(5, limits=cap, user_id=101)
    await store.add(6, limits=cap, now=NOW + timedelta(days=1), num_images=4)


async def test_waiting_jobs_are_capped_for_a_member_in_a_server(store: Store) -> None:
    two = Limits(waiting_jobs=2)
    first = await store.add(1, limits=two)
    await store.add(2, limits=two)
    await store.claim()  # what is drawn right now counts too

    assert "You already have 2 requests in the queue, and 2 is the most allowed here" in await refused(store, 3, two)
    await store.add(4, limits=two, guild_id=201)
    await store.add(5, limits=two, user_id=101)
    await store.jobs.cancel(first.id, now=NOW)
    await store.add(6, limits=two)


async def test_a_member_without_limits_has_a_ledger_too(store: Store) -> None:
    await store.grant(5)
    await store.add(1, limits=UNLIMITED, num_images=4)

    assert await usage(store) == Usage(reserved=4, granted=5, everywhere=4, waiting=1)


ENOUGH = {"width": 1024, "height": 1024, "num_inference_steps": 28}


@pytest.mark.parametrize(
    ("steps", "postings", "paid"),
    [
        (0, [("refund", "daily", -3, 0), ("refund", "granted", -1, 0)], 0),
        (4, [("refund", "daily", -3, 0), ("refund", "granted", -1, 0)], 0),
        (5, [("charge", "daily", -1, 1), ("refund", "daily", -2, 0), ("refund", "granted", -1, 0)], 1),
        (83, [("charge", "daily", -2, 2), ("refund", "daily", -1, 0), ("refund", "granted", -1, 0)], 2),
        (84, [("charge", "daily", -3, 3), ("refund", "granted", -1, 0)], 3),
        (112, [("charge", "daily", -3, 3), ("charge", "granted", -1, 1)], 4),
        (999, [("charge", "daily", -3, 3), ("charge", "granted", -1, 1)], 4),
    ],
)
async def test_a_cancelled_job_pays_for_the_steps_that_were_taken(
    store: Store, steps: int, postings: list[tuple[str, str, int, int]], paid: int
) -> None:
    await store.grant(4)
    job = await store.add(1, limits=THREE, num_images=4, **ENOUGH)
    claimed = await store.claim()

    assert await store.jobs.cancel(job.id, now=NOW, taken=StepsTaken(attempt=claimed.attempt, steps=steps))

    assert [(kind, purse, reserved, spent) for kind, purse, _, reserved, spent in await purses(store, job)][2:] == postings
    assert (await store.get(job.id)).paid == paid
    assert (await usage(store)).everywhere == paid
    assert await store.database.read(audit) == ()
    assert not await store.jobs.cancel(job.id, now=NOW, taken=StepsTaken(attempt=1, steps=112))


async def test_steps_of_an_attempt_that_was_lost_cost_nothing(store: Store) -> None:
    job = await store.add(1, limits=THREE, num_images=3, **ENOUGH)
    lost = await store.claim()
    await store.jobs.recover(now=NOW, expired_only=False)
    waits = StepsTaken(attempt=lost.attempt, steps=80)
    other = await store.add(2, user_id=101, num_images=3, **ENOUGH)
    await store.jobs.cancel(job.id, now=NOW, taken=waits)
    await store.claim()
    await store.jobs.cancel(other.id, now=NOW, taken=StepsTaken(attempt=7, steps=80))

    assert (await usage(store)).spent == (await usage(store, user_id=101)).spent == 0
    assert await store.database.read(audit) == ()


async def test_a_block_gives_everything_back_and_an_erasure_charges_the_steps(store: Store) -> None:
    for user_id in (100, 101):
        await store.add(user_id, user_id=user_id, num_images=2, **ENOUGH)
    running = [await store.claim() for _ in range(2)]
    taken = {job.id: StepsTaken(attempt=job.attempt, steps=30) for job in running}

    await store.jobs.cancel_all(101, guild_id=200, now=NOW)
    privacy = store.repositories.privacy
    erasure = await privacy.begin(100, now=NOW)
    assert erasure is not None
    await privacy.cancel(erasure, now=NOW, taken=taken)

    assert (await usage(store, user_id=101)).everywhere == 0
    assert (await usage(store)).everywhere == 1
    assert await store.database.read(audit) == ()


async def test_a_request_reads_no_more_rows_however_many_came_before_it(store: Store) -> None:
    """The plan of the look at a member's purses searches by key only, and nothing else sums the ledger up."""
    await store.grant(4)
    sql = f"EXPLAIN QUERY PLAN {ledger.STANDING.removeprefix('--sql')}"
    values = {"user_id": 100, "guild_id": 200, "day": 5}
    plan = [row["detail"] for row in await store.database.read(lambda db: db.execute(sql, values).fetchall())]

    searches = [line for line in plan if "purse_totals" in line]
    assert searches
    assert all("purse_totals_key (user_id=? AND <expr>=? AND purse=? AND <expr>=?)" in line for line in searches), plan
    assert not [line for line in plan if line.startswith("SCAN") and "CONSTANT ROW" not in line], plan
    assert [line for line in plan if "SEARCH jobs USING INDEX jobs_waiting (" in line]
    assert not [line for line in plan if "ledger" in line]


MEDDLING = {
    "a total that is wrong": "UPDATE purse_totals SET spent = spent + 1 WHERE purse = 'daily'",
    "a total that is gone": "DELETE FROM purse_totals WHERE purse = 'granted'",
    "a total of nobody": "INSERT INTO purse_totals VALUES (NULL, 101, 200, 'daily', 1, 0, 0, 5)",
    "a day that is wrong": "UPDATE day_totals SET used = used + 1",
    "a day that is gone": "DELETE FROM day_totals",
    "a price that was never paid": "UPDATE jobs SET paid = 7 WHERE id = :unpaid",
    "a job that waits and cost something": "UPDATE jobs SET paid = 0 WHERE id = :queued",
    "a reservation that is gone": "DELETE FROM ledger WHERE kind = 'reserve' AND job_id = :running",
    "a charge that is gone": "DELETE FROM ledger WHERE kind = 'charge'",
    "a refund that is gone": "DELETE FROM ledger WHERE kind = 'refund'",
    "a job that ended by itself": "UPDATE jobs SET status = 'cancelled', finished_at = 1 WHERE id = :queued",
    "pictures that nobody paid": "UPDATE jobs SET status = 'delivered' WHERE id = :unpaid",
    "a job of somebody else": "UPDATE jobs SET user_id = 101 WHERE id = :running",
    "a job from elsewhere": "UPDATE jobs SET guild_id = NULL WHERE id = :running",
    "a grant that is gone": "DELETE FROM ledger WHERE kind = 'grant'",
}


@pytest.mark.parametrize("meddling", MEDDLING.values(), ids=MEDDLING)
async def test_the_audit_finds_what_does_not_add_up(store: Store, meddling: str) -> None:
    unpaid = await store.add(1)
    await finish(store, unpaid)
    await store.jobs.cancel((await store.add(2)).id, now=NOW)
    await store.grant(2)
    running = await store.add(3, limits=THREE, num_images=4)
    await store.claim()
    queued = await store.add(4, user_id=101)
    assert await store.database.read(audit) == ()
    values = {"unpaid": unpaid.id, "running": running.id, "queued": queued.id}

    def meddle(connection: sqlite3.Connection) -> tuple[str, ...]:
        if "delivered" in meddling:
            connection.execute("DELETE FROM ledger WHERE job_id = :unpaid", values)
        connection.execute(meddling, values)
        found = audit(connection)
        raise FoundError(found)

    with pytest.raises(FoundError) as found:
        await store.database.transaction(meddle)
    assert found.value.args[0]


class FoundError(Exception):
    """Carries the audit's findings out of a transaction that is rolled back."""


async def test_the_check_of_a_file_looks_at_its_ledger_too(store: Store) -> None:
    job = await store.add()
    await Database.examine(store.database.path)
    sql = "UPDATE jobs SET guild_id = NULL WHERE id = ?"
    await store.database.transaction(lambda connection: connection.execute(sql, (job.id,)).rowcount)

    with pytest.raises(DatabaseError, match=rf"ledger of .* does not add up: the postings of job {job.id}"):
        await Database.examine(store.database.path)

    back = "UPDATE jobs SET guild_id = 200 WHERE id = ?"
    await store.database.transaction(lambda connection: connection.execute(back, (job.id,)).rowcount)
