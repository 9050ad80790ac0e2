"""What jobs need is fetched before they are claimed; others pass them, and a hub that gives nothing fails those who asked."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.domain.downloads import Download, DownloadError, Transfer
from bot.domain.job import Job, JobStatus
from bot.errors import ModelError
from bot.services.fetching import FIRST_PAUSE
from tests.examples import OTHER, PASTEL, origin, request
from tests.services.harness import ServicesHarness, until

FAR = Download(title=f"the style {PASTEL.title}", repo="someone/pastel", patterns=("pastel.safetensors",))
MODEL = Download(title="the model Test Model", repo="someone/model", patterns=("model_index.json",))
STYLED = replace(request(), style=PASTEL.name, adapter_weight=1.0)


def start(harness: ServicesHarness) -> None:
    """As the start does, with the model's files on their way if they are not here."""

    async def begin() -> None:
        await harness.services.fetcher.look()
        await harness.services.worker.run()

    harness.tasks += [asyncio.create_task(begin()), asyncio.create_task(harness.services.fetcher.run())]


async def styled(harness: ServicesHarness, number: int = 1) -> Job:
    return await harness.submit(number, request=STYLED, origin=origin(number, user_id=OTHER))


def card_texts(harness: ServicesHarness, job: Job) -> list[str]:
    """What the cards of a job said was being fetched."""
    cards = (call.card for call in harness.messenger.shown if call.card is not None and call.card.job.id == job.id)
    return [card.progress.transfer.title for card in cards if card.progress is not None and card.progress.transfer is not None]


def seen_by_now(harness: ServicesHarness, job: Job) -> list[str]:
    """The same after another second; cards are edited every few seconds."""
    harness.clock.advance(1)
    return card_texts(harness, job)


async def test_a_job_whose_style_is_not_here_waits_for_it_and_others_pass(harness: ServicesHarness) -> None:
    harness.hub.absent = {PASTEL.name: FAR}
    harness.hub.transfers = (Transfer(title=FAR.title, done=120_000_000, total=394_000_000),)
    waits = await styled(harness)
    passes = await harness.submit(2)
    start(harness)

    await harness.wait_for(JobStatus.SUCCEEDED, passes)
    assert await harness.status(waits) is JobStatus.QUEUED
    await until(lambda: FAR.title in seen_by_now(harness, waits))
    harness.hub.gate.set()
    drawn = await harness.wait_for(JobStatus.SUCCEEDED, waits)
    assert (drawn.attempt, drawn.tries) == (1, 1)
    assert harness.hub.fetched == [FAR.repo]


async def test_what_several_jobs_want_is_fetched_once(harness: ServicesHarness) -> None:
    harness.hub.absent = {PASTEL.name: FAR}
    jobs = [await styled(harness, number) for number in (1, 2, 3)]
    start(harness)
    await until(lambda: harness.hub.fetched != [])
    jobs.append(await styled(harness, 4))
    await until(lambda: all(FAR.title in seen_by_now(harness, job) for job in jobs))  # although the hub has said nothing
    harness.hub.gate.set()

    for job in jobs:
        await harness.wait_for(JobStatus.SUCCEEDED, job)
    assert harness.hub.fetched == [FAR.repo]


async def test_a_hub_that_does_not_answer_fails_those_who_asked_with_a_sentence_and_their_credits(
    harness: ServicesHarness,
) -> None:
    harness.hub.absent = {PASTEL.name: FAR}
    harness.hub.faults.append(DownloadError("could not be downloaded: the hub did not answer for 45 s"))
    harness.hub.gate.set()
    job = await styled(harness)
    start(harness)

    failed = await harness.wait_for(JobStatus.FAILED, job)
    assert failed.failure is not None
    assert f"couldn't download the style **{PASTEL.title}**" in str(failed.failure)
    assert "try again in a minute" in str(failed.failure)
    assert failed.attempt == 0
    assert await harness.is_open(job)


async def test_in_the_pause_after_a_failure_the_hub_is_left_alone_and_the_pauses_grow(harness: ServicesHarness) -> None:
    timer = [0.0]
    harness.build(timer=lambda: timer[0])
    harness.hub.absent = {PASTEL.name: FAR}
    harness.hub.faults.extend(DownloadError("could not be downloaded") for _ in range(2))
    harness.hub.gate.set()
    start(harness)

    for number, (seconds, asked) in enumerate([(0.0, 1), (FIRST_PAUSE - 1, 1), (2, 2), (FIRST_PAUSE + 1, 2)], 1):
        timer[0] += seconds
        await harness.wait_for(JobStatus.FAILED, await styled(harness, number))
        assert len(harness.hub.fetched) == asked
    timer[0] += FIRST_PAUSE
    await harness.wait_for(JobStatus.SUCCEEDED, await styled(harness, 9))


async def test_a_stop_ends_the_download_and_the_next_start_begins_it_again(harness: ServicesHarness) -> None:
    harness.hub.absent = {PASTEL.name: FAR}
    job = await styled(harness)
    start(harness)
    await until(lambda: harness.hub.fetched != [])
    await harness.services.fetcher.stop()
    assert harness.hub.ended == 1
    assert await harness.status(job) is JobStatus.QUEUED


async def test_nothing_is_claimed_before_the_model_is_here_and_every_card_says_why(harness: ServicesHarness) -> None:
    harness.hub.model = (MODEL,)
    harness.hub.transfers = (Transfer(title=MODEL.title, done=1, total=2),)
    job = await harness.submit()
    start(harness)
    preparing = asyncio.create_task(harness.services.fetcher.prepare())
    await until(lambda: MODEL.title in seen_by_now(harness, job))
    assert await harness.status(job) is JobStatus.QUEUED

    harness.hub.gate.set()
    await preparing
    await harness.wait_for(JobStatus.SUCCEEDED, job)


async def test_a_model_that_cannot_be_had_is_the_operators_line(harness: ServicesHarness) -> None:
    harness.hub.model = (MODEL,)
    harness.hub.faults.append(DownloadError("is not on the hub", "Check its name."))
    harness.hub.gate.set()

    with pytest.raises(ModelError, match=r"someone/model is not on the hub\. Check its name\."):
        await harness.services.fetcher.prepare()
    assert not harness.services.fetcher.is_ready
