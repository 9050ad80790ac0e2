"""Upscales: the picture that they draw over, and what can be made of them."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from bot.domain.guild_settings.settings import GuildSettings
from bot.domain.job import Actor, Job, Parent, Relation, VariationStrength
from bot.domain.request import Draft, InitImage, NoiseBlend
from bot.errors import InvalidRequestError, NotAllowedError, NotFoundError
from bot.services import attempt, request_builder
from tests.examples import CHANNEL, GUILD, MEMBER, MODERATOR, OTHER, PASTEL, PROFILE, origin, reply, request
from tests.services.harness import ServicesHarness

OWNER = Actor(user_id=MEMBER, guild_id=GUILD)
OTHERS = Actor(user_id=OTHER, guild_id=GUILD)


async def upscale(harness: ServicesHarness, job: Job, interaction_id: int = 2, *, index: int = 0, user_id: int = MEMBER) -> Job:
    """Asked for and drawn."""
    who = origin(interaction_id, user_id=user_id)
    proposal = await harness.services.generation.propose_upscale(job.id, index, who)
    return await harness.draw((await harness.services.generation.submit(proposal, who, reply())).job)


async def test_an_upscale_draws_over_the_enlarged_picture_with_its_own_seed_words_and_style(harness: ServicesHarness) -> None:
    job = await harness.delivered(request=request(num_images=3, style=PASTEL.name, adapter_weight=0.5, height=96))

    proposal = await harness.services.generation.propose_upscale(job.id, 2, origin(2))

    upscaled, init_image = proposal.request, proposal.request.init_image
    assert init_image is not None
    assert replace(upscaled, rating=job.request.rating) == replace(
        job.request, seed=1002, num_images=1, width=96, height=144, init_image=init_image
    )
    assert (init_image.strength, init_image.drawn_here, upscaled.is_upscale) == (PROFILE.upscale_strength, True, True)
    assert harness.store.files[init_image.key] == b"PNG of 1002"  # enlarged when it is drawn
    assert proposal.parent == Parent(job_id=job.id, relation=Relation.UPSCALE, image_index=2)
    await harness.services.generation.submit(proposal, origin(2), reply())
    assert harness.metrics.registry.get_sample_value("pastel_submitted_total", {"relation": "upscale"}) == 1


async def test_an_upscale_of_a_variation_takes_none_of_its_noise(harness: ServicesHarness) -> None:
    """What the blends made of the noise stands in the picture already."""
    job = await harness.delivered(request=request(num_images=2, blends=(NoiseBlend(seed=5, strength=0.5),)))

    proposal = await harness.services.generation.propose_upscale(job.id, 1, origin(2))

    assert (proposal.request.seed, proposal.request.blends) == (1000, ())


async def test_how_much_is_drawn_anew_is_the_profiles_to_say(harness: ServicesHarness) -> None:
    service = harness.build(profile=replace(PROFILE, upscale_strength=0.1)).generation
    job = await harness.delivered()

    upscaled = (await service.propose_upscale(job.id, 0, origin(2))).request

    assert upscaled.init_image is not None
    assert upscaled.init_image.strength == 0.1


async def test_an_upscale_is_taken_in_where_nobody_looks_at_pictures_and_drawn_from_the_stored_one(
    harness: ServicesHarness,
) -> None:
    job = await harness.delivered()
    service = harness.services.generation
    proposal = await service.propose_upscale(job.id, 0, origin(2))
    harness.start_worker()

    upscaled = (await service.submit(proposal, origin(2), reply())).job
    await harness.wait_for(upscaled.status.SUCCEEDED, upscaled)

    assert PROFILE.classifier is None
    assert harness.generator.init_images == [b"PNG of 1000 as 96x96"]


async def test_a_picture_that_is_not_there_cannot_be_upscaled(harness: ServicesHarness) -> None:
    finished, waiting = await harness.delivered(1), await harness.add(2)
    propose = harness.services.generation.propose_upscale

    for index in (-1, 1, 99):
        with pytest.raises(NotFoundError, match="Choose from 1 to 1"):
            await propose(finished.id, index, origin())
    with pytest.raises(InvalidRequestError, match="no picture yet"):
        await propose(waiting.id, 0, origin())


async def test_asking_for_an_upscale_reads_no_file_and_one_that_is_gone_then_fails_for_free(harness: ServicesHarness) -> None:
    job = await harness.delivered()
    service = harness.services.generation
    proposal = await service.propose_upscale(job.id, 0, origin(2))
    upscaled = (await service.submit(proposal, origin(2), reply())).job
    await service.delete(job.id, OWNER)
    harness.start_worker()

    failed = await harness.wait_for(upscaled.status.FAILED, upscaled)

    assert failed.failure == attempt.ORIGINAL_GONE
    assert harness.generator.started == []


async def test_an_upscale_is_neither_upscaled_nor_varied(harness: ServicesHarness) -> None:
    upscaled = await upscale(harness, await harness.delivered())
    service = harness.services.generation

    with pytest.raises(InvalidRequestError, match="already an upscale"):
        await service.propose_upscale(upscaled.id, 0, origin(3))
    with pytest.raises(InvalidRequestError, match="already an upscale"):
        await service.propose_variation(upscaled.id, 0, VariationStrength.SUBTLE, origin(3))


async def test_a_reroll_of_an_upscale_draws_the_originals_words_again_at_their_usual_size(harness: ServicesHarness) -> None:
    sketch = InitImage(key=await harness.upload(b"sketch"), strength=0.6)
    job = await harness.delivered(request=request(num_images=2, init_image=sketch))
    upscaled = await upscale(harness, job, index=1)

    proposal = await harness.services.generation.propose_reroll(upscaled.id, origin(3))

    assert replace(proposal.request, seed=job.request.seed) == job.request
    assert proposal.parent == Parent(job_id=job.id, relation=Relation.REROLL)


async def test_a_remix_of_an_upscale_is_one_of_its_original(harness: ServicesHarness) -> None:
    job = await harness.delivered(request=request(num_images=2, height=96))
    upscaled = await upscale(harness, job, index=1)
    service = harness.services.generation

    draft = await service.remix_draft(upscaled.id, origin(3))
    proposal = await service.propose_remix(upscaled.id, replace(draft, prompt="a dog"), origin(3))

    assert (draft.size, draft.num_images) == ("portrait", 2)
    assert proposal.request == replace(job.request, prompt="a dog", seed=proposal.request.seed)
    assert proposal.parent == Parent(job_id=job.id, relation=Relation.REMIX)


async def test_without_its_original_an_upscale_has_nothing_to_draw_again(harness: ServicesHarness) -> None:
    job = await harness.delivered()
    upscaled = await upscale(harness, job)
    await harness.services.generation.delete(job.id, OWNER)
    service = harness.services.generation

    for use in (
        service.propose_reroll(upscaled.id, origin(3)),
        service.remix_draft(upscaled.id, origin(3)),
        service.propose_remix(upscaled.id, Draft(prompt="a dog"), origin(3)),
    ):
        with pytest.raises(NotFoundError) as refused:
            await use
        assert str(refused.value) == request_builder.ORIGINAL_GONE


async def test_who_cannot_see_the_originals_channel_draws_nothing_from_it_by_way_of_its_upscale(
    harness: ServicesHarness,
) -> None:
    job = await harness.delivered(reply=reply(channel_id=CHANNEL + 1))
    upscaled = await upscale(harness, job)

    with pytest.raises(NotFoundError, match="original of this picture was deleted"):
        await harness.services.generation.propose_reroll(upscaled.id, origin(3, user_id=OTHER))


async def test_no_member_can_say_that_their_picture_was_drawn_here(harness: ServicesHarness) -> None:
    """Not with an upload, and not by way of an upscale: what is made of one starts from nothing that was drawn here."""
    service = harness.services.generation
    sketch = await service.with_upload(await service.propose(Draft(prompt="a"), origin()), b"sketch", 0.5)
    drawn = await harness.drawn(2, request=sketch.request)
    upscaled = await upscale(harness, drawn, 3)

    made = [
        sketch,
        await service.propose_reroll(drawn.id, origin(4)),
        await service.propose_variation(drawn.id, 0, VariationStrength.STRONG, origin(4)),
        await service.propose_remix(drawn.id, Draft(prompt="b", size="portrait"), origin(4)),
        await service.propose_reroll(upscaled.id, origin(4)),
        await service.propose_remix(upscaled.id, Draft(prompt="b", size="portrait"), origin(4)),
    ]

    assert [proposal.request.is_upscale for proposal in made] == [False] * len(made)
    assert {name for field in fields(Draft) if "image" in (name := field.name)} == {"num_images"}


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        (GuildSettings(max_pixels=64 * 64), "An upscale of this would be"),
        (GuildSettings(blocked_words=("hat",)), "a word this server has blocked"),
    ],
)
async def test_a_servers_rules_hold_for_upscales(harness: ServicesHarness, rules: GuildSettings, sentence: str) -> None:
    job = await harness.delivered(request=request(prompt="a hat"))
    await harness.repositories.guild_settings.change(GUILD, lambda _: rules, by=MODERATOR, now=harness.clock.now())
    service = harness.services.generation

    proposal = await service.propose_upscale(job.id, 0, origin(2))

    with pytest.raises(NotAllowedError, match=sentence):
        await service.submit(proposal, origin(2), reply())
    assert await harness.jobs.counts() == {"delivered": 1}


async def test_where_others_may_not_reuse_a_picture_they_may_not_upscale_it(harness: ServicesHarness) -> None:
    job = await harness.delivered()
    rules = GuildSettings(others_may_reuse=False)
    await harness.repositories.guild_settings.change(GUILD, lambda _: rules, by=MODERATOR, now=harness.clock.now())
    propose = harness.services.generation.propose_upscale

    with pytest.raises(NotAllowedError, match="only the person who made a picture"):
        await propose(job.id, 0, origin(2, user_id=OTHER))
    await propose(job.id, 0, origin(2))


async def test_the_enlarged_picture_stays_and_goes_with_its_own_job(harness: ServicesHarness) -> None:
    job = await harness.delivered()
    mine, theirs = await upscale(harness, job, 2), await upscale(harness, job, 3, user_id=OTHER)
    assert mine.request.init_image is not None
    key = mine.request.init_image.key
    service = harness.services.generation

    assert theirs.request.init_image == mine.request.init_image
    await service.delete(mine.id, OWNER)
    assert key in harness.store.files
    await service.delete(job.id, OWNER)
    assert key not in harness.store.files
    await service.delete(theirs.id, OTHERS)
    assert harness.store.files == {}


async def test_an_erasure_of_upscales_leaves_the_pictures_of_others_that_they_enlarged(harness: ServicesHarness) -> None:
    job = await harness.delivered()
    await upscale(harness, job, 2, user_id=OTHER)

    assert await harness.services.privacy.erase(OTHER, OTHERS)

    assert set(harness.store.files) == {image.key for image in await harness.jobs.images(job.id)}


async def test_an_erasure_takes_the_enlarged_pictures_along(harness: ServicesHarness) -> None:
    await upscale(harness, await harness.delivered())

    assert await harness.services.privacy.erase(MEMBER, OWNER)

    assert harness.store.files == {}
