"""Rules that moderators tighten hold for what waits to be drawn, for what is drawn, and for what waits to be shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.guild_settings.settings import GuildSettings
from bot.domain.job import Job, JobStatus, Origin, Place
from bot.domain.prompt_rules.young_list import character
from bot.domain.quota import Limits, Usage
from bot.domain.request import StyleChoice
from bot.domain.safety import Rating, SafetyLevel
from bot.errors import ModelError
from bot.storage.ledger_audit import audit
from tests.examples import CATALOG, CHANNEL, CLASSIFIED_PROFILE, GUILD, MODERATOR, PASTEL, PROFILE, origin, request
from tests.fakes import FakeClassifier
from tests.services.harness import ServicesHarness, drawing, until

Edit = Callable[[GuildSettings], GuildSettings]
ADULT = Place(channel_id=CHANNEL, age_restricted=True)
ANYTHING: Edit = lambda settings: replace(settings, safety=SafetyLevel.AGE_RESTRICTED)  # noqa: E731
TIGHTENED: dict[str, tuple[Edit, str]] = {
    "a word": (lambda settings: replace(settings, blocked_words=("beanie",)), "a word this server has blocked"),
    "the channel": (lambda settings: replace(settings, allowed_channels=frozenset({99})), "only draw in <#99>"),
    "the steps": (lambda settings: replace(settings, max_steps=3), "up to 3 steps"),
    "the size": (lambda settings: replace(settings, max_pixels=4096), "than the 4,096 pixels this server allows"),
    "the pictures": (lambda settings: replace(settings, max_images=1), "up to 1 picture at once"),
    "the style": (lambda settings: replace(settings, allowed_styles=frozenset({"none"})), "doesn't offer that style"),
}
ASKED = request(num_images=2, height=96, more_styles=(StyleChoice(name=PASTEL.name, weight=1.0),))


@pytest.fixture
def classifier(harness: ServicesHarness) -> FakeClassifier:
    harness.classifier = FakeClassifier()
    harness.limits = Limits(daily_credits=10)
    harness.build(profile=CLASSIFIED_PROFILE)
    return harness.classifier


async def rule(harness: ServicesHarness, edit: Edit) -> None:
    await harness.repositories.guild_settings.change(GUILD, edit, by=MODERATOR, now=harness.clock.now())


async def in_adult_channel(harness: ServicesHarness, prompt: str = "green hair") -> Job:
    await rule(harness, ANYTHING)
    return await harness.submit(request=request(prompt=prompt), origin=replace(origin(), place=ADULT))


async def refused(harness: ServicesHarness, job: Job, why: str, *, drawn: bool) -> None:
    """The job ends with a reason, cost nothing, counts as nobody's fault, and left nothing."""
    failed = await harness.wait_for(JobStatus.FAILED, job)
    await until(lambda: any(card.job.status is JobStatus.FAILED for card in harness.cards()))

    assert failed.failure is not None
    assert str(failed.failure).startswith("The rules here changed ")
    assert str(failed.failure).endswith("You weren't charged.")
    assert why in str(failed.failure)
    assert (await harness.services.quotas.balance(job.origin)).usage == Usage()
    assert bool(harness.generator.started) is drawn
    assert harness.store.files == {}
    assert [card.files for card in harness.cards() if card.files] == []
    assert await harness.jobs.images(job.id) == ()
    assert await harness.database.read(audit) == ()


@pytest.mark.parametrize("tightened", TIGHTENED)
async def test_a_rule_that_was_tightened_while_a_job_waited_keeps_it_from_being_drawn(
    harness: ServicesHarness, tightened: str
) -> None:
    edit, why = TIGHTENED[tightened]
    job = await harness.submit(request=ASKED)
    await rule(harness, edit)
    harness.start_worker()
    harness.start_delivery()

    await refused(harness, job, why, drawn=False)


@pytest.mark.parametrize("tightened", TIGHTENED)
async def test_and_keeps_what_was_drawn_from_being_shown(harness: ServicesHarness, tightened: str) -> None:
    edit, why = TIGHTENED[tightened]
    job = await harness.submit(request=ASKED)
    harness.start_worker()
    await harness.wait_for(JobStatus.SUCCEEDED, job)
    await rule(harness, edit)
    harness.start_delivery()

    await refused(harness, job, why, drawn=True)


async def test_sexual_words_are_asked_about_again(harness: ServicesHarness, classifier: FakeClassifier) -> None:
    job = await in_adult_channel(harness, "1girl, nude")
    await rule(harness, lambda settings: replace(settings, safety=SafetyLevel.MODERATE))
    harness.start_worker()
    harness.start_delivery()

    await refused(harness, job, "Nudity and sexual content aren't allowed here", drawn=False)


