"""Members who all ask at once, each for more than they may have; and what becomes of it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from bot.domain.delivery import DeliveryFault
from bot.domain.job import Origin, Place
from bot.domain.quota import Limits, StepsTaken
from bot.errors import QuotaError
from bot.messages import message
from bot.services.request_builder import PreparedJob
from bot.storage.ledger_audit import audit
from tests.examples import CHANNEL, GUILD, reply, request
from tests.services.harness import ServicesHarness, open_world
from tests.storage.samples import memory_folder

ALLOWANCE, REQUESTS = 3, 4
CROWD = 400  # more than 500 texts are not read at once; whoever comes then is told to try again
HERE = Place(channel_id=CHANNEL)
LUCK = 20  # the seed


@asynccontextmanager
async def ready_world() -> AsyncGenerator[ServicesHarness]:
    """Real services over real SQLite, with an allowance; no cards are shown."""
    with memory_folder() as folder:
        async with open_world(folder) as world:
            world.limits = Limits(daily_credits=ALLOWANCE)
            await world.services.live.stop()
            yield world


async def race(world: ServicesHarness, members: int) -> tuple[Counter[int], Counter[int]]:
    """Every member sends REQUESTS at once, in any order; returns how many were accepted and refused, by member."""
    accepted: Counter[int] = Counter()
    refused: Counter[int] = Counter()

    crowd = asyncio.Semaphore(CROWD)

    async def ask(number: int) -> None:
        async with crowd:
            await ask_at_once(number)

    async def ask_at_once(number: int) -> None:
        user_id = 1 + number % members
        origin = Origin(interaction_id=number, user_id=user_id, guild_id=GUILD, place=HERE)
        try:
            await world.services.generation.submit(PreparedJob(request=request(seed=number)), origin, reply())
        except QuotaError:
            refused[user_id] += 1
        else:
            accepted[user_id] += 1

    numbers = list(range(members * REQUESTS))
    random.Random(LUCK).shuffle(numbers)
    await asyncio.gather(*(ask(number) for number in numbers))
    return accepted, refused


async def play_out(world: ServicesHarness) -> Counter[int]:
    """End every job in one of all ways, some of them after midnight; returns how many were kept or paid for, by member."""
    luck, kept = random.Random(LUCK), Counter[int]()
    world.clock.advance(12 * 3_600 - 60)  # a minute to midnight
    while job := await world.jobs.claim(now=world.clock.now(), lease_until=world.clock.now(), batch=64):
        world.clock.advance(0.1)
        user_id, now, way = job.origin.user_id, world.clock.now(), luck.randrange(6)
        if way == 0:
            whole = luck.choice((True, False))  # the last step was taken, or none
            taken = StepsTaken(attempt=job.attempt, steps=job.request.num_images * job.request.steps_run if whole else 0)
            assert await world.jobs.cancel(job.id, now=now, taken=taken)
            kept[user_id] += whole
        elif way == 1:
            assert await world.jobs.fail(job.id, job.attempt, message("A reason."), now=now)
        elif way == 2 and job.attempt < 2:
            await world.jobs.recover(now=now, expired_only=False)  # as after a crash
        else:
            assert await world.jobs.finish(job.id, job.attempt, (), now=now)
            if way == 3:
                await world.repositories.outbox.give_up(job.id, DeliveryFault.CHANNEL_GONE, now=now)
            else:
                await world.repositories.outbox.delivered(job.id, channel_id=1, message_id=1, now=now)
                kept[user_id] += 1
    return kept


async def check_race(members: int) -> None:
    """The race, and the ledger after it and after all jobs have ended."""
    async with ready_world() as world:
        began = world.clock.now()
        accepted, refused = await race(world, members)
        everybody = range(1, members + 1)
        assert accepted == dict.fromkeys(everybody, ALLOWANCE)
        assert refused == dict.fromkeys(everybody, REQUESTS - ALLOWANCE)
        assert await world.database.read(audit) == ()
        assert await totals(world) == {user_id: (ALLOWANCE, 0) for user_id in everybody}
        kept = await play_out(world)
        assert await world.database.read(audit) == ()
        assert await totals(world) == {user_id: (0, kept[user_id]) for user_id in everybody}
        for user_id in (1, members // 2, members):
            assert (await world.services.quotas.credits.usage(user_id, GUILD, now=began)).spent == kept[user_id]
            assert (await world.services.quotas.credits.usage(user_id, GUILD, now=world.clock.now())).everywhere == 0


async def totals(world: ServicesHarness) -> dict[int, tuple[int, int]]:
    """What each member has reserved and spent."""
    sql = "SELECT user_id, SUM(reserved), SUM(spent) FROM ledger GROUP BY user_id"
    rows = await world.database.read(lambda connection: connection.execute(sql).fetchall())
    return {row[0]: (row[1], row[2]) for row in rows}
