from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import discord
import pytest
import simcord
from simcord.backend.models.channel import Overwrite
from simcord.enums import OverwriteType

from bot.chat.views.report import KEPT_BACK, THANKS
from bot.domain.guild_settings.edits import assign
from bot.domain.job import Actor, Job, Origin, Place
from bot.domain.report import Outcome, Report
from bot.errors import InvalidRequestError
from tests.cogs.harness import SimcordHarness, custom_ids, parts, refusal, send, texts
from tests.cogs.test_card_buttons import NO_JOB, refusal_beside

BUTTONS = ["reportremove", "reportblock", "reportdismiss"]


@pytest.fixture
async def desk(harness: SimcordHarness) -> Any:
    """The server's report channel."""
    channel = harness.guild.create_text_channel("reports")
    await choose_channel(harness, channel.id)
    return channel


async def choose_channel(harness: SimcordHarness, channel_id: int) -> None:
    await harness.repositories.guild_settings.change(
        harness.guild.id,
        lambda before: replace(before, report_channel=channel_id),
        by=harness.manager.id,
        now=harness.clock.now(),
    )


async def fill_in(harness: SimcordHarness, job: Job, reason: str = "", actor: Any = None) -> simcord.InteractionResult:
    """Press Report and send the form."""
    opened = await harness.press(job, "report", actor or harness.other)
    assert opened.modal is not None
    return await (actor or harness.other).submit_modal(opened, {"reason": reason})


async def reported(harness: SimcordHarness, desk: Any, reason: str = "too much blood") -> tuple[Job, discord.Message]:
    """A picture of ann's that ben reported, and the message that moderators see."""
    job = await harness.finished(prompt="green *hair* @everyone", images=2)
    await fill_in(harness, job, reason)
    (message,) = desk.history()
    return job, message


async def decide(harness: SimcordHarness, message: Any, job: Job, action: str, actor: Any = None) -> simcord.InteractionResult:
    return await (actor or harness.moderator).click(message, custom_id=f"pastel:{action}:{job.id}")


async def latest(harness: SimcordHarness, job: Job) -> Report | None:
    return await harness.repositories.reports.latest(job.id)


def labels(message: Any) -> list[str]:
    return [part["label"] for part in parts(message) if part["type"] == 2]


async def test_every_card_with_pictures_has_a_report_button_in_its_first_row(harness: SimcordHarness):
    job = await harness.finished(images=4)

    assert labels(harness.card(job))[:5] == ["Reroll", "Remix", "Details", "Delete", "Report"]


async def test_a_card_in_a_direct_message_has_none_since_nobody_moderates_it(harness: SimcordHarness):
    await harness.member.user.slash("anime", prompt="mine")
    job = await harness.draw()

    card = harness.card(job, harness.member.user.dm_channel)
    assert "Report" not in labels(card)


async def test_a_report_reaches_the_moderators_with_everything_they_need(harness: SimcordHarness, desk: Any):
    job = await harness.finished(prompt="green *hair* @everyone", images=2)

    result = await fill_in(harness, job, "too **much** blood")

    assert result.ephemeral
    assert texts(result.response).strip() == THANKS
    (message,) = desk.history()
    said = texts(message)
    assert "green \\*hair\\* @\u200beveryone" in said
    assert "too \\*\\*much\\*\\* blood" in said
    assert f"by <@{harness.member.id}>" in said
    assert f"reported by <@{harness.other.id}>" in said
    assert f"https://discord.com/channels/{harness.guild.id}/{harness.channel.id}/{job.reply.message_id}" in said
    assert custom_ids(message) == [f"pastel:{action}:{job.id}" for action in BUTTONS]
    assert harness.env.backend.get_message(desk.id, message.id).ping_user_ids == []
    (gallery,) = [part for part in parts(message) if part["type"] == 12]
    assert [item["spoiler"] for item in gallery["items"]] == [True, True]
    assert len(message.attachments) == 2


