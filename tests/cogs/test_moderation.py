from __future__ import annotations

from typing import Any

import discord
import pytest
from simcord.backend.models.channel import Overwrite
from simcord.enums import OverwriteType

from bot.chat.roster import DiscordRoster
from bot.domain.job import JobStatus
from bot.domain.moderation import Rank
from bot.services.moderation import NOT_BLOCKED
from tests.cogs.stage import Stage, texts
from tests.cogs.test_anime import refusal


def link(stage: Stage, message_id: int | None) -> str:
    return f"https://discord.com/channels/{stage.guild.id}/{stage.channel.id}/{message_id}"


async def moderate(stage: Stage, command: str, actor: Any = None, **options: Any) -> str:
    """What the moderator is told; always for their eyes only."""
    result = await (actor or stage.moderator).slash(stage.channel, f"moderation {command}", **options)
    assert result.ephemeral
    assert result.response is not None
    return texts(result.response)


async def test_a_blocked_member_draws_nothing_and_what_waited_is_cancelled(stage: Stage):
    await stage.anime()
    await stage.other.slash(stage.channel, "anime", prompt="somebody else's")

    said = await moderate(stage, "block", member=stage.member, reason="flood *of* cats", duration="3d")
    await stage.deliver()

    assert f"<@{stage.member.id}> cannot draw in this server until <t:" in said
    assert "1 job cancelled" in said
    mine, theirs = await stage.all_jobs()
    assert (mine.status, theirs.status) == (JobStatus.CANCELLED, JobStatus.QUEUED)
    assert "Cancelled" in texts(stage.card(mine))
    refused = refusal(await stage.anime())
    assert "have blocked you from drawing here until <t:" in refused
    assert len(await stage.all_jobs()) == 2


async def test_a_blocked_member_does_not_draw_by_button_either(stage: Stage):
    job = await stage.finished()
    await moderate(stage, "block", member=stage.other)

    for action in ("reroll", "subtle1", "upscale1"):
        assert "blocked you" in refusal(await stage.press(job, action, stage.other))


async def test_blocks_are_listed_and_lifted(stage: Stage):
    assert "Nobody is blocked" in await moderate(stage, "blocks")
    await moderate(stage, "block", member=stage.member, reason="<@1> **loud** :cat:")
    await moderate(stage, "block", member=stage.other, duration="12h")

    said = await moderate(stage, "blocks")
    assert said.index(f"<@{stage.other.id}> · until <t:") < said.index(f"<@{stage.member.id}> · until somebody lifts it")
    assert "\\*\\*loud\\*\\*" in said
    assert f"by <@{stage.moderator.id}>" in said

    assert "can draw in this server again" in await moderate(stage, "unblock", member=stage.member)
    assert f"<@{stage.member.id}> ·" not in await moderate(stage, "blocks")
    await stage.anime()
    assert await moderate(stage, "unblock", member=stage.member) == NOT_BLOCKED


async def test_many_blocks_with_long_reasons_fit_into_one_message(stage: Stage):
    for number in range(15):
        user = stage.guild.add_member(stage.env.create_user(f"loud{number}"))
        await moderate(stage, "block", member=user, reason="*" * 200)

    said = await moderate(stage, "blocks")

    assert "and older ones" in said
    assert len(said) < 4000


@pytest.mark.parametrize("duration", ["soon", "3 fortnights", "9999w"])
async def test_a_length_that_cannot_be_is_refused_with_one_sentence(stage: Stage, duration: str):
    said = await moderate(stage, "block", member=stage.member, duration=duration)

    assert "length" in said
    assert "Nobody is blocked" in await moderate(stage, "blocks")


async def test_lengths_are_offered_while_one_types_and_free_ones_taken(stage: Stage):
    async def offered(typed: str) -> list[str]:
        choices = await stage.moderator.autocomplete(stage.channel, "moderation block", "duration", typed)
        return [choice["value"] for choice in choices]

    assert await offered("") == ["1h", "12h", "1d", "3d", "1w", "30d", "forever"]
    assert await offered("week") == ["1w"]
    assert await offered("5d") == ["5d"]
    assert await offered("soon") == []


async def test_nobody_blocks_themselves_the_bot_or_who_manages_the_server(stage: Stage):
    assert "yourself" in await moderate(stage, "block", member=stage.moderator)
    assert "cannot be blocked" in await moderate(stage, "block", member=stage.manager)
    robot = stage.guild.add_member(stage.env.create_user("robot", bot=True))
    assert "bot draws nothing" in await moderate(stage, "block", member=robot)
    assert stage.bot.user is not None
    assert await DiscordRoster(stage.bot).rank(stage.guild.id, stage.bot.user.id) is Rank.BOT
    assert "Nobody is blocked" in await moderate(stage, "blocks")


