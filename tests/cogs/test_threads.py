"""Threads that are archived, locked or private while a job waits, and servers where only the token reaches."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from simcord.backend.errors import BackendError

from bot.chat.deliverability import NOT_IN_SERVER, NOT_IN_THREAD
from bot.domain.job import Job, JobStatus
from tests.cogs.harness import SimcordHarness, texts
from tests.cogs.threads import (
    MISSING_ACCESS,
    UNKNOWN_CHANNEL,
    add_bot,
    archive,
    direct_messages,
    is_archived,
    open_thread,
    remove_bot,
    teach_threads,
    unlock,
)

BEYOND_TOKEN = 20 * 60.0  # seconds


def pictures(thread: Any) -> int:
    return sum(len(message.attachments) for message in thread.history())


async def turns(harness: SimcordHarness, minutes: int) -> None:
    for _ in range(minutes):
        await harness.env.advance_time(66)
        await harness.deliver()


async def waiting_in(harness: SimcordHarness, thread: Any) -> Job:
    await harness.member.slash(thread, "anime", prompt="1girl")
    await harness.env.advance_time(BEYOND_TOKEN)
    return await harness.last_job()


async def test_a_thread_that_archived_itself_is_opened_for_its_picture(
    harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch
):
    teach_threads(harness, monkeypatch)
    thread = open_thread(harness)
    await waiting_in(harness, thread)
    archive(harness, thread)

    job = await harness.draw()

    assert job.status is JobStatus.DELIVERED
    assert pictures(thread) == 1
    assert not is_archived(harness, thread.id)


async def test_a_picture_for_a_thread_that_archived_itself_within_the_tokens_life_is_shown_too(
    harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch
):
    teach_threads(harness, monkeypatch)
    thread = open_thread(harness)
    await harness.member.slash(thread, "anime", prompt="1girl")
    archive(harness, thread)

    assert (await harness.draw()).status is JobStatus.DELIVERED
    assert pictures(thread) == 1


async def test_a_locked_thread_is_waited_for(harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch):
    teach_threads(harness, monkeypatch)
    thread = open_thread(harness)
    job = await waiting_in(harness, thread)
    archive(harness, thread, locked=True)
    await harness.draw()
    await turns(harness, 30)
    assert (await harness.job(job.id)).status is JobStatus.SUCCEEDED

    unlock(harness, thread)
    await turns(harness, 11)

    assert (await harness.job(job.id)).status is JobStatus.DELIVERED
    assert pictures(thread) == 1
    assert direct_messages(harness, harness.member) == []


@pytest.mark.parametrize("shut_out", [MISSING_ACCESS, UNKNOWN_CHANNEL])
async def test_a_private_thread_that_the_bot_is_put_out_of_is_waited_for(
    harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch, shut_out: tuple[int, int, str]
):
    teach_threads(harness, monkeypatch, shut_out=shut_out)
    thread = open_thread(harness, is_private=True)
    add_bot(harness, thread)
    job = await waiting_in(harness, thread)
    remove_bot(harness, thread)
    await harness.draw()
    await turns(harness, 3)
    assert (await harness.job(job.id)).status is JobStatus.SUCCEEDED

    add_bot(harness, thread)
    await turns(harness, 3)

    assert (await harness.job(job.id)).status is JobStatus.DELIVERED


async def test_after_a_day_the_picture_comes_by_direct_message(harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch):
    teach_threads(harness, monkeypatch)
    thread = open_thread(harness)
    job = await waiting_in(harness, thread)
    archive(harness, thread, locked=True)
    await harness.draw()
    await harness.database.transaction(lambda connection: connection.execute("UPDATE outbox SET attempts = 1439").rowcount)

    await turns(harness, 3)

    (message,) = direct_messages(harness, harness.member)
    assert len(message.attachments) == 1
    assert f"https://discord.com/channels/{harness.guild.id}/{thread.id}/{job.reply.message_id}" in str(message.components)
    done = await harness.job(job.id)
    assert (done.status, done.reply.message_id) == (JobStatus.DELIVERED, message.id)


async def test_a_private_thread_without_the_bot_is_told_before_anything_is_taken(
    harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch
):
    teach_threads(harness, monkeypatch)
    thread = open_thread(harness, is_private=True)

    result = await harness.member.slash(thread, "anime", prompt="1girl")

    assert texts(result.response) == NOT_IN_THREAD
    assert result.response.ephemeral
    assert await harness.all_jobs() == []
    add_bot(harness, thread)
    await waiting_in(harness, thread)
    assert (await harness.draw()).status is JobStatus.DELIVERED


async def test_a_server_that_has_only_the_commands_is_told_before_anything_is_taken(
    harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(harness.bot, "get_guild", lambda _: None)

    result = await harness.anime()

    assert texts(result.response) == NOT_IN_SERVER
    assert await harness.all_jobs() == []


@pytest.mark.parametrize("command", ["anime", "help"])
async def test_a_first_answer_that_discord_refuses_is_no_bug_in_the_log(
    harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, command: str
):
    caplog.set_level(logging.INFO)

    def refuse(*_: Any, **__: Any) -> Any:
        raise BackendError(*MISSING_ACCESS)

    monkeypatch.setattr(harness.env.backend, "prepare_message", refuse)
    await harness.member.slash(harness.channel, command, **({"prompt": "1girl"} if command == "anime" else {}))

    assert harness.metrics.registry.get_sample_value("pastel_errors_total") == 0
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert [job.status for job in await harness.all_jobs()] in ([], [JobStatus.CANCELLED])
