"""Upscales: the picture that they draw over, and what can be made of them."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from bot.domain.house_rules import GuildSettings
from bot.domain.job import Actor, Job, Parent, Relation, VariationStrength
from bot.domain.request import Draft, InitImage, NoiseBlend
from bot.errors import InvalidRequestError, NotAllowedError, NotFoundError
from bot.services import attempt, proposals
from bot.storage.house_rules import SqliteHouseRules
from tests.examples import CHANNEL, GUILD, MEMBER, MODERATOR, OTHER, PASTEL, PROFILE, origin, reply, request
from tests.services.world import World

OWNER = Actor(user_id=MEMBER, guild_id=GUILD)
OTHERS = Actor(user_id=OTHER, guild_id=GUILD)


async def upscale(world: World, job: Job, interaction_id: int = 2, *, index: int = 0, user_id: int = MEMBER) -> Job:
    """Asked for and drawn."""
    who = origin(interaction_id, user_id=user_id)
    proposal = await world.services.generation.propose_upscale(job.id, index, who)
    return await world.draw((await world.services.generation.submit(proposal, who, reply())).job)


async def test_an_upscale_draws_over_the_enlarged_picture_with_its_own_seed_words_and_style(world: World) -> None:
    job = await world.delivered(request=request(num_images=3, style=PASTEL.name, adapter_weight=0.5, height=96))

    proposal = await world.services.generation.propose_upscale(job.id, 2, origin(2))

    upscaled, init_image = proposal.request, proposal.request.init_image
    assert init_image is not None
    assert replace(upscaled, rating=job.request.rating) == replace(
        job.request, seed=1002, num_images=1, width=96, height=144, init_image=init_image
    )
    assert (init_image.strength, init_image.drawn_here, upscaled.is_upscale) == (PROFILE.upscale_strength, True, True)
    assert world.store.files[init_image.key] == b"PNG of 1002"  # enlarged when it is drawn
    assert proposal.parent == Parent(job_id=job.id, relation=Relation.VARIATION, image_index=2)


async def test_an_upscale_of_a_variation_takes_none_of_its_noise(world: World) -> None:
    """What the blends made of the noise stands in the picture already."""
    job = await world.delivered(request=request(num_images=2, blends=(NoiseBlend(seed=5, strength=0.5),)))

    proposal = await world.services.generation.propose_upscale(job.id, 1, origin(2))

    assert (proposal.request.seed, proposal.request.blends) == (1000, ())


async def test_how_much_is_drawn_anew_is_the_profiles_to_say(world: World) -> None:
    service = world.build(profile=replace(PROFILE, upscale_strength=0.1)).generation
    job = await world.delivered()

    upscaled = (await service.propose_upscale(job.id, 0, origin(2))).request

    assert upscaled.init_image is not None
    assert upscaled.init_image.strength == 0.1


async def test_an_upscale_is_taken_in_where_nobody_looks_at_pictures_and_drawn_from_the_stored_one(world: World) -> None:
    job = await world.delivered()
    service = world.services.generation
    proposal = await service.propose_upscale(job.id, 0, origin(2))
    world.start_worker()

    upscaled = (await service.submit(proposal, origin(2), reply())).job
    await world.wait_for(upscaled.status.SUCCEEDED, upscaled)

    assert PROFILE.classifier is None
    assert world.generator.init_images == [b"PNG of 1000 as 96x96"]


async def test_a_picture_that_is_not_there_cannot_be_upscaled(world: World) -> None:
    finished, waiting = await world.delivered(1), await world.add(2)
    propose = world.services.generation.propose_upscale

    for index in (-1, 1, 99):
        with pytest.raises(NotFoundError, match="choose 1 to 1"):
            await propose(finished.id, index, origin())
    with pytest.raises(InvalidRequestError, match="no picture yet"):
        await propose(waiting.id, 0, origin())


async def test_asking_for_an_upscale_reads_no_file_and_one_that_is_gone_then_fails_for_free(world: World) -> None:
    job = await world.delivered()
    service = world.services.generation
    proposal = await service.propose_upscale(job.id, 0, origin(2))
    upscaled = (await service.submit(proposal, origin(2), reply())).job
    await service.delete(job.id, OWNER)
    world.start_worker()

    failed = await world.wait_for(upscaled.status.FAILED, upscaled)

    assert failed.failure == attempt.ORIGINAL_GONE
    assert world.generator.started == []


async def test_an_upscale_is_neither_upscaled_nor_varied(world: World) -> None:
    upscaled = await upscale(world, await world.delivered())
    service = world.services.generation

    with pytest.raises(InvalidRequestError, match="is an upscale already"):
        await service.propose_upscale(upscaled.id, 0, origin(3))
    with pytest.raises(InvalidRequestError, match="is an upscale already"):
        await service.propose_variation(upscaled.id, 0, VariationStrength.SUBTLE, origin(3))


async def test_a_reroll_of_an_upscale_draws_the_originals_words_again_at_their_usual_size(world: World) -> None:
    sketch = InitImage(key=await world.upload(b"sketch"), strength=0.6)
    job = await world.delivered(request=request(num_images=2, init_image=sketch))
    upscaled = await upscale(world, job, index=1)

    proposal = await world.services.generation.propose_reroll(upscaled.id, origin(3))

    assert replace(proposal.request, seed=job.request.seed) == job.request
    assert proposal.parent == Parent(job_id=job.id, relation=Relation.REROLL)


async def test_a_remix_of_an_upscale_is_one_of_its_original(world: World) -> None:
    job = await world.delivered(request=request(num_images=2, height=96))
    upscaled = await upscale(world, job, index=1)
    service = world.services.generation

    draft = await service.remix_draft(upscaled.id, origin(3))
    proposal = await service.propose_remix(upscaled.id, replace(draft, prompt="a dog"), origin(3))

    assert (draft.size, draft.num_images) == ("portrait", 2)
    assert proposal.request == replace(job.request, prompt="a dog", seed=proposal.request.seed)
    assert proposal.parent == Parent(job_id=job.id, relation=Relation.REMIX)


async def test_without_its_original_an_upscale_has_nothing_to_draw_again(world: World) -> None:
    job = await world.delivered()
    upscaled = await upscale(world, job)
    await world.services.generation.delete(job.id, OWNER)
    service = world.services.generation

    for use in (
        service.propose_reroll(upscaled.id, origin(3)),
        service.remix_draft(upscaled.id, origin(3)),
        service.propose_remix(upscaled.id, Draft(prompt="a dog"), origin(3)),
    ):
        with pytest.raises(NotFoundError) as refused:
            await use
        assert str(refused.value) == proposals.ORIGINAL_GONE


async def test_who_cannot_see_the_originals_channel_draws_nothing_from_it_by_way_of_its_upscale(world: World) -> None:
    job = await world.delivered(reply=reply(channel_id=CHANNEL + 1))
    upscaled = await upscale(world, job)

    with pytest.raises(NotFoundError, match="made of was deleted"):
        await world.services.generation.propose_reroll(upscaled.id, origin(3, user_id=OTHER))


async def test_no_member_can_say_that_their_picture_was_drawn_here(world: World) -> None:
    """Not with an upload, and not by way of an upscale: what is made of one starts from nothing that was drawn here."""
    service = world.services.generation
    sketch = await service.with_upload(await service.propose(Draft(prompt="a"), origin()), b"sketch", 0.5)
    drawn = await world.drawn(2, request=sketch.request)
    upscaled = await upscale(world, drawn, 3)

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
        (GuildSettings(max_pixels=64 * 64), "cannot be upscaled here"),
        (GuildSettings(blocked_words=("hat",)), "do not want a word"),
    ],
)
async def test_a_servers_rules_hold_for_upscales(world: World, rules: GuildSettings, sentence: str) -> None:
    job = await world.delivered(request=request(prompt="a hat"))
    await SqliteHouseRules(world.database).change(GUILD, lambda _: rules, by=MODERATOR, now=world.clock.now())
    service = world.services.generation

    proposal = await service.propose_upscale(job.id, 0, origin(2))

    with pytest.raises(NotAllowedError, match=sentence):
        await service.submit(proposal, origin(2), reply())
    assert await world.jobs.counts() == {"delivered": 1}


async def test_where_others_may_not_reuse_a_picture_they_may_not_upscale_it(world: World) -> None:
    job = await world.delivered()
    rules = GuildSettings(others_may_reuse=False)
    await SqliteHouseRules(world.database).change(GUILD, lambda _: rules, by=MODERATOR, now=world.clock.now())
    propose = world.services.generation.propose_upscale

    with pytest.raises(NotAllowedError, match="only the member who asked"):
        await propose(job.id, 0, origin(2, user_id=OTHER))
    await propose(job.id, 0, origin(2))


async def test_the_enlarged_picture_stays_and_goes_with_its_own_job(world: World) -> None:
    job = await world.delivered()
    mine, theirs = await upscale(world, job, 2), await upscale(world, job, 3, user_id=OTHER)
    assert mine.request.init_image is not None
    key = mine.request.init_image.key
    service = world.services.generation

    assert theirs.request.init_image == mine.request.init_image
    await service.delete(mine.id, OWNER)
    assert key in world.store.files
    await service.delete(job.id, OWNER)
    assert key not in world.store.files
    await service.delete(theirs.id, OTHERS)
    assert world.store.files == {}


async def test_an_erasure_of_upscales_leaves_the_pictures_of_others_that_they_enlarged(world: World) -> None:
    job = await world.delivered()
    await upscale(world, job, 2, user_id=OTHER)

    assert await world.services.privacy.erase(OTHER, OTHERS)

    assert set(world.store.files) == {image.key for image in await world.jobs.images(job.id)}


async def test_an_erasure_takes_the_enlarged_pictures_along(world: World) -> None:
    await upscale(world, await world.delivered())

    assert await world.services.privacy.erase(MEMBER, OWNER)

    assert world.store.files == {}
