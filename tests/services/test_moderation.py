"""Blocks, removals and a look at members' jobs: who may, and what follows."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from bot.domain.job import Actor, JobStatus, Origin, Place
from bot.domain.moderation import Rank
from bot.errors import InvalidRequestError, NotAllowedError, NotFoundError, UserError
from bot.services.moderation import Moderation
from bot.storage import fair_turns
from tests.examples import CHANNEL, GUILD, MEMBER, MESSAGE, MODERATOR, OTHER, new_job, origin, reply
from tests.services.harness import ServicesHarness, drawing, until

A_MODERATOR = Actor(user_id=MODERATOR, guild_id=GUILD, manages_messages=True)
A_MANAGER = Actor(user_id=MODERATOR, guild_id=GUILD, manages_guild=True)
STRANGERS = [
    Actor(user_id=OTHER, guild_id=GUILD),
    Actor(user_id=OTHER, guild_id=None, manages_messages=True, manages_guild=True),
]
ELSEWHERE = Actor(user_id=OTHER, guild_id=GUILD + 1, manages_messages=True, manages_guild=True)
LINK = f"https://discord.com/channels/{GUILD}/{CHANNEL}/{MESSAGE}"

Deed = Callable[[Moderation, Actor], Awaitable[object]]
DEEDS: dict[str, Deed] = {
    "block": lambda moderation, actor: moderation.block(actor, MEMBER),
    "unblock": lambda moderation, actor: moderation.unblock(actor, MEMBER),
    "blocks": lambda moderation, actor: moderation.blocks(actor, limit=5),
    "remove": lambda moderation, actor: moderation.remove(actor, LINK),
    "jobs": lambda moderation, actor: moderation.recent_jobs(actor, MEMBER, limit=5),
}


def asking(interaction_id: int, guild_id: int | None = GUILD) -> Origin:
    return Origin(interaction_id=interaction_id, user_id=MEMBER, guild_id=guild_id, place=Place(channel_id=CHANNEL))


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("actor", STRANGERS)
async def test_nobody_else_does_any_of_it(harness: ServicesHarness, deed: str, actor: Actor) -> None:
    job = await harness.delivered()

    with pytest.raises(NotAllowedError, match="Manage Messages"):
        await DEEDS[deed](harness.services.moderation, actor)

    assert (await harness.job(job.id)).deleted_at is None
    assert await harness.services.moderation.blocks(A_MODERATOR, limit=5) == ()


@pytest.mark.parametrize("actor", [A_MODERATOR, A_MANAGER])
async def test_a_block_takes_effect_at_once_and_its_end_too(harness: ServicesHarness, actor: Actor) -> None:
    await harness.services.moderation.block(actor, MEMBER, reason="flood", duration=timedelta(hours=1))

    with pytest.raises(NotAllowedError, match="flood"):
        await harness.submit(1, origin=asking(1))
    await harness.submit(2, origin=asking(2, GUILD + 1))
    harness.clock.advance(3600)
    await harness.submit(3, origin=asking(3))


async def test_a_block_cancels_what_waits_and_what_is_drawn_in_this_server_and_gives_the_credits_back(
    harness: ServicesHarness,
) -> None:
    harness.generator.gate.clear()
    harness.start_worker()
    running = await harness.submit(1, origin=asking(1))
    await drawing(harness)
    waiting, elsewhere = await harness.submit(2, origin=asking(2)), await harness.submit(3, origin=asking(3, GUILD + 1))
    others = await harness.add(4, origin=origin(4, user_id=OTHER))

    blocked = await harness.services.moderation.block(A_MODERATOR, MEMBER)
    await until(lambda: len(harness.generator.ended) == 1)

    assert blocked.cancelled == 2
    assert [await harness.status(job) for job in (running, waiting)] == [JobStatus.CANCELLED] * 2
    assert JobStatus.CANCELLED not in {await harness.status(elsewhere), await harness.status(others)}
    usage = (await harness.services.quotas.balance(asking(9))).usage
    assert (usage.reserved, usage.spent) == (0, 0)


async def test_a_block_deals_the_members_line_anew_once_however_much_waited(
    harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 6):
        await harness.submit(number, origin=asking(number))
    assign, dealt = fair_turns.assign, list[int]()

    def counted(connection: sqlite3.Connection, user_id: int) -> None:
        dealt.append(user_id)
        assign(connection, user_id)

    monkeypatch.setattr(fair_turns, "assign", counted)
    blocked = await harness.services.moderation.block(A_MODERATOR, MEMBER)

    assert (blocked.cancelled, dealt) == (5, [MEMBER])


async def test_nobody_blocks_themselves_a_bot_or_who_manages_the_server(harness: ServicesHarness) -> None:
    harness.member_ranks.ranks = {50: Rank.BOT, 51: Rank.MANAGER, 52: Rank.UNKNOWN}
    moderation = harness.services.moderation

    for user_id, sentence in ((MODERATOR, "yourself"), (50, "Bots"), (51, "manages this server")):
        with pytest.raises(UserError, match=sentence):
            await moderation.block(A_MODERATOR, user_id)
    await moderation.block(A_MODERATOR, 52)

    assert [block.user_id for block in await moderation.blocks(A_MODERATOR, limit=5)] == [52]


async def test_a_block_with_a_reason_or_length_that_cannot_be_is_refused(harness: ServicesHarness) -> None:
    for options in ({"reason": "x" * 201}, {"duration": timedelta(days=4000)}, {"duration": timedelta(0)}):
        with pytest.raises(InvalidRequestError):
            await harness.services.moderation.block(A_MODERATOR, MEMBER, **options)  # pyright: ignore[reportArgumentType]  # a table

    assert await harness.services.moderation.blocks(A_MODERATOR, limit=5) == ()


async def test_a_lifted_block_is_over_and_lifting_none_says_so(harness: ServicesHarness) -> None:
    moderation = harness.services.moderation
    await moderation.block(A_MODERATOR, MEMBER)
    with pytest.raises(InvalidRequestError, match="isn't blocked"):
        await moderation.unblock(ELSEWHERE, MEMBER)

    await moderation.unblock(A_MODERATOR, MEMBER)

    await harness.submit(1, origin=asking(1))
    with pytest.raises(InvalidRequestError, match="isn't blocked"):
        await moderation.unblock(A_MODERATOR, MEMBER)


async def test_a_block_outlives_the_process(harness: ServicesHarness) -> None:
    await harness.services.moderation.block(A_MODERATOR, MEMBER)

    harness.build()

    with pytest.raises(NotAllowedError):
        await harness.submit(1, origin=asking(1))


@pytest.mark.parametrize("way", ["link", "message", "job"])
async def test_a_picture_is_removed_by_link_message_or_job(harness: ServicesHarness, way: str) -> None:
    message_id = 10**17 + 1
    job = await harness.delivered(reply=reply(message_id=message_id))
    named = {"link": LINK.replace(f"/{MESSAGE}", f"/{message_id}"), "message": str(message_id), "job": job.id}

    removed = await harness.services.moderation.remove(A_MODERATOR, named[way])

    assert removed.id == job.id
    assert (await harness.job(job.id)).deleted_at is not None
    assert harness.store.files == {}
    assert harness.messenger.ways[-1] == "delete"


async def test_pictures_of_other_servers_are_as_good_as_none(harness: ServicesHarness) -> None:
    job = await harness.delivered()

    for picture in (job.id, LINK, LINK.replace(f"/{GUILD}/", f"/{GUILD + 1}/"), "f" * 16):
        with pytest.raises(NotFoundError, match="can't find a picture of this server"):
            await harness.services.moderation.remove(ELSEWHERE, picture)

    assert (await harness.job(job.id)).deleted_at is None


async def test_a_members_jobs_of_this_server_come_newest_first(harness: ServicesHarness) -> None:
    first, second = await harness.add(1), await harness.add(2)
    await harness.add(3, origin=origin(3, guild_id=GUILD + 1))
    await harness.add(4, origin=origin(4, user_id=OTHER))

    found = await harness.services.moderation.recent_jobs(A_MODERATOR, MEMBER, limit=5)

    assert [job.id for job in found] == [second.id, first.id]
    assert new_job().request.prompt == found[0].request.prompt
    assert await harness.services.moderation.recent_jobs(ELSEWHERE, OTHER, limit=5) == ()
