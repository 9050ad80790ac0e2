from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import discord
import pytest
import simcord
from simcord.backend.models.channel import Overwrite
from simcord.enums import OverwriteType

from bot.chat.report_view import KEPT_BACK, THANKS
from bot.domain.job import Actor, Job, Origin, Place
from bot.domain.report import Outcome, Report
from bot.domain.settings_edits import assign
from bot.errors import InvalidRequestError
from bot.storage.house_rules import SqliteHouseRules
from bot.storage.reports import SqliteReports
from tests.cogs.stage import Stage, custom_ids, parts, texts
from tests.cogs.test_anime import refusal
from tests.cogs.test_results import NO_JOB, refusal_beside, send

BUTTONS = ["reportremove", "reportblock", "reportdismiss"]


@pytest.fixture
async def desk(stage: Stage) -> Any:
    """The server's report channel."""
    channel = stage.guild.create_text_channel("reports")
    await choose_channel(stage, channel.id)
    return channel


async def choose_channel(stage: Stage, channel_id: int) -> None:
    await SqliteHouseRules(stage.database).change(
        stage.guild.id, lambda before: replace(before, report_channel=channel_id), by=stage.manager.id, now=stage.clock.now()
    )


async def fill_in(stage: Stage, job: Job, reason: str = "", actor: Any = None) -> simcord.InteractionResult:
    """Press Report and send the form."""
    opened = await stage.press(job, "report", actor or stage.other)
    assert opened.modal is not None
    return await (actor or stage.other).submit_modal(opened, {"reason": reason})


async def reported(stage: Stage, desk: Any, reason: str = "too much blood") -> tuple[Job, discord.Message]:
    """A picture of ann's that ben reported, and the message that moderators see."""
    job = await stage.finished(prompt="green *hair* @everyone", images=2)
    await fill_in(stage, job, reason)
    (message,) = desk.history()
    return job, message


async def decide(stage: Stage, message: Any, job: Job, action: str, actor: Any = None) -> simcord.InteractionResult:
    return await (actor or stage.moderator).click(message, custom_id=f"pastel:{action}:{job.id}")


async def latest(stage: Stage, job: Job) -> Report | None:
    return await SqliteReports(stage.database).latest(job.id)


def labels(message: Any) -> list[str]:
    return [part["label"] for part in parts(message) if part["type"] == 2]


async def test_every_card_with_pictures_has_a_report_button_in_its_first_row(stage: Stage):
    job = await stage.finished(images=4)

    assert labels(stage.card(job))[:5] == ["Reroll", "Remix", "Details", "Delete", "Report"]


async def test_a_card_in_a_direct_message_has_none_since_nobody_moderates_it(stage: Stage):
    await stage.member.user.slash("anime", prompt="mine")
    job = await stage.draw()

    card = stage.card(job, stage.member.user.dm_channel)
    assert "Report" not in labels(card)


async def test_a_report_reaches_the_moderators_with_everything_they_need(stage: Stage, desk: Any):
    job = await stage.finished(prompt="green *hair* @everyone", images=2)

    result = await fill_in(stage, job, "too **much** blood")

    assert result.ephemeral
    assert texts(result.response).strip() == THANKS
    (message,) = desk.history()
    said = texts(message)
    assert "green \\*hair\\* @\u200beveryone" in said
    assert "too \\*\\*much\\*\\* blood" in said
    assert f"by <@{stage.member.id}>" in said
    assert f"reported by <@{stage.other.id}>" in said
    assert f"https://discord.com/channels/{stage.guild.id}/{stage.channel.id}/{job.reply.message_id}" in said
    assert custom_ids(message) == [f"pastel:{action}:{job.id}" for action in BUTTONS]
    assert stage.env.backend.get_message(desk.id, message.id).ping_user_ids == []
    (gallery,) = [part for part in parts(message) if part["type"] == 12]
    assert [item["spoiler"] for item in gallery["items"]] == [True, True]
    assert len(message.attachments) == 2


