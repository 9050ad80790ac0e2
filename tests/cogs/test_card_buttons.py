from __future__ import annotations

from typing import Any

import discord
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simcord.backend.models.channel import Overwrite, OverwriteType

from bot.chat.actions import Press
from bot.domain.job import JobStatus, Relation
from tests.cogs.harness import SimcordHarness, parts, refusal, send, texts

NO_JOB = "f" * 16


@pytest.mark.parametrize(
    ("kind", "is_told"), [(discord.ChannelType.public_thread, True), (discord.ChannelType.private_thread, False)]
)
async def test_a_card_in_a_private_thread_is_known_to_its_people_alone(
    harness: SimcordHarness, kind: discord.ChannelType, is_told: bool
):
    made = harness.env.backend.create_thread(harness.channel.id, "a thread", harness.member.id, type=kind.value)
    (thread,) = [thread for thread in harness.channel.threads if thread.id == made.id]
    harness.env.backend.add_thread_member(thread.id, harness.env.backend.bot_user.id)
    await harness.member.slash(thread, "anime", prompt="owlsecret")
    hidden = await harness.draw()
    shown = await harness.finished()

    told = await send(harness, f"pastel:details:{hidden.id}", harness.other, harness.card(shown))

    assert ("owlsecret" in texts(told.response)) is is_told
    assert ("picture is gone" in texts(told.response)) is not is_told


async def test_a_reroll_of_somebody_elses_picture_is_a_new_job_of_whoever_pressed(harness: SimcordHarness):
    first = await harness.finished(seed=5)

    await harness.press(first, "reroll", harness.other)
    second = await harness.last_job()

    assert second.id != first.id
    assert second.origin.user_id == harness.other.id
    assert second.parent is not None
    assert (second.parent.job_id, second.parent.relation) == (first.id, Relation.REROLL)
    assert second.request.seed != 5
    await harness.draw()
    card = harness.card(second)
    assert f"https://discord.com/channels/{harness.guild.id}/{harness.channel.id}/{first.reply.message_id}" in texts(card)
    assert f"by <@{harness.member.id}>" in texts(card)
    assert harness.env.backend.get_message(harness.channel.id, card.id).ping_user_ids == []
    assert len(harness.channel.history()) == 2


@pytest.mark.parametrize(("action", "share"), [("subtle2", 0.15), ("strong2", 0.42)])
async def test_a_variation_starts_from_the_chosen_picture(harness: SimcordHarness, action: str, share: float):
    first = await harness.finished(seed=100, images=2)

    await harness.press(first, action)

    second = await harness.last_job()
    assert second.parent is not None
    assert second.parent.image_index == 1
    assert second.request.seed == 101
    assert [blend.strength for blend in second.request.blends] == [share]


async def test_a_single_picture_has_plain_variation_buttons(harness: SimcordHarness):
    card = harness.card(await harness.finished())

    labels = [part["label"] for part in parts(card) if part["type"] == 2]
    assert labels == ["Reroll", "Remix", "Details", "Delete", "Report", "Vary (subtle)", "Vary (strong)", "Upscale"]


async def test_details_show_all_parameters_to_whoever_asks_and_nobody_else(harness: SimcordHarness):
    first = await harness.finished(images=2, seed=41)

    result = await harness.press(first, "details", harness.other)

    assert result.response is not None
    assert result.response.ephemeral
    said = texts(result.response)
    assert first.id in said
    assert "Seed: 41" in said
    assert "Seed: 42" in said


async def test_details_that_cannot_be_quoted_come_as_a_file_letter_for_letter(harness: SimcordHarness):
    first = await harness.finished(prompt="a ```` b", images=4)

    result = await harness.press(first, "details")

    assert result.response is not None
    (file,) = result.response.attachments
    assert (await file.read()).count(first.request.prompt.encode()) == 4


async def test_details_of_a_job_without_pictures_say_what_was_asked_for(harness: SimcordHarness):
    await harness.anime("1girl", seed=3, negative_prompt="hat")
    job = await harness.only_job()
    await harness.press(job, "cancel")
    await harness.deliver()

    result = await send(harness, f"pastel:details:{job.id}", message=harness.card(job))

    assert "Negative prompt: lowres, bad anatomy, hat" in texts(result.response)
    assert "Seed: 3" in texts(result.response)


async def test_the_owner_cancels_a_waiting_job(harness: SimcordHarness):
    await harness.anime()
    job = await harness.only_job()

    result = await harness.press(job, "cancel")
    await harness.deliver()

    assert result.acknowledged
    assert result.followups == []
    assert (await harness.job(job.id)).status is JobStatus.CANCELLED
    assert "Cancelled" in texts(harness.card(job))


async def test_others_cannot_cancel_or_delete(harness: SimcordHarness):
    await harness.anime()
    waiting = await harness.only_job()

    assert "Only the person who made" in refusal_beside(await harness.press(waiting, "cancel", harness.other))
    assert (await harness.job(waiting.id)).status is JobStatus.QUEUED

    done = await harness.draw()
    assert "Only the person who made" in refusal_beside(await harness.press(done, "delete", harness.other))
    assert harness.has_card(done)


