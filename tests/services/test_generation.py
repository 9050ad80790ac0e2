"""Proposing, submitting and asking."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.domain.job import Actor, JobStatus, Parent, Relation, VariationStrength
from bot.domain.profile import Catalog, Quality
from bot.domain.request import Draft, NoiseBlend, NoiseDraws, StyleChoice
from bot.domain.sampler import SAMPLERS
from bot.errors import InvalidRequestError, NotAllowedError, NotFoundError
from tests.examples import (
    CATALOG,
    GUILD,
    MEMBER,
    MODERATOR,
    OTHER,
    OTHER_PROFILE,
    PASTEL,
    PROFILE,
    origin,
    reply,
    request,
)
from tests.fakes import START
from tests.services.harness import ServicesHarness, until

OWNER = Actor(user_id=MEMBER, guild_id=GUILD)
STRANGER = Actor(user_id=OTHER, guild_id=GUILD)
A_MODERATOR = Actor(user_id=MODERATOR, guild_id=GUILD, manages_messages=True)
UNKNOWN = "ffffffffffffffff"


async def test_a_draft_becomes_a_stored_job_with_a_queued_card(harness: ServicesHarness) -> None:
    service = harness.services.generation
    proposal = await service.propose(Draft(prompt=" a\ncat ", size="portrait", style="pastel", seed=7), origin())

    submission = await service.submit(proposal, origin(), reply())

    assert submission.created
    stored = await harness.job(submission.job.id)
    assert (stored.status, stored.request.prompt, stored.request.height) == (JobStatus.QUEUED, "a cat", 96)
    assert (stored.request.style, stored.request.seed) == ("pastel", 7)
    await until(lambda: len(harness.messenger.shown) == 1)
    card = harness.cards()[0]
    assert (card.job.status, card.style_titles) == (JobStatus.QUEUED, ("Pastel Anime",))
    assert card.position is not None
    assert card.position.ahead == 0


async def test_a_replayed_interaction_is_one_job_and_shows_nothing_new(harness: ServicesHarness) -> None:
    service = harness.services.generation
    proposal = await service.propose(Draft(prompt="a cat"), origin())
    first = await service.submit(proposal, origin(5), reply())
    await until(lambda: len(harness.messenger.shown) == 1)

    again = await service.submit(proposal, origin(5), reply(message_id=41))
    await harness.services.live.stop()

    assert (again.created, again.job.id) == (False, first.job.id)
    assert len(harness.messenger.calls) == 1
    assert sum((await harness.jobs.counts()).values()) == 1
    assert harness.metrics.registry.get_sample_value("pastel_submitted_total", {"relation": "new"}) == 1


async def test_forty_members_at_once_get_forty_jobs(harness: ServicesHarness) -> None:
    proposal = await harness.services.generation.propose(Draft(prompt="a cat"), origin())

    submissions = await asyncio.gather(
        *(harness.services.generation.submit(proposal, origin(n // 2, user_id=n // 2), reply()) for n in range(80))
    )

    assert sum(submission.created for submission in submissions) == 40
    assert (await harness.jobs.counts()) == {"queued": 40}


async def test_everybody_may_reroll_on_their_own_account_with_a_link_to_the_parent(harness: ServicesHarness) -> None:
    job = await harness.delivered()

    proposal = await harness.services.generation.propose_reroll(job.id, origin())
    child = (await harness.services.generation.submit(proposal, origin(2, user_id=OTHER), reply(message_id=41))).job

    assert child.origin.user_id == OTHER
    assert child.parent == Parent(job_id=job.id, relation=Relation.REROLL)
    assert replace(child.request, seed=job.request.seed, rating=job.request.rating) == job.request
    assert harness.metrics.registry.get_sample_value("pastel_submitted_total", {"relation": "reroll"}) == 1


@pytest.mark.parametrize("sampler", [None, "LCMScheduler"])
@pytest.mark.parametrize("strength", VariationStrength)
async def test_a_variation_stays_near_its_own_picture(
    harness: ServicesHarness, strength: VariationStrength, sampler: str | None
) -> None:
    job = await harness.delivered(request=request(num_images=3, scheduler=sampler))

    proposal = await harness.services.generation.propose_variation(job.id, 2, strength, origin())

    varied = proposal.request
    assert (varied.seed, varied.num_images) == (job.request.image_seeds(2).seed, 3)
    share = strength.share(SAMPLERS[sampler or PROFILE.scheduler])
    assert [(blend.strength, blend.draws) for blend in varied.blends] == [(share, NoiseDraws.EVERY)]
    assert proposal.parent == Parent(job_id=job.id, relation=Relation.VARIATION, image_index=2)


async def test_a_variation_of_a_variation_starts_from_exactly_that_picture(harness: ServicesHarness) -> None:
    first = NoiseBlend(seed=5, strength=0.5)
    job = await harness.delivered(request=request(num_images=2, blends=(first,)))

    varied = (await harness.services.generation.propose_variation(job.id, 1, VariationStrength.SUBTLE, origin())).request

    assert varied.seed == job.request.seed
    assert varied.blends[:-1] == (first.to_seed(6),)


async def test_a_variation_of_an_older_variation_keeps_how_that_one_was_drawn(harness: ServicesHarness) -> None:
    older = NoiseBlend(seed=5, strength=0.5, draws=NoiseDraws.FIRST)
    job = await harness.delivered(request=request(blends=(older,)))

    varied = (await harness.services.generation.propose_variation(job.id, 0, VariationStrength.SUBTLE, origin())).request

    assert (varied.blends[0], varied.blends[1].draws) == (older, NoiseDraws.EVERY)


async def test_a_picture_whose_sampler_is_gone_cannot_be_varied(harness: ServicesHarness) -> None:
    job = await harness.delivered(request=request(scheduler="PNDMScheduler"))

    with pytest.raises(InvalidRequestError, match="no longer offered"):
        await harness.services.generation.propose_variation(job.id, 0, VariationStrength.SUBTLE, origin())


async def test_a_picture_that_does_not_exist_cannot_be_varied(harness: ServicesHarness) -> None:
    finished, waiting = await harness.delivered(1), await harness.add(2)
    vary = harness.services.generation.propose_variation

    for index in (-1, 1, 99):
        with pytest.raises(NotFoundError, match="Choose from 1 to 1"):
            await vary(finished.id, index, VariationStrength.SUBTLE, origin())
    with pytest.raises(InvalidRequestError, match="no picture yet"):
        await vary(waiting.id, 0, VariationStrength.SUBTLE, origin())


async def test_an_unknown_or_deleted_job_has_no_living_buttons(harness: ServicesHarness) -> None:
    service = harness.services.generation
    deleted = await harness.delivered()
    await service.delete(deleted.id, OWNER)

    for job_id in (UNKNOWN, deleted.id):
        for use in (
            service.propose_reroll(job_id, origin()),
            service.propose_variation(job_id, 0, VariationStrength.SUBTLE, origin()),
            service.remix_draft(job_id, origin()),
            service.propose_remix(job_id, Draft(prompt="a"), origin()),
            service.details(job_id, origin()),
        ):
            with pytest.raises(NotFoundError, match="/anime"):
                await use
    with pytest.raises(NotFoundError, match="/anime"):
        await service.cancel(deleted.id, OWNER)
    with pytest.raises(NotAllowedError):  # whose it was, nobody knows
        await service.cancel(UNKNOWN, OWNER)


async def test_a_job_of_another_model_cannot_be_drawn_again(harness: ServicesHarness) -> None:
    job = await harness.delivered(request=request(profile=OTHER_PROFILE.name))
    service = harness.services.generation

    for use in (
        service.propose_reroll(job.id, origin()),
        service.propose_variation(job.id, 0, VariationStrength.SUBTLE, origin()),
        service.remix_draft(job.id, origin()),
        service.propose_remix(job.id, Draft(prompt="a"), origin()),
    ):
        with pytest.raises(InvalidRequestError, match=r"Older Model.*Test Model"):
            await use


async def test_a_size_or_style_that_is_no_longer_offered_stops_a_reroll_and_is_left_open_in_a_remix(
    harness: ServicesHarness,
) -> None:
    job = await harness.delivered(1, request=request(width=128, height=128))
    styled = await harness.delivered(2, request=request(style="pastel"))
    second = await harness.delivered(3, request=request(more_styles=(StyleChoice(name="pastel", weight=0.5),)))
    service = harness.build(catalog=Catalog(profiles=CATALOG.profiles)).generation

    with pytest.raises(InvalidRequestError, match="128 × 128"):
        await service.propose_reroll(job.id, origin())
    with pytest.raises(InvalidRequestError, match="don't know that style"):
        await service.propose_reroll(styled.id, origin())
    assert (await service.remix_draft(job.id, origin())).size is None
    assert (await service.remix_draft(styled.id, origin())).style is None
    assert (await service.remix_draft(second.id, origin())).more_styles == ()


async def test_a_remix_is_what_the_member_made_of_the_old_words(harness: ServicesHarness) -> None:
    service = harness.services.generation
    job = await harness.delivered(request=request(style="pastel", adapter_weight=0.3, num_images=2))

    draft = await service.remix_draft(job.id, origin())
    proposal = await service.propose_remix(job.id, replace(draft, prompt="blue hair", seed=3), origin())

    assert (draft.prompt, draft.seed, draft.style, draft.adapter_weight) == (job.request.prompt, None, "pastel", 0.3)
    assert proposal.request == replace(job.request, prompt="blue hair", seed=3)
    assert proposal.parent == Parent(job_id=job.id, relation=Relation.REMIX)


async def test_a_remix_of_a_draft_keeps_to_the_servers_styles_where_they_no_longer_include_its_lora(
    harness: ServicesHarness,
) -> None:
    distilled = Quality(num_inference_steps=1, guidance_scale=1.5, scheduler="LCMScheduler", style="lcm")
    styles = {**CATALOG.styles, "lcm": replace(PASTEL, name="lcm", title="LCM", is_distilled=True)}
    service = harness.build(
        profile=replace(PROFILE, quality={"draft": distilled}), catalog=replace(CATALOG, styles=styles)
    ).generation
    job = await harness.delivered(request=(await service.propose(Draft(prompt="a", quality="draft"), origin())).request)
    rules = harness.repositories.guild_settings
    await rules.change(GUILD, lambda before: replace(before, allowed_styles=frozenset({"pastel"})), by=MODERATOR, now=START)

    draft = await service.remix_draft(job.id, origin())
    plain, styled = [await service.propose_remix(job.id, replace(draft, style=style), origin()) for style in (None, "pastel")]

    assert job.request.style == "lcm"
    assert [style.name for style in styled.request.styles] == ["pastel"]
    assert (plain.request.styles, plain.request.num_inference_steps, plain.request.scheduler) == ((), 2, None)
    await service.submit(plain, origin(2), reply())


async def test_a_remix_keeps_the_upload_whatever_its_size(harness: ServicesHarness) -> None:
    service = harness.services.generation
    first = await service.with_upload(await service.propose(Draft(prompt="a"), origin()), b"sketch", 0.6)
    job = await harness.delivered(request=first.request)

    same = await service.propose_remix(job.id, Draft(prompt="b", size="square"), origin())
    other = await service.propose_remix(job.id, Draft(prompt="b", size="portrait"), origin())

    assert same.request.init_image == first.request.init_image
    assert other.request.init_image == first.request.init_image
    assert other.request.height == 96


async def test_an_upload_is_checked_before_anything_is_stored(harness: ServicesHarness) -> None:
    service = harness.services.generation
    proposal = await service.propose(Draft(prompt="a"), origin())

    with pytest.raises(InvalidRequestError, match="strength"):
        await service.with_upload(proposal, b"sketch", 0.0)
    with pytest.raises(InvalidRequestError, match="no picture"):
        await service.with_upload(proposal, b"broken", 0.5)

    assert harness.store.files == {}
    started = await service.with_upload(proposal, b"sketch", 0.5)
    assert started.upload == b"sketch as 64x64"
    assert harness.store.files == {}
    job = (await service.submit(started, origin(), reply())).job
    assert job.request.init_image is not None
    assert harness.store.files == {job.request.init_image.key: b"sketch as 64x64"}


async def test_details_give_everything_that_the_pictures_depend_on(harness: ServicesHarness) -> None:
    job = await harness.delivered(request=request(style="pastel", num_images=2))

    details = await harness.services.generation.details(job.id, origin())

    assert details.job.id == job.id
    assert [image.seed for image in details.images] == [1000, 1001]
    assert details.composed.prompt == "masterpiece, best quality, pastel colors, green hair, beanie, night"
    assert (details.profile, details.styles) == (PROFILE, (PASTEL,))


async def test_details_of_a_removed_model_say_so(harness: ServicesHarness) -> None:
    job = await harness.delivered(request=request(profile="removed"))
    with pytest.raises(InvalidRequestError, match="removed"):
        await harness.services.generation.details(job.id, origin())


async def test_a_member_sees_their_own_waiting_jobs_with_their_places(harness: ServicesHarness) -> None:
    await harness.add(1)
    running = await harness.claim()
    await harness.add(2, origin=origin(2, user_id=OTHER))
    waiting = await harness.add(3)

    generation = harness.services.generation
    overview = await generation.waiting(MEMBER, limit=9)

    assert [(entry.job.id, entry.position.ahead) for entry in overview.entries] == [(running.id, 0), (waiting.id, 2)]
    assert await generation.waiting_jobs(MEMBER, limit=9) == (running, waiting)
    assert (await generation.waiting(MEMBER, limit=1)).total == 2
    assert (await generation.waiting(MODERATOR, limit=9)).entries == ()


@pytest.mark.parametrize("guild_id", [GUILD + 1, None])
async def test_the_link_to_a_parent_in_another_place_is_left_out(harness: ServicesHarness, guild_id: int | None) -> None:
    """Its owner may draw from it there; nobody else there learns where it is."""
    parent = await harness.delivered(1)
    child = Parent(job_id=parent.id, relation=Relation.REROLL)
    await harness.drawn(2, origin=origin(2, guild_id=guild_id), parent=child)
    await harness.services.delivery.deliver_due()

    assert harness.cards()[-1].job.parent == child
    assert harness.cards()[-1].parent is None


async def test_the_link_to_a_deleted_parent_is_left_out(harness: ServicesHarness) -> None:
    parent = await harness.delivered(1)
    await harness.services.generation.delete(parent.id, OWNER)
    await harness.drawn(2, parent=Parent(job_id=parent.id, relation=Relation.REROLL))

    await harness.services.delivery.deliver_due()

    assert harness.cards()[-1].parent is None
