"""A look at finished pictures before anybody sees or stores them: what goes too far, and a look that fails, withholds them."""

from __future__ import annotations

import logging
import re
from dataclasses import replace

import pytest

from bot.domain import withholding
from bot.domain.guild_settings.settings import GuildSettings
from bot.domain.job import Actor, Job, JobStatus, Place
from bot.domain.quota import Limits, Usage
from bot.domain.safety import Rating, SafetyLevel, Showing
from bot.errors import GenerationError, ModelError
from bot.messages import message
from bot.services.safety_check import LOAD_SECONDS, LOOK_SECONDS, UNCHECKED
from bot.storage.guild_settings import SqliteGuildSettings
from bot.storage.ledger_audit import audit
from tests.examples import CHANNEL, CLASSIFIED_PROFILE, GUILD, MEMBER, MODERATOR, PROFILE, origin, request
from tests.fakes import FakeClassifier, progress
from tests.services.harness import ServicesHarness, drawing, outcomes, until

PROMPT = "a very private wish"


@pytest.fixture
def classifier(harness: ServicesHarness) -> FakeClassifier:
    """The world gets a model whose pictures are looked at."""
    harness.classifier = FakeClassifier()
    harness.limits = Limits(daily_credits=10)
    harness.build(profile=CLASSIFIED_PROFILE)
    return harness.classifier


