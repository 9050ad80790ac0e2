from __future__ import annotations

from bot.domain.job import JobStatus
from bot.domain.quota import Limits, Usage
from tests.cogs.harness import SimcordHarness, texts


async def test_a_member_sees_their_credits_alone(harness: SimcordHarness):
    harness.limits = Limits(daily_credits=5, waiting_jobs=3)
    await harness.anime()

    result = await harness.member.slash(harness.channel, "quota show")

    assert result.ephemeral
    said = texts(result.response)
    assert "**4 of 5 left today**" in said
    assert "0 used today · 1 reserved" in said
    assert "**In the queue:** 1 of 3" in said


async def test_a_refusal_is_for_the_members_eyes_only_and_leaves_no_card(harness: SimcordHarness):
    harness.limits = Limits(daily_credits=1)
    await harness.anime("first")

    result = await harness.anime("second")

    said = result.response
    assert said is not None
    assert said.ephemeral
    assert result.followups == []
    assert "This costs 1 credit and you have 0 left today. You'll have 1 again <t:" in said.content
    assert len(await harness.all_jobs()) == 1
    assert [message.id for message in harness.channel.history()] == [(await harness.only_job()).reply.message_id]


async def test_every_button_meets_the_same_limit(harness: SimcordHarness):
    job = await harness.finished(images=2)
    harness.limits = Limits(daily_credits=1)

    for action in ("reroll", "subtle1", "strong2", "upscale2"):
        result = await harness.press(job, action)
        assert result.response is not None
        assert "This costs 1 credit" in result.response.content
        assert result.response.ephemeral
    assert len(await harness.all_jobs()) == 1


async def test_the_members_roles_reach_whoever_decides_about_limits(harness: SimcordHarness):
    artists = harness.guild.create_role("Artists")
    artist = harness.guild.add_member(harness.env.create_user("zoe"), roles=[artists])

    await artist.slash(harness.channel, "anime", prompt="a cat")

    assert (harness.asked.user_id, harness.asked.guild_id) == (artist.id, harness.guild.id)
    assert harness.asked.role_ids == {artists.id}
    await harness.anime()
    assert harness.asked.role_ids == frozenset()
    assert (await harness.last_job()).origin.role_ids == frozenset()


async def test_a_moderator_grants_credits_and_the_member_can_use_them(harness: SimcordHarness):
    harness.limits = Limits(daily_credits=0)
    result = await harness.manager.slash(harness.channel, "quota grant", member=harness.member, credits=2)

    assert result.ephemeral
    assert f"<@{harness.member.id}> now has 2 credits granted" in texts(result.response)
    await harness.anime()
    assert (await harness.only_job()).status is JobStatus.QUEUED
    assert "**Granted:** 1 credit (1 more reserved)" in texts(
        (await harness.member.slash(harness.channel, "quota show")).response
    )


async def test_nobody_else_grants_anything(harness: SimcordHarness):
    for actor in (harness.member, harness.moderator):  # who may manage messages only
        result = await actor.slash(harness.channel, "quota grant", member=harness.member, credits=2)
        assert result.ephemeral
        assert "You need the **Manage Server** permission" in texts(result.response)

    now = harness.clock.now()
    assert await harness.repositories.credits.usage(harness.member.id, harness.guild.id, now=now) == Usage()


async def test_a_bot_gets_no_credits(harness: SimcordHarness):
    helper = harness.guild.add_member(harness.env.create_user("helper", bot=True))

    result = await harness.manager.slash(harness.channel, "quota grant", member=helper, credits=2)

    assert "Bots can't draw here" in texts(result.response)


async def test_the_cards_say_what_they_cost(harness: SimcordHarness):
    await harness.anime(images=4)
    waiting = await harness.only_job()
    assert "-# 1 credit" in texts(harness.card(waiting))

    job = await harness.draw()

    assert " · 1 credit" in texts(harness.card(job))
    assert "· 1 credit" in texts((await harness.press(job, "details")).response)