@pytest.mark.parametrize("nsfw", [False, True])
async def test_pictures_for_adults_are_shown_in_an_age_restricted_report_channel_alone(harness: SimcordHarness, nsfw: bool):
    desk = harness.guild.create_text_channel("reports")
    await choose_channel(harness, desk.id)
    harness.bot.get_channel(desk.id).nsfw = nsfw
    job = await harness.finished(images=2)
    sql = "UPDATE jobs SET rating = 'explicit' WHERE id = ?"
    await harness.database.transaction(lambda connection: connection.execute(sql, (job.id,)).rowcount)
    await fill_in(harness, job)
    (message,) = desk.history()

    for _ in range(2):  # as it was posted, and edited after another report
        assert len(message.attachments) == (2 if nsfw else 0)
        assert (KEPT_BACK in texts(message)) is not nsfw
        assert labels(message) == ["Delete", "Block author", "Dismiss"]
        await fill_in(harness, job, actor=harness.moderator)
        (message,) = desk.history()


async def test_the_form_asks_for_one_reason_that_may_be_empty(harness: SimcordHarness, desk: Any):
    job = await harness.finished()

    opened = await harness.press(job, "report", harness.other)

    assert opened.modal is not None
    assert opened.modal["custom_id"] == f"pastel:reported:{job.id}"
    await fill_in(harness, job)
    assert "no reason given" in texts(desk.history()[0])


async def test_without_a_report_channel_the_member_is_told_whom_to_ask(harness: SimcordHarness):
    job = await harness.finished()

    said = refusal(await harness.press(job, "report", harness.other))

    assert "no report channel" in said
    assert "tell a moderator" in said
    assert await latest(harness, job) is None


async def test_nobody_reports_their_own_picture(harness: SimcordHarness, desk: Any):
    job = await harness.finished()

    assert "one's yours" in refusal(await harness.press(job, "report", harness.member))
    assert desk.history() == []


async def test_a_second_reporter_joins_the_message_and_the_same_one_is_only_thanked(harness: SimcordHarness, desk: Any):
    job, _ = await reported(harness, desk, "first")

    await fill_in(harness, job, "second", harness.moderator)
    result = await fill_in(harness, job, "third")

    assert texts(result.response).strip() == THANKS
    (message,) = desk.history()
    assert "first" in texts(message)
    assert "second" in texts(message)
    assert "third" not in texts(message)
    assert len(message.attachments) == 2


async def test_five_reports_an_hour_are_possible(harness: SimcordHarness, desk: Any):
    jobs = [await harness.finished() for _ in range(6)]
    for job in jobs[:5]:
        await fill_in(harness, job)

    result = await fill_in(harness, jobs[5])

    assert "5 pictures in the last hour" in texts(result.response)
    assert len(desk.history()) == 5


async def test_many_reporters_with_long_reasons_fit_into_one_message(harness: SimcordHarness, desk: Any):
    job = await harness.finished(prompt="*" * 500)
    for number in range(6):
        await fill_in(harness, job, "*" * 300, harness.guild.add_member(harness.env.create_user(f"loud{number}")))

    (message,) = desk.history()
    assert "and 2 more" in texts(message)
    assert len(texts(message)) < 4000


async def test_where_the_bot_may_not_post_the_report_is_kept_and_the_member_told(
    harness: SimcordHarness, desk: Any, caplog: pytest.LogCaptureFixture
):
    denied = discord.Permissions(send_messages=True, view_channel=True).value
    harness.env.backend.set_overwrite(desk.id, Overwrite(target_id=harness.guild.id, type=OverwriteType.ROLE, deny=denied))
    job = await harness.finished()

    result = await fill_in(harness, job, "a secret")

    assert result.ephemeral
    assert "I kept your report, but couldn't post it" in texts(result.response)
    report = await latest(harness, job)
    assert report is not None
    assert report.is_open
    assert "secret" not in caplog.text


@pytest.mark.parametrize("denied", ["view_channel", "send_messages", "attach_files"])
async def test_a_report_channel_where_the_bot_may_not_post_is_refused_with_what_is_missing(
    harness: SimcordHarness, denied: str
):
    desk = harness.guild.create_text_channel("reports")
    refused = discord.Permissions(**{denied: True}).value
    overwrite = Overwrite(target_id=harness.env.backend.bot_user.id, type=OverwriteType.MEMBER, deny=refused)
    harness.env.backend.set_overwrite(desk.id, overwrite)

    said = refusal(await harness.manager.slash(harness.channel, "settings reports", channel=desk))

    assert f"<#{desk.id}>: I need **{denied.replace('_', ' ').title()}** there" in said
    assert (await harness.repositories.guild_settings.get(harness.guild.id)).report_channel is None


