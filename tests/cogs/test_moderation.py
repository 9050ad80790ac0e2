from __future__ import annotations

from typing import Any

import discord
import pytest
from simcord.backend.models.channel import Overwrite
from simcord.enums import OverwriteType

from bot.chat.member_ranks import DiscordMemberRanks
from bot.domain.job import JobStatus
from bot.domain.moderation import Rank
from bot.services.moderation import NOT_BLOCKED
from tests.cogs.harness import SimcordHarness, refusal, texts


def link(harness: SimcordHarness, message_id: int | None) -> str:
    return f"https://discord.com/channels/{harness.guild.id}/{harness.channel.id}/{message_id}"


async def moderate(harness: SimcordHarness, command: str, actor: Any = None, **options: Any) -> str:
    """What the moderator is told; always for their eyes only."""
    result = await (actor or harness.moderator).slash(harness.channel, f"moderation {command}", **options)
    assert result.ephemeral
    assert result.response is not None
    return texts(result.response)


async def test_a_blocked_member_draws_nothing_and_what_waited_is_cancelled(harness: SimcordHarness):
    await harness.anime()
    await harness.other.slash(harness.channel, "anime", prompt="somebody else's")

    said = await moderate(harness, "block", member=harness.member, reason="flood *of* cats", duration="3d")
    await harness.deliver()

    assert f"Blocked <@{harness.member.id}> until <t:" in said
    assert "cancelled 1 picture" in said
    mine, theirs = await harness.all_jobs()
    assert (mine.status, theirs.status) == (JobStatus.CANCELLED, JobStatus.QUEUED)
    assert "Cancelled" in texts(harness.card(mine))
    refused = refusal(await harness.anime())
    assert "You can't draw in this server until <t:" in refused
    assert len(await harness.all_jobs()) == 2


async def test_a_blocked_member_does_not_draw_by_button_either(harness: SimcordHarness):
    job = await harness.finished()
    await moderate(harness, "block", member=harness.other)

    for action in ("reroll", "subtle1", "upscale1"):
        assert "You can't draw in this server" in refusal(await harness.press(job, action, harness.other))


async def test_blocks_are_listed_and_lifted(harness: SimcordHarness):
    assert "Nobody is blocked" in await moderate(harness, "blocks")
    await moderate(harness, "block", member=harness.member, reason="<@1> **loud** :cat:")
    await moderate(harness, "block", member=harness.other, duration="12h")

    said = await moderate(harness, "blocks")
    assert said.index(f"<@{harness.other.id}> · until <t:") < said.index(f"<@{harness.member.id}> · until a moderator lifts it")
    assert "\\*\\*loud\\*\\*" in said
    assert f"by <@{harness.moderator.id}>" in said

    assert "can draw in this server again" in await moderate(harness, "unblock", member=harness.member)
    assert f"<@{harness.member.id}> ·" not in await moderate(harness, "blocks")
    await harness.anime()
    assert await moderate(harness, "unblock", member=harness.member) == NOT_BLOCKED


async def test_many_blocks_with_long_reasons_fit_into_one_message(harness: SimcordHarness):
    for number in range(15):
        user = harness.guild.add_member(harness.env.create_user(f"loud{number}"))
        await moderate(harness, "block", member=user, reason="*" * 200)

    said = await moderate(harness, "blocks")

    assert "and older ones" in said
    assert len(said) < 4000


@pytest.mark.parametrize("duration", ["soon", "3 fortnights", "9999w"])
async def test_a_length_that_cannot_be_is_refused_with_one_sentence(harness: SimcordHarness, duration: str):
    said = await moderate(harness, "block", member=harness.member, duration=duration)

    assert "length" in said
    assert "Nobody is blocked" in await moderate(harness, "blocks")


async def test_lengths_are_offered_while_one_types_and_free_ones_taken(harness: SimcordHarness):
    async def offered(typed: str) -> list[str]:
        choices = await harness.moderator.autocomplete(harness.channel, "moderation block", "duration", typed)
        return [choice["value"] for choice in choices]

    assert await offered("") == ["1h", "12h", "1d", "3d", "1w", "30d", "forever"]
    assert await offered("week") == ["1w"]
    assert await offered("5d") == ["5d"]
    assert await offered("soon") == []


async def test_nobody_blocks_themselves_the_bot_or_who_manages_the_server(harness: SimcordHarness):
    assert "yourself" in await moderate(harness, "block", member=harness.moderator)
    assert "can't block" in await moderate(harness, "block", member=harness.manager)
    robot = harness.guild.add_member(harness.env.create_user("robot", bot=True))
    assert "Bots can't draw" in await moderate(harness, "block", member=robot)
    assert harness.bot.user is not None
    assert await DiscordMemberRanks(harness.bot).rank(harness.guild.id, harness.bot.user.id) is Rank.BOT
    assert "Nobody is blocked" in await moderate(harness, "blocks")


