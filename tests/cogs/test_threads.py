"""Threads that are archived, locked or private while a job waits, and servers where only the token reaches."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from simcord.backend.errors import BackendError

from bot.chat.reach import NOT_IN_SERVER, NOT_IN_THREAD
from bot.domain.job import Job, JobStatus
from tests.cogs.stage import Stage, texts
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


async def turns(stage: Stage, minutes: int) -> None:
    for _ in range(minutes):
        await stage.env.advance_time(66)
        await stage.deliver()


async def waiting_in(stage: Stage, thread: Any) -> Job:
    await stage.member.slash(thread, "anime", prompt="1girl")
    await stage.env.advance_time(BEYOND_TOKEN)
    return await stage.last_job()


async def test_a_thread_that_archived_itself_is_opened_for_its_picture(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    teach_threads(stage, monkeypatch)
    thread = open_thread(stage)
    await waiting_in(stage, thread)
    archive(stage, thread)

    job = await stage.draw()

    assert job.status is JobStatus.DELIVERED
    assert pictures(thread) == 1
    assert not is_archived(stage, thread.id)


async def test_a_picture_for_a_thread_that_archived_itself_within_the_tokens_life_is_shown_too(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    teach_threads(stage, monkeypatch)
    thread = open_thread(stage)
    await stage.member.slash(thread, "anime", prompt="1girl")
    archive(stage, thread)

    assert (await stage.draw()).status is JobStatus.DELIVERED
    assert pictures(thread) == 1


async def test_a_locked_thread_is_waited_for(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    teach_threads(stage, monkeypatch)
    thread = open_thread(stage)
    job = await waiting_in(stage, thread)
    archive(stage, thread, locked=True)
    await stage.draw()
    await turns(stage, 30)
    assert (await stage.job(job.id)).status is JobStatus.SUCCEEDED

    unlock(stage, thread)
    await turns(stage, 11)

    assert (await stage.job(job.id)).status is JobStatus.DELIVERED
    assert pictures(thread) == 1
    assert direct_messages(stage, stage.member) == []


@pytest.mark.parametrize("shut_out", [MISSING_ACCESS, UNKNOWN_CHANNEL])
async def test_a_private_thread_that_the_bot_is_put_out_of_is_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, shut_out: tuple[int, int, str]
):
    teach_threads(stage, monkeypatch, shut_out=shut_out)
    thread = open_thread(stage, is_private=True)
    add_bot(stage, thread)
    job = await waiting_in(stage, thread)
    remove_bot(stage, thread)
    await stage.draw()
    await turns(stage, 3)
    assert (await stage.job(job.id)).status is JobStatus.SUCCEEDED

    add_bot(stage, thread)
    await turns(stage, 3)

    assert (await stage.job(job.id)).status is JobStatus.DELIVERED


async def test_after_a_day_the_picture_comes_by_direct_message(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    teach_threads(stage, monkeypatch)
    thread = open_thread(stage)
    job = await waiting_in(stage, thread)
    archive(stage, thread, locked=True)
    await stage.draw()
    await stage.database.transaction(lambda connection: connection.execute("UPDATE outbox SET attempts = 1439").rowcount)

    await turns(stage, 3)

    (message,) = direct_messages(stage, stage.member)
    assert len(message.attachments) == 1
    assert f"https://discord.com/channels/{stage.guild.id}/{thread.id}/{job.reply.message_id}" in str(message.components)
    done = await stage.job(job.id)
    assert (done.status, done.reply.message_id) == (JobStatus.DELIVERED, message.id)


async def test_a_private_thread_without_the_bot_is_told_before_anything_is_taken(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    teach_threads(stage, monkeypatch)
    thread = open_thread(stage, is_private=True)

    result = await stage.member.slash(thread, "anime", prompt="1girl")

    assert texts(result.response) == NOT_IN_THREAD
    assert result.response.ephemeral
    assert await stage.all_jobs() == []
    add_bot(stage, thread)
    await waiting_in(stage, thread)
    assert (await stage.draw()).status is JobStatus.DELIVERED


async def test_a_server_that_has_only_the_commands_is_told_before_anything_is_taken(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stage.bot, "get_guild", lambda _: None)

    result = await stage.anime()

    assert texts(result.response) == NOT_IN_SERVER
    assert await stage.all_jobs() == []


@pytest.mark.parametrize("command", ["anime", "help"])
async def test_a_first_answer_that_discord_refuses_is_no_bug_in_the_log(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, command: str
):
    caplog.set_level(logging.INFO)

    def refuse(*_: Any, **__: Any) -> Any:
        raise BackendError(*MISSING_ACCESS)

    monkeypatch.setattr(stage.env.backend, "prepare_message", refuse)
    await stage.member.slash(stage.channel, command, **({"prompt": "1girl"} if command == "anime" else {}))

    assert stage.metrics.registry.get_sample_value("pastel_errors_total") == 0
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert [job.status for job in await stage.all_jobs()] in ([], [JobStatus.CANCELLED])