async def test_a_channel_of_another_server_is_no_report_channel(harness: SimcordHarness):
    away = harness.env.create_guild("Another club").create_text_channel("drawings")
    actor = Actor(user_id=harness.manager.id, guild_id=harness.guild.id, manages_guild=True)

    with pytest.raises(InvalidRequestError, match=r"\*\*View Channel\*\*"):
        await harness.services.guild_settings.revise(actor, assign("report_channel", str(away.id)))


@pytest.mark.parametrize("where", ["gone", "elsewhere"])
async def test_a_report_channel_that_is_gone_or_of_another_server_gets_nothing(harness: SimcordHarness, where: str):
    away = harness.env.create_guild("Another club").create_text_channel("drawings")
    await choose_channel(harness, away.id if where == "elsewhere" else 77)
    job = await harness.finished()

    result = await fill_in(harness, job)

    assert "I kept your report, but" in texts(result.response)
    assert away.history() == []


async def test_remove_deletes_the_card_and_says_who_did_it(harness: SimcordHarness, desk: Any):
    job, message = await reported(harness, desk)

    result = await decide(harness, message, job, "reportremove")

    assert result.followups == []
    assert not harness.has_card(job)
    assert harness.store.files == {}
    (message,) = desk.history()
    assert f"Pictures deleted** by <@{harness.moderator.id}> <t:" in texts(message)
    assert message.attachments == []
    assert custom_ids(message) == [f"pastel:reportblock:{job.id}"]


async def test_a_reported_picture_that_its_author_deletes_closes_the_report_in_one_sentence(harness: SimcordHarness, desk: Any):
    job, _ = await reported(harness, desk)

    await harness.press(job, "delete")

    (message,) = desk.history()
    assert "Report closed" in texts(message)
    assert f"Pictures deleted** by their author <@{harness.member.id}> <t:" in texts(message)
    assert message.attachments == []
    assert custom_ids(message) == [f"pastel:reportblock:{job.id}"]


async def test_block_blocks_the_author_and_leaves_the_other_buttons(harness: SimcordHarness, desk: Any):
    job, message = await reported(harness, desk)

    await decide(harness, message, job, "reportblock")

    assert "Reason: report" in refusal(await harness.anime())
    (message,) = desk.history()
    assert f"Author blocked** by <@{harness.moderator.id}> <t:" in texts(message)
    assert custom_ids(message) == [f"pastel:reportremove:{job.id}", f"pastel:reportdismiss:{job.id}"]
    assert len(message.attachments) == 2


async def test_dismiss_ends_the_report_and_leaves_the_picture(harness: SimcordHarness, desk: Any):
    job, message = await reported(harness, desk)

    await decide(harness, message, job, "reportdismiss")

    assert harness.has_card(job)
    (message,) = desk.history()
    assert "Report closed" in texts(message)
    assert f"Dismissed** by <@{harness.moderator.id}> <t:" in texts(message)
    assert custom_ids(message) == []


async def test_two_moderators_at_once_decide_once(harness: SimcordHarness, desk: Any):
    job, message = await reported(harness, desk)
    await decide(harness, message, job, "reportdismiss")

    for action in BUTTONS:
        late = await send(harness, f"pastel:{action}:{job.id}", harness.moderator, harness.card(job))
        assert "already closed" in refusal_beside(late)
    assert harness.has_card(job)


async def test_who_manages_the_server_decides_too(harness: SimcordHarness, desk: Any):
    job, message = await reported(harness, desk)

    await decide(harness, message, job, "reportdismiss", harness.manager)

    report = await latest(harness, job)
    assert report is not None
    assert report.outcome is Outcome.DISMISSED


@pytest.mark.parametrize("action", BUTTONS)
async def test_members_decide_nothing_even_those_who_may_manage_this_one_channel(
    harness: SimcordHarness, desk: Any, action: str
):
    job, message = await reported(harness, desk)
    granted = discord.Permissions(manage_messages=True).value
    harness.env.backend.set_overwrite(desk.id, Overwrite(target_id=harness.other.id, type=OverwriteType.MEMBER, allow=granted))

    for actor in (harness.member, harness.other):
        assert "**Manage Messages**" in refusal_beside(await decide(harness, message, job, action, actor))

    await assert_untouched(harness, job)