def refusal_beside(result: Any) -> str:
    """What was said to the member alone beside a card that stays."""
    (message,) = result.followups
    assert message.ephemeral
    return message.content


async def test_moderators_cancel_and_delete_what_others_made(harness: SimcordHarness):
    await harness.anime()
    await harness.press(await harness.only_job(), "cancel", harness.moderator)
    await harness.deliver()
    assert (await harness.only_job()).status is JobStatus.CANCELLED

    done = await harness.finished()
    await harness.press(done, "delete", harness.moderator)
    assert not harness.has_card(done)
    assert harness.store.files == {}


async def test_buttons_work_after_a_restart_of_the_bot(harness: SimcordHarness):
    done = await harness.finished(images=2)
    await harness.anime("1boy")
    waiting = await harness.last_job()

    await harness.restart()

    await harness.press(waiting, "cancel")
    assert (await harness.job(waiting.id)).status is JobStatus.CANCELLED
    for action in ("reroll", "subtle1", "strong2", "upscale2"):
        before = len(await harness.all_jobs())
        await harness.press(done, action)
        assert len(await harness.all_jobs()) == before + 1
    assert (await harness.press(done, "remix")).modal is not None
    assert (await harness.press(done, "details")).response is not None
    await harness.press(done, "delete")
    assert not harness.has_card(done)


async def test_buttons_of_a_deleted_picture_say_so(harness: SimcordHarness):
    kept, gone = await harness.finished(), await harness.finished()
    await harness.press(gone, "delete")

    for action in ("reroll", "subtle1", "upscale1", "remix", "details"):
        result = await send(harness, f"pastel:{action}:{gone.id}", message=harness.card(kept))
        assert "picture is gone" in refusal(result)
    assert len(await harness.all_jobs()) == 2


async def test_a_cancelled_job_cannot_be_cancelled_again_but_rerolled(harness: SimcordHarness):
    await harness.anime()
    job = await harness.only_job()
    await harness.press(job, "cancel")
    await harness.deliver()

    result = await send(harness, f"pastel:cancel:{job.id}", message=harness.card(job))
    assert "already cancelled" in refusal_beside(result)

    await harness.press(job, "reroll")
    assert len(await harness.all_jobs()) == 2


async def test_varying_before_there_is_a_picture_is_refused(harness: SimcordHarness):
    await harness.anime()
    job = await harness.only_job()

    result = await send(harness, f"pastel:subtle1:{job.id}", message=harness.card(job))

    assert "no picture yet" in refusal(result)


KNOWN_ACTIONS = st.sampled_from(["reroll", "remix", "details", "cancel", "delete", "subtle1", "upscale1"])
FORGED = st.one_of(
    KNOWN_ACTIONS.map(lambda action: f"pastel:{action}:{NO_JOB}"),
    st.from_regex(r"pastel:[a-z]{1,8}[0-9]?:[0-9a-f]{16}", fullmatch=True),
    st.from_regex(r"pastel:(subtle|strong|upscale)[0-9]?:JOB", fullmatch=True),
    st.text(min_size=1, max_size=100).filter(lambda text: text.isprintable()),
)


async def test_a_forged_custom_id_changes_nothing(harness: SimcordHarness):
    """What a stranger can send: any id. One picture exists, so number 1 of it is the only true one."""
    job = await harness.finished()
    card = harness.card(job)
    loop_results: list[str] = []

    async def check(custom_id: str) -> None:
        forged = custom_id.replace("JOB", job.id)
        press = Press.parse(forged)
        if press is not None and press.job_id == job.id and press.image == 1:
            return
        await send(harness, forged, actor=harness.other, message=card)
        loop_results.append(forged)

    for custom_id in examples(FORGED, 60):
        await check(custom_id)

    assert len(loop_results) > 20
    assert [known.id for known in await harness.all_jobs()] == [job.id]
    assert harness.has_card(job)
    assert harness.metrics.registry.get_sample_value("pastel_errors_total") == 0


def examples(strategy: st.SearchStrategy[str], count: int) -> list[str]:
    """Draw from `strategy` outside of a test function of hypothesis, which cannot await; derandomized."""
    drawn: list[str] = []

    @settings(max_examples=count, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def draw(value: str) -> None:
        drawn.append(value)

    draw()
    return drawn


async def test_a_reroll_where_the_bot_may_not_post_is_refused(harness: SimcordHarness):
    job = await harness.finished()
    denied = discord.Permissions(attach_files=True).value
    harness.env.backend.set_overwrite(
        harness.channel.id, Overwrite(target_id=harness.guild.id, type=OverwriteType.ROLE, deny=denied)
    )

    assert "Attach Files" in refusal(await harness.press(job, "reroll"))


@pytest.mark.parametrize("action", ["reroll", "subtle1", "strong1", "upscale1"])
async def test_a_doubled_click_is_one_wish(harness: SimcordHarness, action: str):
    job = await harness.finished()
    messages = len(harness.channel.history())

    await harness.press(job, action)
    again = await harness.press(job, action)

    assert again.acknowledged
    assert (again.followups, len(await harness.all_jobs()), len(harness.channel.history())) == ([], 2, messages + 1)
    harness.env.backend.advance_clock(3)
    await harness.press(job, action)
    assert len(await harness.all_jobs()) == 3
