"""Interactions that come in late, twice, or while the answer gets lost."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from bot.chat import replies
from bot.domain.job import JobStatus
from bot.domain.quota import Limits
from bot.services import reception
from tests.cogs.harness import SimcordHarness


def requests_of(harness: SimcordHarness) -> list[str]:
    return [entry.path for entry in harness.env.backend.http_requests]


async def deliver_late(harness: SimcordHarness, seconds: float, press: Any) -> Any:
    """Carry out `press`, with the event reaching the bot `seconds` after Discord made it."""
    emit = harness.env.backend.emit

    def late(event: str, payload: Any) -> None:
        if event == "INTERACTION_CREATE":
            harness.env.backend.advance_clock(seconds)
        emit(event, payload)

    harness.env.backend.emit = late  # type: ignore[method-assign]
    try:
        return await press()
    finally:
        del harness.env.backend.emit


async def test_a_command_that_comes_in_too_late_is_dropped_before_any_work(harness: SimcordHarness):
    await harness.member.slash(harness.channel, "help")  # how long events take is known from the others
    before = len(requests_of(harness))

    result = await deliver_late(harness, 2.7, harness.anime)

    assert not result.acknowledged
    assert len(requests_of(harness)) == before
    assert await harness.all_jobs() == []


async def test_a_press_and_a_form_that_come_in_too_late_are_dropped(harness: SimcordHarness):
    await harness.anime()
    job = await harness.only_job()
    result = await deliver_late(harness, 2.7, lambda: harness.press(job, "cancel"))
    assert not result.acknowledged
    assert (await harness.job(job.id)).status is JobStatus.QUEUED

    done = await harness.draw()
    shown = await harness.press(done, "remix")
    values = {"prompt": "1boy", "negative_prompt": "", "size": ["square"], "style": ["-"], "images": ["1"]}
    result = await deliver_late(harness, 2.7, lambda: harness.member.submit_modal(shown, values))
    assert not result.acknowledged
    assert len(await harness.all_jobs()) == 1


async def test_an_answer_after_three_seconds_costs_nothing_and_makes_no_noise(
    harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Discord takes no answer any more, so the job that was stored before it is cancelled at once and costs nothing."""
    monkeypatch.setattr(harness.bot._freshness, "is_stale", lambda *_: False)

    await deliver_late(harness, 3.5, harness.anime)

    job = await harness.only_job()
    assert (job.status, job.shown_at) == (JobStatus.CANCELLED, None)
    await harness.deliver()
    assert harness.channel.history() == []
    assert harness.metrics.registry.get_sample_value("pastel_errors_total") == 0
    assert not [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]


async def test_an_event_that_discord_sends_twice_is_one_job(harness: SimcordHarness):
    emit = harness.env.backend.emit

    def twice(event: str, payload: Any) -> None:
        emit(event, copy.deepcopy(payload))
        if event == "INTERACTION_CREATE":
            emit(event, payload)

    harness.env.backend.emit = twice  # type: ignore[method-assign]
    await harness.anime()
    del harness.env.backend.emit

    assert len(await harness.all_jobs()) == 1
    assert len(harness.channel.history()) == 1
    assert harness.metrics.registry.get_sample_value("pastel_errors_total") == 0


async def test_the_job_is_stored_before_the_one_answer_which_is_its_card(
    harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch
):
    shown: list[int] = []
    add = harness.jobs.add

    async def watched(*args: Any, **kwargs: Any) -> Any:
        added = await add(*args, **kwargs)
        shown.append(len(harness.channel.history()))
        return added

    monkeypatch.setattr(harness.jobs, "add", watched)
    before = len(requests_of(harness))
    result = await harness.anime()
    assert [path.rpartition("/")[2] for path in requests_of(harness)[before:]] == ["callback"]
    assert not result.deferred
    await harness.press(await harness.draw(), "reroll")

    assert shown == [0, 1]


def without_patience(harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every job take too long to be stored (that this is noticed, test_reception shows)."""

    async def asks(_: Any, answer: Any) -> Any:
        await answer.ask_for_patience()
        return reception.Asked.YES

    monkeypatch.setattr(harness.services.generation._reception, "_ask_for_patience", asks)


async def test_a_slow_disk_is_said_and_the_card_follows_for_all_to_see(
    harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch
):
    without_patience(harness, monkeypatch)
    result = await harness.anime()

    assert result.response is not None
    assert result.response.ephemeral
    assert "nothing was started" in result.response.content
    (card,) = result.followups
    assert not card.ephemeral
    job = await harness.draw()
    assert job.reply.message_id == card.id
    assert len(harness.card(job).attachments) == 1


async def test_a_refusal_takes_the_place_of_the_slow_sentence(harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch):
    harness.limits = Limits(daily_credits=0)
    without_patience(harness, monkeypatch)
    result = await harness.anime()

    assert result.response is not None
    assert "This costs 1 credit" in result.response.content
    assert result.followups == []
    assert await harness.all_jobs() == []


async def test_a_member_who_cannot_be_told_is_no_error(harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch):
    """The answer itself gets lost on its way, after the refusal was decided."""
    calls: list[str] = []

    async def reset(interaction: replies.Interaction, sentence: str) -> None:
        calls.append(sentence)
        raise ConnectionResetError

    monkeypatch.setattr("bot.chat.errors.refuse", reset)
    await harness.anime(" ")

    assert len(calls) == 1
    assert harness.metrics.registry.get_sample_value("pastel_errors_total") == 0