@pytest.mark.parametrize("action", BUTTONS)
async def test_moderators_of_another_server_and_direct_messages_decide_nothing(harness: SimcordHarness, desk: Any, action: str):
    job, _ = await reported(harness, desk)
    away = harness.env.create_guild("Another club")
    channel = away.create_text_channel("drawings")
    role = away.create_role("Moderators", permissions=discord.Permissions(manage_messages=True, manage_guild=True))
    stranger = away.add_member(harness.env.create_user("sly"), roles=[role])

    there = await stranger.slash(channel, "anime", prompt="mine")
    forged = await send_in(harness, channel.id, there.response, f"pastel:{action}:{job.id}", stranger.click)
    assert "don't know that report" in refusal_beside(forged)

    user = harness.moderator.user
    private = await user.slash("anime", prompt="mine")
    forged = await send_in(harness, user.dm_channel.id, private.response, f"pastel:{action}:{job.id}", user.click)
    assert "**Manage Messages**" in refusal_beside(forged)

    await assert_untouched(harness, job)


async def test_a_picture_of_another_server_cannot_be_reported_from_here(harness: SimcordHarness, desk: Any):
    job = await harness.finished()
    away = harness.env.create_guild("Another club")
    channel = away.create_text_channel("drawings")
    stranger = away.add_member(harness.env.create_user("sly"))

    there = await stranger.slash(channel, "anime", prompt="mine")
    forged = await send_in(harness, channel.id, there.response, f"pastel:report:{job.id}", stranger.click)
    assert "picture is gone" in refusal(forged)

    user = harness.member.user
    private = await user.slash("anime", prompt="mine")
    forged = await send_in(harness, user.dm_channel.id, private.response, f"pastel:report:{job.id}", user.click)
    assert "no moderators in direct messages" in refusal(forged)
    assert desk.history() == []


async def test_forged_presses_about_no_job_or_no_report_change_nothing(harness: SimcordHarness, desk: Any):
    job = await harness.finished()

    for job_id in (NO_JOB, job.id):
        for action in BUTTONS:
            forged = await send(harness, f"pastel:{action}:{job_id}", harness.moderator, harness.card(job))
            assert "don't know that report" in refusal_beside(forged)
    assert "picture is gone" in refusal(await send(harness, f"pastel:report:{NO_JOB}", harness.other, harness.card(job)))
    assert harness.has_card(job)
    assert harness.metrics.registry.get_sample_value("pastel_errors_total") == 0


async def test_button_form_and_decision_work_after_a_restart(harness: SimcordHarness, desk: Any):
    job = await harness.finished()
    await harness.restart()
    opened = await harness.press(job, "report", harness.other)
    assert opened.modal is not None
    await harness.restart()
    await harness.other.submit_modal(opened, {"reason": "late"})
    await harness.restart()

    (message,) = desk.history()
    assert "late" in texts(message)
    await decide(harness, message, job, "reportremove")

    assert not harness.has_card(job)


async def test_a_report_that_was_kept_and_not_shown_is_shown_by_the_next_start(harness: SimcordHarness):
    await choose_channel(harness, 77)
    job = await harness.finished()
    await fill_in(harness, job, "kept")
    desk = harness.guild.create_text_channel("reports")
    await choose_channel(harness, desk.id)

    await harness.restart()
    with harness.env.time_context():
        await harness.services.reports.display.catch_up()

    assert "kept" in texts(desk.history()[0])


async def assert_untouched(harness: SimcordHarness, job: Job) -> None:
    report = await latest(harness, job)
    assert report is not None
    assert (report.is_open, report.blocked) == (True, None)
    assert harness.has_card(job)
    await harness.services.generation.propose_reroll(job.id, asking(harness, job))


def asking(harness: SimcordHarness, job: Job) -> Origin:
    place = Place(channel_id=harness.channel.id)
    return Origin(interaction_id=1, user_id=job.origin.user_id, guild_id=harness.guild.id, place=place)


async def send_in(harness: SimcordHarness, channel_id: int, message: Any, custom_id: str, click: Callable[..., Any]) -> Any:
    """Press a button that the message does not have, anywhere."""
    stored = harness.env.backend.get_message(channel_id, message.id)
    kept, flags = stored.components, stored.flags
    stored.components = [{"type": 1, "components": [{"type": 2, "style": 2, "label": "x", "custom_id": custom_id}]}]
    stored.flags &= ~(1 << 15)
    try:
        return await click(message, custom_id=custom_id)
    finally:
        stored.components, stored.flags = kept, flags
