"""A look at finished pictures before anybody sees or stores them: what goes too far, and a look that fails, withholds them."""

from __future__ import annotations

import logging
import re
from dataclasses import replace

import pytest

from bot.domain import withholding
from bot.domain.house_rules import GuildSettings
from bot.domain.job import Actor, Job, JobStatus, Place
from bot.domain.quota import Limits, Standing
from bot.domain.safety import Rating, SafetyLevel, Showing
from bot.errors import GenerationError, ModelError
from bot.services.inspection import LOAD_SECONDS, LOOK_SECONDS, UNCHECKED
from bot.storage.audit import audit
from bot.storage.house_rules import SqliteHouseRules
from tests.examples import CHANNEL, CLASSIFIED_PROFILE, GUILD, MEMBER, MODERATOR, PROFILE, origin, request
from tests.fakes import FakeClassifier, progress
from tests.services.world import World, drawing, outcomes, until

PROMPT = "a very private wish"


@pytest.fixture
def classifier(world: World) -> FakeClassifier:
    """The world gets a model whose pictures are looked at."""
    world.classifier = FakeClassifier()
    world.limits = Limits(daily_credits=10)
    world.build(profile=CLASSIFIED_PROFILE)
    return world.classifier


def show_up_to(world: World, rating: Rating, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make all jobs belong where pictures may go this far."""
    claim = world.jobs.claim

    async def claimed(**times: object) -> Job | None:
        job = await claim(**times)
        where = Place(channel_id=CHANNEL, age_restricted=True)
        return job and replace(job, showing=Showing(rating=rating), origin=replace(job.origin, place=where))

    async def anything(_: int) -> GuildSettings:
        return GuildSettings(safety=SafetyLevel.AGE_RESTRICTED)

    monkeypatch.setattr(world.jobs, "claim", claimed)
    monkeypatch.setattr(SqliteHouseRules, "get", lambda _, guild_id: anything(guild_id))


async def submit(world: World) -> Job:
    return await world.submit(request=request(prompt=PROMPT, num_images=2))


async def withheld(world: World, job: Job, *, counted: int = 0) -> Job:
    """Wait for the job's end, and see that nothing of it was posted, kept, charged or drawn again.

    `counted`: how many of the member's jobs the classifier has withheld today.
    """
    world.start_delivery()
    failed = await world.wait_for(JobStatus.FAILED, job)
    await until(lambda: any(card.job.status is JobStatus.FAILED for card in world.cards()))

    assert [card.files for card in world.cards() if card.files] == []
    assert world.store.files == {}
    assert await world.jobs.images(job.id) == ()
    assert await postings(world, job) == [("reserve", 1, 0), ("refund", -1, 0)]
    assert (await world.services.quotas.statement(job.origin)).standing == Standing(withheld=counted)
    assert outcomes(world) == {"failed": 1}
    assert failed.attempt == 1
    return failed


async def postings(world: World, job: Job) -> list[tuple[str, int, int]]:
    """The ledger's lines about the job, in their order: kind, reserved, spent."""
    sql = "SELECT kind, reserved, spent FROM ledger WHERE job_id = ? ORDER BY id"
    return [tuple(row) for row in await world.database.read(lambda connection: connection.execute(sql, [job.id]).fetchall())]


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The errors of the log, whole; none may hold the prompt."""
    assert PROMPT not in caplog.text
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(("verdict", "status"), [(Rating.SENSITIVE, "delivered"), (Rating.QUESTIONABLE, "failed")])
async def test_a_picture_of_a_child_is_withheld_in_an_age_restricted_channel_too(
    world: World, classifier: FakeClassifier, verdict: Rating, status: str
) -> None:
    await SqliteHouseRules(world.database).change(
        GUILD, lambda settings: replace(settings, safety=SafetyLevel.AGE_RESTRICTED), by=MODERATOR, now=world.clock.now()
    )
    classifier.verdicts = (verdict,)
    where = replace(origin(), place=Place(channel_id=CHANNEL, age_restricted=True))
    job = await world.submit(request=request(prompt="little girl with a red balloon"), origin=where)
    world.start_worker()
    world.start_delivery()

    await world.wait_for(JobStatus(status), job)


async def test_pictures_within_the_limit_are_looked_at_together_and_delivered(
    world: World, classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier.verdicts = (Rating.SENSITIVE, Rating.GENERAL)
    show_up_to(world, Rating.SENSITIVE, monkeypatch)
    world.start_worker()
    world.start_delivery()

    job = await submit(world)

    await world.wait_for(JobStatus.DELIVERED, job)
    assert classifier.seen == [(b"PNG of 1000", b"PNG of 1001")]
    assert [file.data for file in world.cards()[-1].files] == [b"PNG of 1000", b"PNG of 1001"]
    assert await postings(world, job) == [("reserve", 1, 0), ("charge", -1, 1)]


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
    world: World,
    classifier: FakeClassifier,
    limit: Rating,
    verdicts: tuple[Rating, ...],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    classifier.verdicts = verdicts
    show_up_to(world, limit, monkeypatch)
    world.start_worker()

    failed = await withheld(world, await submit(world), counted=1)

    assert failed.failure == withholding.withheld(1, 1)
    assert "that holds for 2 more today" in failed.failure
    assert len(world.generator.started) == 1
    assert logged(caplog) == []


async def test_a_classifier_that_throws_withholds_and_is_told_once_in_the_log(
    world: World, classifier: FakeClassifier, caplog: pytest.LogCaptureFixture
) -> None:
    classifier.fault = RuntimeError(f"CUDA error near {PROMPT!r}")
    world.start_worker()

    failed = await withheld(world, await submit(world))

    (line,) = logged(caplog)
    incident = re.search(r"\[error ([0-9a-f]{8})\]", line)
    assert incident is not None
    assert failed.failure == UNCHECKED.format(incident=incident[1])
    assert f"Pictures of job {failed.id} could not be checked" in line
    assert "CUDA error near" in line
    assert len(world.generator.started) == 1


@pytest.mark.parametrize("fault", [ModelError("The classifier is not on this machine."), OSError("no network")])
async def test_a_classifier_that_cannot_load_withholds_before_anything_is_drawn(
    world: World, classifier: FakeClassifier, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    classifier.load_fault = fault
    running = world.start_worker()

    failed = await withheld(world, await submit(world))

    assert "could not be checked" in str(failed.failure)
    assert world.generator.started == []
    assert len(logged(caplog)) == 1
    assert not running.done()


async def test_a_classifier_that_nobody_built_withholds(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.limits = Limits(daily_credits=10)
    world.build(profile=CLASSIFIED_PROFILE)
    world.start_worker()

    failed = await withheld(world, await submit(world))

    assert "could not be checked" in str(failed.failure)
    assert "MissingClassifierError" in logged(caplog)[0]


async def test_a_classifier_that_hangs_withholds_after_its_time(
    world: World, classifier: FakeClassifier, caplog: pytest.LogCaptureFixture
) -> None:
    classifier.gate.clear()
    world.start_worker()
    job = await submit(world)
    await until(lambda: LOOK_SECONDS in world.clock.pauses)

    world.clock.advance(LOOK_SECONDS - 1)
    assert await world.status(job) is JobStatus.RUNNING
    world.clock.advance(1)
    failed = await withheld(world, job)

    assert "could not be checked" in str(failed.failure)
    assert "did not answer within 30 s" in logged(caplog)[0]
    assert len(world.generator.started) == 1


async def test_weights_that_never_arrive_withhold_too(
    world: World, classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "load", lambda: world.clock.sleep(10 * LOAD_SECONDS))
    world.start_worker()
    job = await submit(world)
    await until(lambda: LOAD_SECONDS in world.clock.pauses)

    world.clock.advance(LOAD_SECONDS)

    assert "could not be checked" in str((await withheld(world, job)).failure)


async def test_a_rating_too_few_or_too_many_is_a_fault(
    world: World, classifier: FakeClassifier, caplog: pytest.LogCaptureFixture
) -> None:
    classifier.verdicts = (Rating.GENERAL,) * 3
    world.start_worker()

    failed = await withheld(world, await submit(world))

    assert "could not be checked" in str(failed.failure)
    assert "3 ratings for 2 pictures" in logged(caplog)[0]


async def test_nothing_is_saved_while_the_classifier_still_looks(world: World, classifier: FakeClassifier) -> None:
    classifier.gate.clear()
    world.start_worker()
    job = await submit(world)
    await until(lambda: bool(classifier.seen))

    assert world.store.files == {}
    classifier.gate.set()
    await world.wait_for(JobStatus.SUCCEEDED, job)
    assert len(world.store.files) == 2


async def test_a_job_cancelled_during_the_look_is_neither_kept_nor_told_as_a_fault(
    world: World, classifier: FakeClassifier, caplog: pytest.LogCaptureFixture
) -> None:
    classifier.gate.clear()
    world.start_worker()
    job = await submit(world)
    await until(lambda: bool(classifier.seen))

    await world.services.generation.cancel(job.id, Actor(user_id=MEMBER))
    await until(lambda: outcomes(world) == {"cancelled": 1})

    assert world.store.files == {}
    assert await postings(world, job) == [("reserve", 1, 0), ("charge", -1, 1)]  # all steps were taken
    assert logged(caplog) == []


async def test_a_shutdown_during_the_look_puts_the_job_back(world: World, classifier: FakeClassifier) -> None:
    classifier.gate.clear()
    world.start_worker()
    job = await submit(world)
    await until(lambda: bool(classifier.seen))

    await world.services.worker.stop(0)

    back = await world.job(job.id)
    assert (back.status, back.tries) == (JobStatus.QUEUED, 0)
    assert world.store.files == {}


async def test_a_picture_that_was_never_drawn_is_not_looked_at(world: World, classifier: FakeClassifier) -> None:
    world.generator.outcomes.append(GenerationError("No.", retryable=False))
    world.start_worker()
    job = await submit(world)

    assert (await world.wait_for(JobStatus.FAILED, job)).failure == "No."
    assert classifier.seen == []


async def test_a_model_without_a_classifier_is_not_looked_at(world: World) -> None:
    world.classifier = FakeClassifier(Rating.EXPLICIT)
    world.build(profile=PROFILE)
    world.start_worker()

    await world.wait_for(JobStatus.SUCCEEDED, await submit(world))

    assert world.classifier.seen == []


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
    world: World, classified: bool, limit: Rating, rating: Rating | None, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.classifier = FakeClassifier()
    world.build(profile=CLASSIFIED_PROFILE if classified else PROFILE)
    show_up_to(world, limit, monkeypatch)
    reports = [("half", rating)]
    previews(world, reports, monkeypatch)
    world.start_worker()
    await submit(world)
    await drawing(world)

    await until(lambda: edited(world, step=2))
    assert shown_files(world) == ([b"half"] if shown else [])


async def test_a_later_refusal_takes_the_preview_off_the_card_and_the_newest_that_passes_is_shown(
    world: World, classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    show_up_to(world, Rating.SENSITIVE, monkeypatch)
    reports = [("first", Rating.GENERAL)]
    previews(world, reports, monkeypatch)
    world.start_worker()
    await submit(world)
    await drawing(world)
    await until(lambda: edited(world, step=2))
    assert shown_files(world) == [b"first"]

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
        world.generator.on_progress(replace(report, rating=rating))
        await until(lambda step=step: edited(world, step=step))
        assert shown_files(world) == files


def previews(world: World, reports: list[tuple[str, Rating | None]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each drawing report these previews and hang; `on_progress` of the generator reports more."""
    world.generator.gate.clear()
    generate = world.generator.generate

    async def with_previews(asked, *, init_image, on_progress, **more):
        world.generator.on_progress = on_progress
        for step, (name, rating) in enumerate(reports, start=2):
            on_progress(replace(progress(asked, step, preview=name.encode()), rating=rating))
        return await generate(asked, init_image=init_image, on_progress=lambda _: None, **more)

    monkeypatch.setattr(world.generator, "generate", with_previews)


def edited(world: World, *, step: int) -> bool:
    """Whether the newest card shows the step; time goes on meanwhile."""
    world.clock.advance(0.1)
    shown = [card.progress.step for card in world.cards() if card.progress is not None]
    return bool(shown) and shown[-1] == step


def shown_files(world: World) -> list[bytes]:
    return [file.data for file in world.cards()[-1].files]


async def test_what_is_withheld_costs_nothing_three_times_a_day_and_then_its_price(
    world: World, classifier: FakeClassifier
) -> None:
    classifier.verdicts = (Rating.EXPLICIT,)
    world.start_worker()
    world.start_delivery()
    paid: list[int | None] = []
    for number in range(1, 6):
        guild_id = GUILD if number % 2 else GUILD + 1  # all servers together
        job = await world.submit(number, origin=origin(number, guild_id=guild_id))
        failed = await world.wait_for(JobStatus.FAILED, job)
        assert failed.failure is not None
        assert ("Nothing was charged" in failed.failure) is (failed.paid == 0)
        paid.append(failed.paid)
    world.clock.advance(24 * 3_600)
    next_day = await world.wait_for(JobStatus.FAILED, await world.submit(9))

    assert paid == [0, 0, 0, 1, 1]
    assert next_day.paid == 0
    assert await world.database.read(audit) == ()


async def test_another_members_pictures_are_not_counted_together(world: World, classifier: FakeClassifier) -> None:
    classifier.verdicts = (Rating.EXPLICIT,)
    world.start_worker()
    for number in range(1, 7):
        job = await world.submit(number, origin=origin(number, user_id=MEMBER + number % 2))
        assert (await world.wait_for(JobStatus.FAILED, job)).paid == 0