@pytest.mark.parametrize("nsfw", [False, True])
async def test_pictures_for_adults_are_shown_in_an_age_restricted_report_channel_alone(stage: Stage, nsfw: bool):
    desk = stage.guild.create_text_channel("reports")
    await choose_channel(stage, desk.id)
    stage.bot.get_channel(desk.id).nsfw = nsfw
    job = await stage.finished(images=2)
    sql = "UPDATE jobs SET rating = 'explicit' WHERE id = ?"
    await stage.database.transaction(lambda connection: connection.execute(sql, (job.id,)).rowcount)
    await fill_in(stage, job)
    (message,) = desk.history()

    for _ in range(2):  # as it was posted, and edited after another report
        assert len(message.attachments) == (2 if nsfw else 0)
        assert (KEPT_BACK in texts(message)) is not nsfw
        assert labels(message) == ["Remove", "Block author", "Dismiss"]
        await fill_in(stage, job, actor=stage.moderator)
        (message,) = desk.history()


async def test_the_form_asks_for_one_reason_that_may_be_empty(stage: Stage, desk: Any):
    job = await stage.finished()

    opened = await stage.press(job, "report", stage.other)

    assert opened.modal is not None
    assert opened.modal["custom_id"] == f"pastel:reported:{job.id}"
    await fill_in(stage, job)
    assert "no reason given" in texts(desk.history()[0])


async def test_without_a_report_channel_the_member_is_told_whom_to_ask(stage: Stage):
    job = await stage.finished()

    said = refusal(await stage.press(job, "report", stage.other))

    assert "no report channel" in said
    assert "moderators" in said
    assert await latest(stage, job) is None


async def test_nobody_reports_their_own_picture(stage: Stage, desk: Any):
    job = await stage.finished()

    assert "your own picture" in refusal(await stage.press(job, "report", stage.member))
    assert desk.history() == []


async def test_a_second_reporter_joins_the_message_and_the_same_one_is_only_thanked(stage: Stage, desk: Any):
    job, _ = await reported(stage, desk, "first")

    await fill_in(stage, job, "second", stage.moderator)
    result = await fill_in(stage, job, "third")

    assert texts(result.response).strip() == THANKS
    (message,) = desk.history()
    assert "first" in texts(message)
    assert "second" in texts(message)
    assert "third" not in texts(message)
    assert len(message.attachments) == 2


async def test_five_reports_an_hour_are_possible(stage: Stage, desk: Any):
    jobs = [await stage.finished() for _ in range(6)]
    for job in jobs[:5]:
        await fill_in(stage, job)

    result = await fill_in(stage, jobs[5])

    assert "5 pictures within the last hour" in texts(result.response)
    assert len(desk.history()) == 5


async def test_many_reporters_with_long_reasons_fit_into_one_message(stage: Stage, desk: Any):
    job = await stage.finished(prompt="*" * 500)
    for number in range(6):
        await fill_in(stage, job, "*" * 300, stage.guild.add_member(stage.env.create_user(f"loud{number}")))

    (message,) = desk.history()
    assert "and 2 more" in texts(message)
    assert len(texts(message)) < 4000


async def test_where_the_bot_may_not_post_the_report_is_kept_and_the_member_told(
    stage: Stage, desk: Any, caplog: pytest.LogCaptureFixture
):
    denied = discord.Permissions(send_messages=True, view_channel=True).value
    stage.env.backend.set_overwrite(desk.id, Overwrite(target_id=stage.guild.id, type=OverwriteType.ROLE, deny=denied))
    job = await stage.finished()

    result = await fill_in(stage, job, "a secret")

    assert result.ephemeral
    assert "kept, but I could not show it" in texts(result.response)
    report = await latest(stage, job)
    assert report is not None
    assert report.is_open
    assert "secret" not in caplog.text


@pytest.mark.parametrize("denied", ["view_channel", "send_messages", "attach_files"])
async def test_a_report_channel_where_the_bot_may_not_post_is_refused_with_what_is_missing(stage: Stage, denied: str):
    desk = stage.guild.create_text_channel("reports")
    refused = discord.Permissions(**{denied: True}).value
    overwrite = Overwrite(target_id=stage.env.backend.bot_user.id, type=OverwriteType.MEMBER, deny=refused)
    stage.env.backend.set_overwrite(desk.id, overwrite)

    said = refusal(await stage.manager.slash(stage.channel, "settings reports", channel=desk))

    assert f"<#{desk.id}>: I lack **{denied.replace('_', ' ').title()}** there" in said
    assert (await SqliteHouseRules(stage.database).get(stage.guild.id)).report_channel is None