@pytest.mark.parametrize("way", ["link", "job"])
async def test_a_picture_is_removed_by_link_or_job(harness: SimcordHarness, way: str):
    job = await harness.finished()

    said = await moderate(harness, "remove", picture=link(harness, job.reply.message_id) if way == "link" else job.id)

    assert "Deleted the message and its pictures" in said
    assert not harness.has_card(job)
    assert harness.store.files == {}


async def test_what_names_no_picture_of_this_server_is_refused(harness: SimcordHarness):
    job = await harness.finished()

    assert "Copy Message Link" in await moderate(harness, "remove", picture="the one with the cat")
    assert "can't find a picture of this server" in await moderate(harness, "remove", picture=link(harness, 5))
    elsewhere = link(harness, job.reply.message_id).replace(str(harness.guild.id), "77")
    assert "can't find a picture of this server" in await moderate(harness, "remove", picture=elsewhere)
    assert harness.has_card(job)


async def test_a_members_latest_jobs_are_shown_with_time_state_and_link(harness: SimcordHarness):
    shown = await harness.finished(prompt="first **one** " + "very " * 60)
    await harness.anime("second one")
    await harness.other.slash(harness.channel, "anime", prompt="somebody else's")

    said = await moderate(harness, "jobs", member=harness.member)

    assert said.index("second one") < said.index("first \\*\\*one\\*\\*")
    assert link(harness, shown.reply.message_id) in said
    assert f"<t:{int(shown.created_at.timestamp())}:f> · drawn" in said
    assert "in the queue" in said
    assert "somebody else" not in said
    assert "hasn't asked for anything" in await moderate(harness, "jobs", member=harness.manager)


async def test_many_jobs_fit_into_one_message(harness: SimcordHarness):
    for number in range(12):
        await harness.anime(f"picture {number} " + "*" * 300)

    assert len(await moderate(harness, "jobs", member=harness.member)) < 4000


async def test_who_manages_the_server_moderates_it_too(harness: SimcordHarness):
    await show_to_all(harness)
    assert "Blocked <@" in await moderate(harness, "block", harness.manager, member=harness.member)


async def show_to_all(harness: SimcordHarness) -> None:
    """Discord's menu hides the commands; a server can show them to everybody, and a request can be forged."""
    (command,) = [command for command in await harness.bot.tree.fetch_commands() if command.name == "moderation"]
    harness.guild.set_command_permissions(command.id, {harness.other: True, harness.manager: True})


COMMANDS: list[tuple[str, dict[str, Any]]] = [
    ("block", {"member": "other"}),
    ("unblock", {"member": "other"}),
    ("blocks", {}),
    ("remove", {"picture": "job"}),
    ("jobs", {"member": "member"}),
]


@pytest.mark.parametrize(("command", "options"), COMMANDS)
async def test_nobody_else_moderates_whatever_the_menu_shows(harness: SimcordHarness, command: str, options: dict[str, Any]):
    job = await harness.finished(prompt="a secret")
    await show_to_all(harness)
    values = {"other": harness.other, "member": harness.member, "job": job.id}

    said = await moderate(harness, command, harness.other, **{name: values[value] for name, value in options.items()})

    assert "**Manage Messages**" in said
    assert "secret" not in said
    assert harness.has_card(job)
    assert "Nobody is blocked" in await moderate(harness, "blocks")


async def test_the_right_in_one_channel_is_no_right_in_the_server(harness: SimcordHarness):
    granted = discord.Permissions(manage_messages=True).value
    harness.env.backend.set_overwrite(
        harness.channel.id, Overwrite(target_id=harness.other.id, type=OverwriteType.MEMBER, allow=granted)
    )
    await show_to_all(harness)

    assert "**Manage Messages**" in await moderate(harness, "block", harness.other, member=harness.member)


async def test_moderators_of_another_server_find_nothing_here(harness: SimcordHarness):
    job = await harness.finished()
    away = harness.env.create_guild("Another club")
    channel = away.create_text_channel("drawings")
    role = away.create_role("Moderators", permissions=discord.Permissions(manage_messages=True))
    stranger = away.add_member(harness.env.create_user("sly"), roles=[role])

    removed = await stranger.slash(channel, "moderation remove", picture=job.id)
    jobs = await stranger.slash(channel, "moderation jobs", member=harness.member.user)

    assert "can't find a picture of this server" in texts(removed.response)
    assert "hasn't asked for anything" in texts(jobs.response)
    assert harness.has_card(job)