def show_up_to(harness: ServicesHarness, rating: Rating, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make all jobs belong where pictures may go this far."""
    claim = harness.jobs.claim

    async def claimed(**times: object) -> Job | None:
        job = await claim(**times)
        where = Place(channel_id=CHANNEL, age_restricted=True)
        return job and replace(job, showing=Showing(rating=rating), origin=replace(job.origin, place=where))

    async def anything(_: int) -> GuildSettings:
        return GuildSettings(safety=SafetyLevel.AGE_RESTRICTED)

    monkeypatch.setattr(harness.jobs, "claim", claimed)
    monkeypatch.setattr(SqliteGuildSettings, "get", lambda _, guild_id: anything(guild_id))


async def submit(harness: ServicesHarness) -> Job:
    return await harness.submit(request=request(prompt=PROMPT, num_images=2))


async def withheld(harness: ServicesHarness, job: Job, *, counted: int = 0) -> Job:
    """Wait for the job's end, and see that nothing of it was posted, kept, charged or drawn again.

    `counted`: how many of the member's jobs the classifier has withheld today.
    """
    harness.start_delivery()
    failed = await harness.wait_for(JobStatus.FAILED, job)
    await until(lambda: any(card.job.status is JobStatus.FAILED for card in harness.cards()))

    assert [card.files for card in harness.cards() if card.files] == []
    assert harness.store.files == {}
    assert await harness.jobs.images(job.id) == ()
    assert await postings(harness, job) == [("reserve", 1, 0), ("refund", -1, 0)]
    assert (await harness.services.quotas.balance(job.origin)).usage == Usage(withheld=counted)
    assert outcomes(harness) == {"failed": 1}
    assert failed.attempt == 1
    return failed


async def postings(harness: ServicesHarness, job: Job) -> list[tuple[str, int, int]]:
    """The ledger's lines about the job, in their order: kind, reserved, spent."""
    sql = "SELECT kind, reserved, spent FROM ledger WHERE job_id = ? ORDER BY id"
    return [tuple(row) for row in await harness.database.read(lambda connection: connection.execute(sql, [job.id]).fetchall())]


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The errors of the log, whole; none may hold the prompt."""
    assert PROMPT not in caplog.text
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(("verdict", "status"), [(Rating.SENSITIVE, "delivered"), (Rating.QUESTIONABLE, "failed")])
async def test_a_picture_of_a_child_is_withheld_in_an_age_restricted_channel_too(
    harness: ServicesHarness, classifier: FakeClassifier, verdict: Rating, status: str
) -> None:
    await harness.repositories.guild_settings.change(
        GUILD, lambda settings: replace(settings, safety=SafetyLevel.AGE_RESTRICTED), by=MODERATOR, now=harness.clock.now()
    )
    classifier.verdicts = (verdict,)
    where = replace(origin(), place=Place(channel_id=CHANNEL, age_restricted=True))
    job = await harness.submit(request=request(prompt="little girl with a red balloon"), origin=where)
    harness.start_worker()
    harness.start_delivery()

    await harness.wait_for(JobStatus(status), job)


async def test_pictures_within_the_limit_are_looked_at_together_and_delivered(
    harness: ServicesHarness, classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier.verdicts = (Rating.SENSITIVE, Rating.GENERAL)
    show_up_to(harness, Rating.SENSITIVE, monkeypatch)
    harness.start_worker()
    harness.start_delivery()

    job = await submit(harness)

    await harness.wait_for(JobStatus.DELIVERED, job)
    assert classifier.seen == [(b"PNG of 1000", b"PNG of 1001")]
    assert [file.data for file in harness.cards()[-1].files] == [b"PNG of 1000", b"PNG of 1001"]
    assert await postings(harness, job) == [("reserve", 1, 0), ("charge", -1, 1)]
    assert [image.rating for image in await harness.jobs.images(job.id)] == [Rating.SENSITIVE, Rating.GENERAL]


@pytest.mark.parametrize(
    ("limit", "verdicts"),
    [
        (Rating.GENERAL, (Rating.SENSITIVE,)),
        (Rating.SENSITIVE, (Rating.GENERAL, Rating.QUESTIONABLE)),
        (Rating.SENSITIVE, (Rating.EXPLICIT, Rating.GENERAL)),
        (Rating.QUESTIONABLE, (Rating.EXPLICIT, Rating.EXPLICIT)),
    ],
)
async def test_one_picture_beyond_the_limit_withholds_the_whole_job(
    harness: ServicesHarness,
    classifier: FakeClassifier,
    limit: Rating,
    verdicts: tuple[Rating, ...],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    classifier.verdicts = verdicts
    show_up_to(harness, limit, monkeypatch)
    harness.start_worker()

    failed = await withheld(harness, await submit(harness), counted=1)

    assert failed.failure == withholding.withheld(1, 1)
    assert "the next 2 like it today are free" in str(failed.failure)
    assert len(harness.generator.started) == 1
    assert logged(caplog) == []


async def test_a_classifier_that_throws_withholds_and_is_told_once_in_the_log(
    harness: ServicesHarness, classifier: FakeClassifier, caplog: pytest.LogCaptureFixture
) -> None:
    classifier.fault = RuntimeError(f"CUDA error near {PROMPT!r}")
    harness.start_worker()

    failed = await withheld(harness, await submit(harness))

    (line,) = logged(caplog)
    incident = re.search(r"\[error ([0-9a-f]{8})\]", line)
    assert incident is not None
    assert failed.failure == message(UNCHECKED, incident=incident[1])
    assert f"Pictures of job {failed.id} could not be checked" in line
    assert "CUDA error near" in line
    assert len(harness.generator.started) == 1


@pytest.mark.parametrize("fault", [ModelError("The classifier is not on this machine."), OSError("no network")])
async def test_a_classifier_that_cannot_load_withholds_before_anything_is_drawn(
    harness: ServicesHarness, classifier: FakeClassifier, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    classifier.load_fault = fault
    running = harness.start_worker()

    failed = await withheld(harness, await submit(harness))

    assert "couldn't check" in str(failed.failure)
    assert harness.generator.started == []
    assert len(logged(caplog)) == 1
    assert not running.done()


async def test_a_classifier_that_nobody_built_withholds(harness: ServicesHarness, caplog: pytest.LogCaptureFixture) -> None:
    harness.limits = Limits(daily_credits=10)
    harness.build(profile=CLASSIFIED_PROFILE)
    harness.start_worker()

    failed = await withheld(harness, await submit(harness))

    assert "couldn't check" in str(failed.failure)
    assert "MissingClassifierError" in logged(caplog)[0]


async def test_a_classifier_that_hangs_withholds_after_its_time(
    harness: ServicesHarness, classifier: FakeClassifier, caplog: pytest.LogCaptureFixture
) -> None:
    classifier.gate.clear()
    harness.start_worker()
    job = await submit(harness)
    await until(lambda: LOOK_SECONDS in harness.clock.pauses)

    harness.clock.advance(LOOK_SECONDS - 1)
    assert await harness.status(job) is JobStatus.RUNNING
    harness.clock.advance(1)
    failed = await withheld(harness, job)

    assert "couldn't check" in str(failed.failure)
    assert "did not answer within 30 s" in logged(caplog)[0]
    assert len(harness.generator.started) == 1


async def test_weights_that_never_arrive_withhold_too(
    harness: ServicesHarness, classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "load", lambda: harness.clock.sleep(10 * LOAD_SECONDS))
    harness.start_worker()
    job = await submit(harness)
    await until(lambda: LOAD_SECONDS in harness.clock.pauses)

    harness.clock.advance(LOAD_SECONDS)

    assert "couldn't check" in str((await withheld(harness, job)).failure)


async def test_a_rating_too_few_or_too_many_is_a_fault(
    harness: ServicesHarness, classifier: FakeClassifier, caplog: pytest.LogCaptureFixture
) -> None:
    classifier.verdicts = (Rating.GENERAL,) * 3
    harness.start_worker()

    failed = await withheld(harness, await submit(harness))

    assert "couldn't check" in str(failed.failure)
    assert "3 ratings for 2 pictures" in logged(caplog)[0]


async def test_nothing_is_saved_while_the_classifier_still_looks(harness: ServicesHarness, classifier: FakeClassifier) -> None:
    classifier.gate.clear()
    harness.start_worker()
    job = await submit(harness)
    await until(lambda: bool(classifier.seen))

    assert harness.store.files == {}
    classifier.gate.set()
    await harness.wait_for(JobStatus.SUCCEEDED, job)
    assert len(harness.store.files) == 2


async def test_a_job_cancelled_during_the_look_is_neither_kept_nor_told_as_a_fault(
    harness: ServicesHarness, classifier: FakeClassifier, caplog: pytest.LogCaptureFixture
) -> None:
    classifier.gate.clear()
    harness.start_worker()
    job = await submit(harness)
    await until(lambda: bool(classifier.seen))

    await harness.services.generation.cancel(job.id, Actor(user_id=MEMBER))
    await until(lambda: outcomes(harness) == {"cancelled": 1})

    assert harness.store.files == {}
    assert await postings(harness, job) == [("reserve", 1, 0), ("charge", -1, 1)]  # all steps were taken
    assert logged(caplog) == []


async def test_a_shutdown_during_the_look_puts_the_job_back(harness: ServicesHarness, classifier: FakeClassifier) -> None:
    classifier.gate.clear()
    harness.start_worker()
    job = await submit(harness)
    await until(lambda: bool(classifier.seen))

    await harness.services.worker.stop(0)

    back = await harness.job(job.id)
    assert (back.status, back.tries) == (JobStatus.QUEUED, 0)
    assert harness.store.files == {}


async def test_a_picture_that_was_never_drawn_is_not_looked_at(harness: ServicesHarness, classifier: FakeClassifier) -> None:
    harness.generator.outcomes.append(GenerationError("No.", retryable=False))
    harness.start_worker()
    job = await submit(harness)

    assert (await harness.wait_for(JobStatus.FAILED, job)).failure == message("No.")
    assert classifier.seen == []


async def test_a_model_without_a_classifier_is_not_looked_at(harness: ServicesHarness) -> None:
    harness.classifier = FakeClassifier(Rating.EXPLICIT)
    harness.build(profile=PROFILE)
    harness.start_worker()

    await harness.wait_for(JobStatus.SUCCEEDED, await submit(harness))

    assert harness.classifier.seen == []


@pytest.mark.parametrize(
    ("classified", "limit", "rating", "shown"),
    [
        (True, Rating.GENERAL, Rating.GENERAL, False),  # below it there is nothing
        (True, Rating.SENSITIVE, Rating.GENERAL, True),
        (True, Rating.SENSITIVE, Rating.SENSITIVE, False),
        (True, Rating.QUESTIONABLE, Rating.SENSITIVE, True),
        (True, Rating.EXPLICIT, Rating.QUESTIONABLE, True),
        (True, Rating.EXPLICIT, Rating.EXPLICIT, False),
        (True, Rating.EXPLICIT, None, False),  # nobody has looked at it
        (False, Rating.GENERAL, None, True),
    ],
)
async def test_a_half_drawn_picture_is_shown_only_where_it_is_rated_a_level_below_what_is_allowed(
    harness: ServicesHarness,
    classified: bool,
    limit: Rating,
    rating: Rating | None,
    shown: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness.classifier = FakeClassifier()
    harness.build(profile=CLASSIFIED_PROFILE if classified else PROFILE)
    show_up_to(harness, limit, monkeypatch)
    reports = [("half", rating)]
    previews(harness, reports, monkeypatch)
    harness.start_worker()
    await submit(harness)
    await drawing(harness)

    await until(lambda: edited(harness, step=2))
    assert shown_files(harness) == ([b"half"] if shown else [])


async def test_a_later_refusal_takes_the_preview_off_the_card_and_the_newest_that_passes_is_shown(
    harness: ServicesHarness, classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    show_up_to(harness, Rating.SENSITIVE, monkeypatch)
    reports = [("first", Rating.GENERAL)]
    previews(harness, reports, monkeypatch)
    harness.start_worker()
    await submit(harness)
    await drawing(harness)
    await until(lambda: edited(harness, step=2))
    assert shown_files(harness) == [b"first"]

    for step, (name, rating, files) in enumerate(
        [
            (None, None, [b"first"]),
            ("worse", Rating.EXPLICIT, []),
            (None, None, []),
            ("better", Rating.GENERAL, [b"better"]),
        ],
        start=3,
    ):
        preview = None if name is None else name.encode()
        report = progress(request(prompt=PROMPT, num_images=2), step, preview=preview)
        harness.generator.on_progress(replace(report, rating=rating))
        await until(lambda step=step: edited(harness, step=step))
        assert shown_files(harness) == files


def previews(harness: ServicesHarness, reports: list[tuple[str, Rating | None]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each drawing report these previews and hang; `on_progress` of the generator reports more."""
    harness.generator.gate.clear()
    generate = harness.generator.generate

    async def with_previews(asked, *, init_image, on_progress, **more):
        harness.generator.on_progress = on_progress
        for step, (name, rating) in enumerate(reports, start=2):
            on_progress(replace(progress(asked, step, preview=name.encode()), rating=rating))
        return await generate(asked, init_image=init_image, on_progress=lambda _: None, **more)

    monkeypatch.setattr(harness.generator, "generate", with_previews)


def edited(harness: ServicesHarness, *, step: int) -> bool:
    """Whether the newest card shows the step; time goes on meanwhile."""
    harness.clock.advance(0.1)
    shown = [card.progress.step for card in harness.cards() if card.progress is not None]
    return bool(shown) and shown[-1] == step


def shown_files(harness: ServicesHarness) -> list[bytes]:
    return [file.data for file in harness.cards()[-1].files]


async def test_what_is_withheld_costs_nothing_three_times_a_day_and_then_its_price(
    harness: ServicesHarness, classifier: FakeClassifier
) -> None:
    classifier.verdicts = (Rating.EXPLICIT,)
    harness.start_worker()
    harness.start_delivery()
    paid: list[int | None] = []
    for number in range(1, 6):
        guild_id = GUILD if number % 2 else GUILD + 1  # all servers together
        job = await harness.submit(number, origin=origin(number, guild_id=guild_id))
        failed = await harness.wait_for(JobStatus.FAILED, job)
        assert failed.failure is not None
        assert ("You weren't charged" in str(failed.failure)) is (failed.paid == 0)
        paid.append(failed.paid)
    harness.clock.advance(24 * 3_600)
    next_day = await harness.wait_for(JobStatus.FAILED, await harness.submit(9))

    assert paid == [0, 0, 0, 1, 1]
    assert next_day.paid == 0
    assert await harness.database.read(audit) == ()


async def test_another_members_pictures_are_not_counted_together(harness: ServicesHarness, classifier: FakeClassifier) -> None:
    classifier.verdicts = (Rating.EXPLICIT,)
    harness.start_worker()
    for number in range(1, 7):
        job = await harness.submit(number, origin=origin(number, user_id=MEMBER + number % 2))
        assert (await harness.wait_for(JobStatus.FAILED, job)).paid == 0