async def test_a_channel_of_another_server_is_no_report_channel(stage: Stage):
    away = stage.env.create_guild("Another club").create_text_channel("drawings")
    actor = Actor(user_id=stage.manager.id, guild_id=stage.guild.id, manages_guild=True)

    with pytest.raises(InvalidRequestError, match=r"\*\*View Channel\*\*"):
        await stage.services.house_rules.revise(actor, assign("report_channel", str(away.id)))


@pytest.mark.parametrize("where", ["gone", "elsewhere"])
async def test_a_report_channel_that_is_gone_or_of_another_server_gets_nothing(stage: Stage, where: str):
    away = stage.env.create_guild("Another club").create_text_channel("drawings")
    await choose_channel(stage, away.id if where == "elsewhere" else 77)
    job = await stage.finished()

    result = await fill_in(stage, job)

    assert "kept, but" in texts(result.response)
    assert away.history() == []


async def test_remove_deletes_the_card_and_says_who_did_it(stage: Stage, desk: Any):
    job, message = await reported(stage, desk)

    result = await decide(stage, message, job, "reportremove")

    assert result.followups == []
    assert not stage.has_card(job)
    assert stage.store.files == {}
    (message,) = desk.history()
    assert f"Pictures removed** by <@{stage.moderator.id}> <t:" in texts(message)
    assert message.attachments == []
    assert custom_ids(message) == [f"pastel:reportblock:{job.id}"]


async def test_a_reported_picture_that_its_author_deletes_closes_the_report_in_one_sentence(stage: Stage, desk: Any):
    job, _ = await reported(stage, desk)

    await stage.press(job, "delete")

    (message,) = desk.history()
    assert "Report closed" in texts(message)
    assert f"Pictures deleted** by their author <@{stage.member.id}> <t:" in texts(message)
    assert message.attachments == []
    assert custom_ids(message) == [f"pastel:reportblock:{job.id}"]


async def test_block_blocks_the_author_and_leaves_the_other_buttons(stage: Stage, desk: Any):
    job, message = await reported(stage, desk)

    await decide(stage, message, job, "reportblock")

    assert "Their reason: report" in refusal(await stage.anime())
    (message,) = desk.history()
    assert f"Author blocked** by <@{stage.moderator.id}> <t:" in texts(message)
    assert custom_ids(message) == [f"pastel:reportremove:{job.id}", f"pastel:reportdismiss:{job.id}"]
    assert len(message.attachments) == 2


async def test_dismiss_ends_the_report_and_leaves_the_picture(stage: Stage, desk: Any):
    job, message = await reported(stage, desk)

    await decide(stage, message, job, "reportdismiss")

    assert stage.has_card(job)
    (message,) = desk.history()
    assert "Report closed" in texts(message)
    assert f"Dismissed** by <@{stage.moderator.id}> <t:" in texts(message)
    assert custom_ids(message) == []


async def test_two_moderators_at_once_decide_once(stage: Stage, desk: Any):
    job, message = await reported(stage, desk)
    await decide(stage, message, job, "reportdismiss")

    for action in BUTTONS:
        late = await send(stage, f"pastel:{action}:{job.id}", stage.moderator, stage.card(job))
        assert "already closed" in refusal_beside(late)
    assert stage.has_card(job)


async def test_who_manages_the_server_decides_too(stage: Stage, desk: Any):
    job, message = await reported(stage, desk)

    await decide(stage, message, job, "reportdismiss", stage.manager)

    report = await latest(stage, job)
    assert report is not None
    assert report.outcome is Outcome.DISMISSED


@pytest.mark.parametrize("action", BUTTONS)
async def test_members_decide_nothing_even_those_who_may_manage_this_one_channel(stage: Stage, desk: Any, action: str):
    job, message = await reported(stage, desk)
    granted = discord.Permissions(manage_messages=True).value
    stage.env.backend.set_overwrite(desk.id, Overwrite(target_id=stage.other.id, type=OverwriteType.MEMBER, allow=granted))

    for actor in (stage.member, stage.other):
        assert "manage messages in this server" in refusal_beside(await decide(stage, message, job, action, actor))

    await assert_untouched(stage, job)


