"""The fair queue on real SQLite: whose turn it is, whatever came, went, stopped or died."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

import pytest

from bot.domain.fairness import LORAS_AT_ONCE
from bot.domain.job import Job
from bot.domain.quota import Limits
from bot.domain.request import StyleChoice
from bot.ports import Ahead, Waiting
from bot.storage.database import Database
from bot.storage.queue import claim
from tests.storage.samples import NOW, Store, images

FLOODER, NEWCOMER, THIRD = 100, 101, 102


async def add(store: Store, user_id: int, count: int = 1, *, weight: float = 1.0, **values: object) -> list[Job]:
    """`count` jobs of a member."""
    first = 1 + int(str(await store.scalar("SELECT COUNT(*) FROM jobs")))
    limits = Limits(weight=weight)
    return [await store.add(number, limits=limits, user_id=user_id, **values) for number in range(first, first + count)]


async def draw(store: Store, count: int = 1) -> list[int]:
    """Claim and finish jobs one after another; returns their members."""
    members = []
    for _ in range(count):
        job = await store.claim()
        assert await store.jobs.finish(job.id, job.attempt, images(job), now=NOW)
        members.append(job.origin.user_id)
    return members


async def order(store: Store) -> list[int]:
    """The members of all jobs that wait, in the order in which they are drawn."""
    members: list[int] = []
    while (job := await store.jobs.claim(now=NOW, lease_until=NOW + timedelta(seconds=30), batch=64)) is not None:
        assert await store.jobs.finish(job.id, job.attempt, images(job), now=NOW)
        members.append(job.origin.user_id)
    return members


@pytest.mark.parametrize("drawn", [0, 1, 7, 30])
async def test_a_newcomer_waits_for_one_job_of_a_flooder_at_most(store: Store, drawn: int) -> None:
    await add(store, FLOODER, 50)
    await draw(store, drawn)
    running = await store.claim()
    (job,) = await add(store, NEWCOMER)

    work = pytest.approx(running.request.work)
    assert await store.jobs.ahead(job.id) == Ahead(jobs=1, work=work, running=((running.id, work),))
    assert (await store.claim()).id == job.id


async def test_a_newcomer_before_the_first_claim_waits_for_one_job_too(store: Store) -> None:
    await add(store, FLOODER, 50)
    await add(store, NEWCOMER, 3)

    assert (await draw(store, 6)).count(FLOODER) == 3
    assert (await order(store))[0] == FLOODER


async def test_several_flooders_delay_a_newcomer_by_what_runs_only(store: Store) -> None:
    for member in range(200, 210):
        await add(store, member, 20)
    await draw(store, 35)
    await store.claim()
    (job,) = await add(store, NEWCOMER)

    ahead = await store.jobs.ahead(job.id)
    assert ahead is not None
    assert ahead.jobs <= 5 + 10  # those who are level with the newcomer came before, five of them with a job more
    assert NEWCOMER in await draw(store, 16)


async def test_who_came_back_after_an_idle_time_owes_nothing_for_what_was_drawn_before_it(store: Store) -> None:
    await add(store, FLOODER, num_images=4, num_inference_steps=60)
    await draw(store)  # and nothing waits any more

    await add(store, NEWCOMER, 5)
    await add(store, FLOODER)

    assert await order(store) == [NEWCOMER, FLOODER, NEWCOMER, NEWCOMER, NEWCOMER, NEWCOMER]


async def test_who_just_had_a_large_job_waits_for_as_much_of_others(store: Store) -> None:
    await add(store, FLOODER, num_images=4)
    large = await store.claim()
    await add(store, NEWCOMER, 6)
    await add(store, FLOODER)
    await store.jobs.finish(large.id, 1, images(large), now=NOW)

    # five small ones end before the large one's member's next, or level with it and came before
    assert await order(store) == [NEWCOMER] * 5 + [FLOODER] + [NEWCOMER]


async def test_turns_go_by_work_and_not_by_number(store: Store) -> None:
    await add(store, FLOODER, 3, num_images=4)
    await add(store, NEWCOMER, 9)

    members = await order(store)

    assert members[:9] == [NEWCOMER] * 3 + [FLOODER] + [NEWCOMER] * 4 + [FLOODER]


async def test_a_weight_gives_a_larger_share(store: Store) -> None:
    await add(store, FLOODER, 20)
    await add(store, NEWCOMER, 20, weight=3.0)

    members = await draw(store, 16)

    assert members.count(NEWCOMER) == 12


async def test_equals_go_in_the_order_in_which_they_came(store: Store) -> None:
    for member in (7, 3, 9, 5):
        await add(store, member)

    assert await order(store) == [7, 3, 9, 5]


async def test_an_interrupted_job_keeps_its_place_and_costs_its_member_one_turn(store: Store) -> None:
    await add(store, FLOODER, 3)
    first = await store.claim()
    await add(store, NEWCOMER, 2)
    await store.jobs.recover(now=NOW, expired_only=False)

    await add(store, FLOODER)  # deals its member's turns anew

    again = await store.claim()
    assert (again.id, again.attempt) == (first.id, 2)
    await store.jobs.finish(again.id, 2, images(again), now=NOW)
    assert await order(store) == [NEWCOMER, FLOODER, NEWCOMER, FLOODER, FLOODER]


async def test_a_cancelled_job_leaves_no_gap_before_its_members_later_ones(store: Store) -> None:
    mine = await add(store, NEWCOMER, 4)
    await add(store, FLOODER, 4)
    for job in mine[:3]:
        await store.jobs.cancel(job.id, now=NOW)

    ahead = await store.jobs.ahead(mine[3].id)
    assert ahead == Ahead(jobs=0, work=0)
    assert await order(store) == [NEWCOMER, FLOODER, FLOODER, FLOODER, FLOODER]


async def test_a_job_put_back_and_cancelled_before_it_was_drawn_costs_no_turn(store: Store) -> None:
    first, _ = await add(store, NEWCOMER, 2, num_images=4)
    await store.claim()
    await add(store, FLOODER, 4)
    await store.jobs.put_back(first.id, 1, aborted=True)
    await store.jobs.cancel(first.id, now=NOW)

    assert await order(store) == [FLOODER] * 3 + [NEWCOMER, FLOODER]


async def test_a_job_that_was_cancelled_while_it_was_drawn_costs_its_turn(store: Store) -> None:
    first, _ = await add(store, NEWCOMER, 2)
    await store.claim()
    await add(store, FLOODER, 2)
    await store.jobs.cancel(first.id, now=NOW)

    assert await order(store) == [FLOODER, NEWCOMER, FLOODER]


async def test_the_queues_time_survives_restarts_and_an_empty_queue(store: Store) -> None:
    await add(store, FLOODER, 30)
    await draw(store, 29)
    await store.claim()
    before = await store.scalar("SELECT virtual_time FROM fair_queue")

    async with Database.open(store.database.path.with_name("restarted.db")) as other:
        assert await other.read(lambda connection: connection.execute("SELECT virtual_time FROM fair_queue").fetchone()[0]) == 0

    await store.jobs.recover(now=NOW, expired_only=False)
    assert await store.scalar("SELECT virtual_time FROM fair_queue") == before
    await draw(store)
    await add(store, NEWCOMER, 40)
    await add(store, FLOODER)
    assert (await order(store)).index(FLOODER) == 1


async def test_a_paused_servers_jobs_wait_and_others_go_on(store: Store) -> None:
    await add(store, FLOODER, 2, guild_id=200)
    await add(store, NEWCOMER, 2, guild_id=201)
    await add(store, THIRD, guild_id=None)

    assert await store.repositories.pauses.pause(200, by=900, now=NOW)

    assert await order(store) == [NEWCOMER, THIRD, NEWCOMER]
    assert await store.jobs.backlog() == 0
    assert await store.repositories.pauses.resume(200, by=901, now=NOW)
    assert await store.jobs.backlog() == 2
    assert await order(store) == [FLOODER, FLOODER]


async def test_a_pause_says_who_and_when_and_is_kept_when_it_is_over(store: Store) -> None:
    later = NOW + timedelta(hours=1)
    assert await store.repositories.pauses.current(200) is None
    assert await store.repositories.pauses.pause(200, by=900, now=NOW)
    assert not await store.repositories.pauses.pause(200, by=902, now=later)

    pause = await store.repositories.pauses.current(200)
    assert pause is not None
    assert (pause.paused_by, pause.paused_at) == (900, NOW)
    assert await store.repositories.pauses.current(201) is None
    assert await store.repositories.pauses.resume(200, by=901, now=later)
    assert not await store.repositories.pauses.resume(200, by=902, now=later)
    assert await store.repositories.pauses.current(200) is None
    assert await store.scalar("SELECT paused_by || ' ' || resumed_by FROM queue_pauses") == "900 901"


async def test_a_resumed_flood_takes_no_turns_from_the_time_of_its_pause(store: Store) -> None:
    await add(store, FLOODER, 30, guild_id=200)
    await add(store, NEWCOMER, 20, guild_id=201)
    await store.repositories.pauses.pause(200, by=900, now=NOW)
    await draw(store, 10)

    await store.repositories.pauses.resume(200, by=900, now=NOW)

    members = await draw(store, 20)
    assert 9 <= members.count(NEWCOMER) <= 11


async def test_jobs_that_are_paused_do_not_hold_up_their_members_jobs_elsewhere(store: Store) -> None:
    await add(store, FLOODER, 30, guild_id=200)
    mine = await add(store, FLOODER, guild_id=201)
    await add(store, NEWCOMER, 5, guild_id=201)

    await store.repositories.pauses.pause(200, by=900, now=NOW)

    assert await store.jobs.ahead(mine[0].id) == Ahead(jobs=0, work=0)
    assert (await order(store))[0] == FLOODER


async def test_a_paused_job_is_known_as_such_and_counts_for_nobody(store: Store) -> None:
    (paused,) = await add(store, FLOODER, guild_id=200)
    await store.repositories.pauses.pause(200, by=900, now=NOW)
    (other,) = await add(store, NEWCOMER, guild_id=201)
    (late,) = await add(store, THIRD, guild_id=200)

    for job in (paused, late):
        ahead = await store.jobs.ahead(job.id)
        assert ahead is not None
        assert ahead.paused
    assert await store.jobs.ahead(other.id) == Ahead(jobs=0, work=0)


async def test_what_waits_in_a_server_is_listed_in_queue_order_what_runs_first(store: Store) -> None:
    first, second, third = await add(store, FLOODER, 3)
    (newcomer,) = await add(store, NEWCOMER)
    await add(store, NEWCOMER, guild_id=201)
    await store.claim()

    listed = await store.jobs.waiting_in(200, limit=9)

    assert [job.id for job in listed.jobs] == [first.id, newcomer.id, second.id, third.id]
    assert [job.id for job in (await store.jobs.waiting(FLOODER, limit=9)).jobs] == [first.id, second.id, third.id]
    assert await store.jobs.waiting_in(200, limit=2) == Waiting(jobs=listed.jobs[:2], total=4)
    assert await store.jobs.waiting_in(999, limit=9) == Waiting(jobs=(), total=0)


async def test_whoever_has_no_place_gets_one_before_anybody_gets_a_second(store: Store) -> None:
    await add(store, FLOODER, 10)
    await add(store, NEWCOMER, 2)
    await add(store, THIRD, num_images=4, num_inference_steps=60)

    claimed = [(await store.claim(batch=4)).origin.user_id for _ in range(4)]

    assert claimed == [FLOODER, NEWCOMER, THIRD, FLOODER]
    assert await store.jobs.claim(now=NOW, lease_until=NOW, batch=4) is None


async def test_a_flooder_has_as_many_places_as_fill_a_call_and_whoever_comes_then_has_one_at_once(store: Store) -> None:
    await add(store, FLOODER, 10)
    for _ in range(4):
        await store.claim(batch=4)
    assert await store.jobs.claim(now=NOW, lease_until=NOW, batch=4) is None

    (job,) = await add(store, NEWCOMER)

    assert (await store.claim(batch=4)).id == job.id
    assert await store.jobs.claim(now=NOW, lease_until=NOW, batch=4) is None


async def test_a_fifth_lora_waits_until_one_is_free_and_is_passed_by_those_without_only(store: Store) -> None:
    for number in range(LORAS_AT_ONCE):
        await add(store, 200 + number, style=f"style {number}")
        await store.claim()
    (waits,) = await add(store, NEWCOMER, style="another")
    await add(store, THIRD, style="style 0")
    (bare,) = await add(store, FLOODER)

    assert (await store.claim()).id == bare.id
    assert await store.jobs.claim(now=NOW, lease_until=NOW, batch=64) is None

    await store.jobs.cancel_all(200, guild_id=200, now=NOW)
    assert (await store.claim()).id == waits.id


async def steps_of_a_claim(store: Store) -> int:
    """How many steps SQLite's machine takes to find out that nobody has room; in hundreds."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    def watched(connection: sqlite3.Connection) -> None:
        connection.set_progress_handler(count, 100)
        assert claim(connection, now=NOW, lease_until=NOW, batch=8) is None
        connection.set_progress_handler(None, 0)

    await store.database.transaction(watched)
    return steps


async def test_a_claim_costs_the_same_however_many_wait_for_room(store: Store) -> None:
    for number in range(LORAS_AT_ONCE):
        await add(store, 200 + number, style=f"style {number}")
        await store.claim()
    await add(store, NEWCOMER, style="another")
    alone = await steps_of_a_claim(store)
    for member in range(300, 420):
        await add(store, member, 2, style="another")

    assert await steps_of_a_claim(store) <= 2 * alone + 2


async def test_a_style_that_is_not_here_holds_up_nobody_else(store: Store) -> None:
    await add(store, FLOODER, style="far")
    await add(store, THIRD, style="near", more_styles=(StyleChoice(name="far", weight=1.0),))
    (near,) = await add(store, NEWCOMER, style="near")

    job = await store.jobs.claim(now=NOW, lease_until=NOW, batch=8, unfetched={"far"})

    assert job is not None
    assert job.id == near.id


async def test_who_waits_longer_than_others_come_has_a_turn_at_last(store: Store) -> None:
    (large,) = await add(store, FLOODER, num_images=4, num_inference_steps=60)
    for member in range(200, 240):
        await add(store, member)
        if (await draw(store))[0] == FLOODER:
            break

    assert (await store.get(large.id)).finished_at is not None
