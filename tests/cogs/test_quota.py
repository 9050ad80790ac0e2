from __future__ import annotations

from bot.domain.job import JobStatus
from bot.domain.quota import Limits, Standing
from tests.cogs.stage import Stage, texts


async def test_a_member_sees_their_credits_alone(stage: Stage):
    stage.limits = Limits(daily_credits=5, waiting_jobs=3)
    await stage.anime()

    result = await stage.member.slash(stage.channel, "quota show")

    assert result.ephemeral
    said = texts(result.response)
    assert "**4 of 5 left today**" in said
    assert "0 used · 1 reserved" in said
    assert "**Waiting:** 1 of 3 jobs" in said


async def test_a_refusal_is_for_the_members_eyes_only_and_leaves_no_card(stage: Stage):
    stage.limits = Limits(daily_credits=1)
    await stage.anime("first")

    result = await stage.anime("second")

    said = result.response
    assert said is not None
    assert said.ephemeral
    assert result.followups == []
    assert "This costs 1 credit, and you have 0 of today's 1 left here; they renew <t:" in said.content
    assert len(await stage.all_jobs()) == 1
    assert [message.id for message in stage.channel.history()] == [(await stage.only_job()).reply.message_id]


async def test_every_button_meets_the_same_limit(stage: Stage):
    job = await stage.finished(images=2)
    stage.limits = Limits(daily_credits=1)

    for action in ("reroll", "subtle1", "strong2", "upscale2"):
        result = await stage.press(job, action)
        assert result.response is not None
        assert "This costs 1 credit" in result.response.content
        assert result.response.ephemeral
    assert len(await stage.all_jobs()) == 1


async def test_the_members_roles_reach_whoever_decides_about_limits(stage: Stage):
    artists = stage.guild.create_role("Artists")
    artist = stage.guild.add_member(stage.env.create_user("zoe"), roles=[artists])

    await artist.slash(stage.channel, "anime", prompt="a cat")

    assert (stage.asked.user_id, stage.asked.guild_id) == (artist.id, stage.guild.id)
    assert stage.asked.role_ids == {artists.id}
    await stage.anime()
    assert stage.asked.role_ids == frozenset()
    assert (await stage.last_job()).origin.role_ids == frozenset()


async def test_a_moderator_grants_credits_and_the_member_can_use_them(stage: Stage):
    stage.limits = Limits(daily_credits=0)
    result = await stage.manager.slash(stage.channel, "quota grant", member=stage.member, credits=2)

    assert result.ephemeral
    assert f"<@{stage.member.id}> has 2 credits of grants now" in texts(result.response)
    await stage.anime()
    assert (await stage.only_job()).status is JobStatus.QUEUED
    assert "**Granted:** 1 credit (1 more reserved)" in texts((await stage.member.slash(stage.channel, "quota show")).response)


async def test_nobody_else_grants_anything(stage: Stage):
    for actor in (stage.member, stage.moderator):  # who may manage messages only
        result = await actor.slash(stage.channel, "quota grant", member=stage.member, credits=2)
        assert result.ephemeral
        assert "manage this server" in texts(result.response)

    now = stage.clock.now()
    assert await stage.credits.standing(stage.member.id, stage.guild.id, now=now) == Standing()


async def test_a_bot_gets_no_credits(stage: Stage):
    helper = stage.guild.add_member(stage.env.create_user("helper", bot=True))

    result = await stage.manager.slash(stage.channel, "quota grant", member=helper, credits=2)

    assert "A bot draws nothing here" in texts(result.response)


async def test_the_cards_say_what_they_cost(stage: Stage):
    await stage.anime(images=4)
    waiting = await stage.only_job()
    assert "-# 1 credit" in texts(stage.card(waiting))

    job = await stage.draw()

    assert " · 1 credit" in texts(stage.card(job))
    assert "· 1 credit" in texts((await stage.press(job, "details")).response)