@pytest.mark.parametrize("action", BUTTONS)
async def test_moderators_of_another_server_and_direct_messages_decide_nothing(stage: Stage, desk: Any, action: str):
    job, _ = await reported(stage, desk)
    away = stage.env.create_guild("Another club")
    channel = away.create_text_channel("drawings")
    role = away.create_role("Moderators", permissions=discord.Permissions(manage_messages=True, manage_guild=True))
    stranger = away.add_member(stage.env.create_user("sly"), roles=[role])

    there = await stranger.slash(channel, "anime", prompt="mine")
    forged = await send_in(stage, channel.id, there.response, f"pastel:{action}:{job.id}", stranger.click)
    assert "no such report" in refusal_beside(forged)

    user = stage.moderator.user
    private = await user.slash("anime", prompt="mine")
    forged = await send_in(stage, user.dm_channel.id, private.response, f"pastel:{action}:{job.id}", user.click)
    assert "manage messages in this server" in refusal_beside(forged)

    await assert_untouched(stage, job)


async def test_a_picture_of_another_server_cannot_be_reported_from_here(stage: Stage, desk: Any):
    job = await stage.finished()
    away = stage.env.create_guild("Another club")
    channel = away.create_text_channel("drawings")
    stranger = away.add_member(stage.env.create_user("sly"))

    there = await stranger.slash(channel, "anime", prompt="mine")
    forged = await send_in(stage, channel.id, there.response, f"pastel:report:{job.id}", stranger.click)
    assert "no longer known" in refusal(forged)

    user = stage.member.user
    private = await user.slash("anime", prompt="mine")
    forged = await send_in(stage, user.dm_channel.id, private.response, f"pastel:report:{job.id}", user.click)
    assert "in direct messages there are none" in refusal(forged)
    assert desk.history() == []


async def test_forged_presses_about_no_job_or_no_report_change_nothing(stage: Stage, desk: Any):
    job = await stage.finished()

    for job_id in (NO_JOB, job.id):
        for action in BUTTONS:
            forged = await send(stage, f"pastel:{action}:{job_id}", stage.moderator, stage.card(job))
            assert "no such report" in refusal_beside(forged)
    assert "no longer known" in refusal(await send(stage, f"pastel:report:{NO_JOB}", stage.other, stage.card(job)))
    assert stage.has_card(job)
    assert stage.metrics.registry.get_sample_value("pastel_errors_total") == 0


async def test_button_form_and_decision_work_after_a_restart(stage: Stage, desk: Any):
    job = await stage.finished()
    await stage.restart()
    opened = await stage.press(job, "report", stage.other)
    assert opened.modal is not None
    await stage.restart()
    await stage.other.submit_modal(opened, {"reason": "late"})
    await stage.restart()

    (message,) = desk.history()
    assert "late" in texts(message)
    await decide(stage, message, job, "reportremove")

    assert not stage.has_card(job)


async def test_a_report_that_was_kept_and_not_shown_is_shown_by_the_next_start(stage: Stage):
    await choose_channel(stage, 77)
    job = await stage.finished()
    await fill_in(stage, job, "kept")
    desk = stage.guild.create_text_channel("reports")
    await choose_channel(stage, desk.id)

    await stage.restart()
    with stage.env.time_context():
        await stage.services.reports.display.catch_up()

    assert "kept" in texts(desk.history()[0])


async def assert_untouched(stage: Stage, job: Job) -> None:
    report = await latest(stage, job)
    assert report is not None
    assert (report.is_open, report.blocked) == (True, None)
    assert stage.has_card(job)
    await stage.services.generation.propose_reroll(job.id, asking(stage, job))


def asking(stage: Stage, job: Job) -> Origin:
    place = Place(channel_id=stage.channel.id)
    return Origin(interaction_id=1, user_id=job.origin.user_id, guild_id=stage.guild.id, place=place)


async def send_in(stage: Stage, channel_id: int, message: Any, custom_id: str, click: Callable[..., Any]) -> Any:
    """Press a button that the message does not have, anywhere."""
    stored = stage.env.backend.get_message(channel_id, message.id)
    kept, flags = stored.components, stored.flags
    stored.components = [{"type": 1, "components": [{"type": 2, "style": 2, "label": "x", "custom_id": custom_id}]}]
    stored.flags &= ~(1 << 15)
    try:
        return await click(message, custom_id=custom_id)
    finally:
        stored.components, stored.flags = kept, flags
