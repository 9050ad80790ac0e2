"""Quotas through the one door, and moderators' grants."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.domain.job import Actor, JobStatus
from bot.domain.quota import MAX_GRANT, Limits, Usage
from bot.domain.request import Draft
from bot.errors import InvalidRequestError, NotAllowedError, QuotaError
from bot.services.quotas import OperatorLimits
from tests.examples import GUILD, MEMBER, MODERATOR, OTHER, origin, reply
from tests.services.harness import ServicesHarness

A_MANAGER = Actor(user_id=MODERATOR, guild_id=GUILD, manages_guild=True)


async def test_a_refused_job_is_neither_stored_nor_shown_nor_counted(harness: ServicesHarness) -> None:
    harness.limits = Limits(daily_credits=0)

    with pytest.raises(QuotaError, match="costs 1 credit"):
        await harness.submit()
    await harness.services.live.stop()

    assert await harness.jobs.counts() == {}
    assert harness.messenger.calls == []
    assert harness.metrics.registry.get_sample_value("pastel_submitted_total", {"relation": "new"}) is None


async def test_four_requests_at_once_against_an_allowance_of_three(harness: ServicesHarness) -> None:
    harness.limits = Limits(daily_credits=3)
    proposal = await harness.services.generation.propose(Draft(prompt="a cat"), origin())

    results = await asyncio.gather(
        *(harness.services.generation.submit(proposal, origin(number), reply()) for number in range(4)), return_exceptions=True
    )

    assert sum(isinstance(result, QuotaError) for result in results) == 1
    assert await harness.jobs.counts() == {"queued": 3}


async def test_a_replay_of_an_accepted_interaction_is_not_refused(harness: ServicesHarness) -> None:
    harness.limits = Limits(daily_credits=1)
    job = await harness.submit(1)

    assert (await harness.submit(1)).id == job.id


async def test_the_statement_says_what_holds_where_one_asks(harness: ServicesHarness) -> None:
    harness.limits = Limits(daily_credits=5, waiting_jobs=3, operator_credits=9)
    await harness.submit(1)
    await harness.submit(2, origin=origin(2, guild_id=None))

    balance = await harness.services.quotas.balance(origin())

    assert balance.limits == harness.limits
    assert balance.usage == Usage(reserved=1, everywhere=2, waiting=1)
    assert balance.renews_at == datetime(2026, 1, 2, tzinfo=UTC)


async def test_those_who_manage_the_server_grant_credits_to_anybody(harness: ServicesHarness) -> None:
    quotas = harness.services.quotas
    harness.limits = Limits(daily_credits=0)

    usage = await quotas.grant(2, user_id=MEMBER, actor=A_MANAGER, interaction_id=70)
    replayed = await quotas.grant(2, user_id=MEMBER, actor=A_MANAGER, interaction_id=70)

    assert usage == replayed == Usage(granted=2)
    await harness.submit(1)
    await harness.submit(2)
    with pytest.raises(QuotaError):
        await harness.submit(3)


@pytest.mark.parametrize(
    "actor",
    [
        Actor(user_id=OTHER, guild_id=GUILD),
        Actor(user_id=OTHER, guild_id=GUILD, manages_messages=True),
        Actor(user_id=OTHER, guild_id=None, manages_guild=True),
    ],
)
async def test_nobody_else_grants(harness: ServicesHarness, actor: Actor) -> None:
    with pytest.raises(NotAllowedError, match="Manage Server"):
        await harness.services.quotas.grant(2, user_id=OTHER, actor=actor, interaction_id=70)

    assert (await harness.services.quotas.balance(origin(user_id=OTHER))).usage == Usage()


@pytest.mark.parametrize("amount", [-5, 0, MAX_GRANT + 1])
async def test_a_grant_has_a_sensible_size(harness: ServicesHarness, amount: int) -> None:
    with pytest.raises(InvalidRequestError, match="1 to 10,000 credits"):
        await harness.services.quotas.grant(amount, user_id=MEMBER, actor=A_MANAGER, interaction_id=70)


async def test_the_largest_grant_is_possible(harness: ServicesHarness) -> None:
    usage = await harness.services.quotas.grant(MAX_GRANT, user_id=MEMBER, actor=A_MANAGER, interaction_id=70)

    assert usage.granted == MAX_GRANT


async def test_the_operators_limits_are_the_same_for_all_but_for_a_servers_weight() -> None:
    limits = Limits(daily_credits=3)
    operator = OperatorLimits(limits=limits, server_weights={GUILD: 2.0})

    assert await operator.limits_for(origin(guild_id=None)) == limits
    assert await operator.limits_for(origin(guild_id=GUILD + 1)) == limits
    assert await operator.limits_for(origin()) == replace(limits, weight=2.0)


async def test_a_job_that_failed_or_was_cancelled_costs_nothing(harness: ServicesHarness) -> None:
    harness.limits = Limits(daily_credits=1)
    job = await harness.submit(1)
    await harness.services.generation.cancel(job.id, Actor(user_id=MEMBER))

    again = await harness.submit(2)

    assert await harness.status(again) is JobStatus.QUEUED