async def test_a_picture_is_judged_by_the_rating_that_holds_when_it_is_drawn(
    harness: ServicesHarness, classifier: FakeClassifier
) -> None:
    classifier.verdicts = (Rating.EXPLICIT,)
    harness.generator.gate.clear()
    job = await in_adult_channel(harness)
    harness.start_worker()
    harness.start_delivery()
    await drawing(harness)
    await rule(harness, lambda settings: replace(settings, safety=SafetyLevel.STRICT))
    harness.generator.gate.set()

    await refused(harness, job, "goes further than they allow now", drawn=True)


async def test_a_drawn_picture_is_judged_anew_before_it_is_shown(harness: ServicesHarness, classifier: FakeClassifier) -> None:
    classifier.verdicts = (Rating.EXPLICIT,)
    job = await in_adult_channel(harness)
    harness.start_worker()
    await harness.wait_for(JobStatus.SUCCEEDED, job)
    await rule(harness, lambda settings: replace(settings, safety=SafetyLevel.STRICT))
    harness.start_delivery()

    await refused(harness, job, "goes further than they allow now", drawn=True)
    assert len(classifier.seen) == 2


@pytest.mark.parametrize("level", [SafetyLevel.STRICT, SafetyLevel.AGE_RESTRICTED])
async def test_what_stays_within_the_stricter_rating_is_shown(
    harness: ServicesHarness, classifier: FakeClassifier, level: SafetyLevel
) -> None:
    job = await in_adult_channel(harness)
    harness.start_worker()
    await harness.wait_for(JobStatus.SUCCEEDED, job)
    await rule(harness, lambda settings: replace(settings, safety=level))
    harness.start_delivery()

    await harness.wait_for(JobStatus.DELIVERED, job)
    assert len(classifier.seen) == (2 if level is SafetyLevel.STRICT else 1)


async def test_a_second_look_that_fails_shows_nothing(harness: ServicesHarness, classifier: FakeClassifier) -> None:
    job = await in_adult_channel(harness)
    harness.start_worker()
    await harness.wait_for(JobStatus.SUCCEEDED, job)
    await rule(harness, lambda settings: replace(settings, safety=SafetyLevel.STRICT))
    classifier.fault = ModelError("broken")
    harness.start_delivery()

    failed = await harness.wait_for(JobStatus.FAILED, job)
    assert "couldn't check" in str(failed.failure)
    assert harness.store.files == {}
    assert [card.files for card in harness.cards() if card.files] == []


async def test_rules_that_were_loosened_let_nothing_go_further_than_its_member_was_told(
    harness: ServicesHarness, classifier: FakeClassifier
) -> None:
    classifier.verdicts = (Rating.EXPLICIT,)
    job = await harness.submit(origin=replace(origin(), place=ADULT))
    await rule(harness, ANYTHING)
    harness.start_worker()

    failed = await harness.wait_for(JobStatus.FAILED, job)
    assert "You weren't charged, and the next 2 like it today are free" in str(failed.failure)


async def test_a_name_that_an_operator_added_holds_for_what_waits(harness: ServicesHarness, classifier: FakeClassifier) -> None:
    job = await in_adult_channel(harness, "pip, quokka hill, lingerie")
    catalog = replace(CATALOG, young=character("pip", "quokka hill", alone=False))
    harness.build(profile=CLASSIFIED_PROFILE, catalog=catalog)
    harness.start_worker()
    harness.start_delivery()

    await refused(harness, job, "never draw minors", drawn=False)


@pytest.mark.parametrize("place", [Place(channel_id=CHANNEL, parent_id=99), Place(channel_id=99), None])
async def test_a_job_stays_where_it_is_still_allowed(harness: ServicesHarness, place: Place | None) -> None:
    """In a thread of an allowed channel, in the channel, and where an older version did not keep the place."""
    channel_id = 99 if place is None else place.channel_id
    where = Origin(interaction_id=1, user_id=10, guild_id=GUILD, place=place)
    job = await harness.add(origin=where, reply=replace((await harness.add(2)).reply, channel_id=channel_id))
    await rule(harness, lambda settings: replace(settings, allowed_channels=frozenset({99})))

    assert await harness.services.worker._deps.recheck.before_drawing(await harness.job(job.id)) == await harness.job(job.id)


async def test_a_model_without_a_classifier_is_taken_at_its_word(harness: ServicesHarness) -> None:
    harness.build(profile=PROFILE)
    job = await in_adult_channel(harness, "child, park")
    harness.start_worker()
    harness.start_delivery()

    assert (await harness.wait_for(JobStatus.DELIVERED, job)).showing.rating is Rating.SENSITIVE


async def test_cards_wait_no_longer_than_the_clock_that_told_them_to(harness: ServicesHarness) -> None:
    """A machine that booted a day ahead, and whose clock is then put right."""
    harness.clock.advance(86_400)
    job = await harness.drawn()
    harness.clock.set_back(timedelta(days=1))
    harness.build()  # a restart

    assert await harness.services.delivery.deliver_due() == 1
    assert await harness.status(job) is JobStatus.DELIVERED