@pytest.mark.parametrize("way", ["link", "job"])
async def test_a_picture_is_removed_by_link_or_job(stage: Stage, way: str):
    job = await stage.finished()

    said = await moderate(stage, "remove", picture=link(stage, job.reply.message_id) if way == "link" else job.id)

    assert "Removed" in said
    assert not stage.has_card(job)
    assert stage.store.files == {}


async def test_what_names_no_picture_of_this_server_is_refused(stage: Stage):
    job = await stage.finished()

    assert "Copy Message Link" in await moderate(stage, "remove", picture="the one with the cat")
    assert "no picture of this server" in await moderate(stage, "remove", picture=link(stage, 5))
    elsewhere = link(stage, job.reply.message_id).replace(str(stage.guild.id), "77")
    assert "no picture of this server" in await moderate(stage, "remove", picture=elsewhere)
    assert stage.has_card(job)


async def test_a_members_latest_jobs_are_shown_with_time_state_and_link(stage: Stage):
    shown = await stage.finished(prompt="first **one** " + "very " * 60)
    await stage.anime("second one")
    await stage.other.slash(stage.channel, "anime", prompt="somebody else's")

    said = await moderate(stage, "jobs", member=stage.member)

    assert said.index("second one") < said.index("first \\*\\*one\\*\\*")
    assert link(stage, shown.reply.message_id) in said
    assert f"<t:{int(shown.created_at.timestamp())}:f> · drawn" in said
    assert "waits" in said
    assert "somebody else" not in said
    assert "has not asked for anything" in await moderate(stage, "jobs", member=stage.manager)


async def test_many_jobs_fit_into_one_message(stage: Stage):
    for number in range(12):
        await stage.anime(f"picture {number} " + "*" * 300)

    assert len(await moderate(stage, "jobs", member=stage.member)) < 4000


async def test_who_manages_the_server_moderates_it_too(stage: Stage):
    await show_to_all(stage)
    assert "cannot draw" in await moderate(stage, "block", stage.manager, member=stage.member)


async def show_to_all(stage: Stage) -> None:
    """Discord's menu hides the commands; a server can show them to everybody, and a request can be forged."""
    (command,) = [command for command in await stage.bot.tree.fetch_commands() if command.name == "moderation"]
    stage.guild.set_command_permissions(command.id, {stage.other: True, stage.manager: True})


COMMANDS: list[tuple[str, dict[str, Any]]] = [
    ("block", {"member": "other"}),
    ("unblock", {"member": "other"}),
    ("blocks", {}),
    ("remove", {"picture": "job"}),
    ("jobs", {"member": "member"}),
]


@pytest.mark.parametrize(("command", "options"), COMMANDS)
async def test_nobody_else_moderates_whatever_the_menu_shows(stage: Stage, command: str, options: dict[str, Any]):
    job = await stage.finished(prompt="a secret")
    await show_to_all(stage)
    values = {"other": stage.other, "member": stage.member, "job": job.id}

    said = await moderate(stage, command, stage.other, **{name: values[value] for name, value in options.items()})

    assert "manage messages in this server" in said
    assert "secret" not in said
    assert stage.has_card(job)
    assert "Nobody is blocked" in await moderate(stage, "blocks")


async def test_the_right_in_one_channel_is_no_right_in_the_server(stage: Stage):
    granted = discord.Permissions(manage_messages=True).value
    stage.env.backend.set_overwrite(
        stage.channel.id, Overwrite(target_id=stage.other.id, type=OverwriteType.MEMBER, allow=granted)
    )
    await show_to_all(stage)

    assert "manage messages in this server" in await moderate(stage, "block", stage.other, member=stage.member)


async def test_moderators_of_another_server_find_nothing_here(stage: Stage):
    job = await stage.finished()
    away = stage.env.create_guild("Another club")
    channel = away.create_text_channel("drawings")
    role = away.create_role("Moderators", permissions=discord.Permissions(manage_messages=True))
    stranger = away.add_member(stage.env.create_user("sly"), roles=[role])

    removed = await stranger.slash(channel, "moderation remove", picture=job.id)
    jobs = await stranger.slash(channel, "moderation jobs", member=stage.member.user)

    assert "no picture of this server" in texts(removed.response)
    assert "has not asked for anything" in texts(jobs.response)
    assert stage.has_card(job)
