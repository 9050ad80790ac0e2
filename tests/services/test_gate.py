"""Every way in asks the gate; here through `submit`, the only door."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.audience import BLOCKED, NO_MESSAGES, OTHER_SERVER, Audience
from bot.domain.guild_settings.settings import GuildSettings
from bot.domain.job import JobStatus, Origin, Place, VariationStrength
from bot.domain.language import Language
from bot.domain.moderation import Block
from bot.domain.operator_rules import OperatorRules
from bot.domain.prompt_rules.young_list import character
from bot.domain.quota import UNLIMITED, Limits
from bot.domain.request import Draft, InitImage
from bot.domain.safety import Rating, SafetyLevel, Showing, Spoilers
from bot.errors import NotAllowedError, NotFoundError, QuotaError
from bot.services.request_builder import PreparedJob
from tests.examples import (
    CATALOG,
    CHANNEL,
    CLASSIFIED_PROFILE,
    GUILD,
    MEMBER,
    MODERATOR,
    OTHER,
    PASTEL,
    new_job,
    origin,
    reply,
    request,
)
from tests.services.harness import ServicesHarness

ADULT = Place(channel_id=CHANNEL, age_restricted=True)
ROLE = 77


async def rule(harness: ServicesHarness, edit: Callable[[GuildSettings], GuildSettings]) -> None:
    await harness.repositories.guild_settings.change(GUILD, edit, by=MODERATOR, now=harness.clock.now())


async def block(harness: ServicesHarness, *, minutes: float | None = None) -> None:
    now = harness.clock.now()
    ends_at = None if minutes is None else now + timedelta(minutes=minutes)
    given = Block(guild_id=GUILD, user_id=MEMBER, reason="spam", blocked_by=MODERATOR, blocked_at=now, ends_at=ends_at)
    await harness.repositories.moderation.block(given)


async def draw(harness: ServicesHarness, who: Origin, **draft: object) -> Showing:
    """Ask for a picture, and say how it may be shown."""
    service = harness.services.generation
    proposal = await service.propose(replace(Draft(prompt="a cat"), **draft), who)
    return (await service.submit(proposal, who, reply())).job.showing


async def test_a_server_that_changed_nothing_draws_suggestive_pictures_at_most(harness: ServicesHarness) -> None:
    assert await draw(harness, origin()) == Showing(rating=Rating.SENSITIVE)


async def test_without_a_place_nothing_is_drawn(harness: ServicesHarness) -> None:
    with pytest.raises(NotAllowedError, match="which channel"):
        await draw(harness, replace(origin(), place=None))

    assert await harness.jobs.counts() == {}


async def test_a_rule_holds_from_the_moment_it_is_made_until_it_is_taken_back(harness: ServicesHarness) -> None:
    await draw(harness, origin(1))
    await rule(harness, lambda settings: replace(settings, allowed_channels=frozenset({99})))
    with pytest.raises(NotAllowedError, match="<#99>"):
        await draw(harness, origin(2))
    await rule(harness, lambda _: GuildSettings())
    await draw(harness, origin(3))

    assert await harness.jobs.counts() == {"queued": 2}


async def test_the_rules_of_one_server_do_not_hold_in_another_or_in_direct_messages(harness: ServicesHarness) -> None:
    await rule(harness, lambda settings: replace(settings, allowed_roles=frozenset({ROLE})))

    with pytest.raises(NotAllowedError, match=f"<@&{ROLE}>"):
        await draw(harness, origin(1))
    await draw(harness, origin(2, guild_id=GUILD + 1))
    await draw(harness, origin(3, guild_id=None))
    await draw(harness, replace(origin(4), role_ids=frozenset({ROLE})))


async def test_a_blocked_member_is_told_why_and_until_when_and_others_draw(harness: ServicesHarness) -> None:
    await block(harness, minutes=5)

    with pytest.raises(NotAllowedError, match=r"until <t:\d+:f>.* Reason: spam"):
        await draw(harness, origin(1))
    await draw(harness, origin(2, user_id=OTHER))
    await draw(harness, origin(3, guild_id=None))


async def test_a_blocked_member_gets_no_form_to_fill_in_for_nothing(harness: ServicesHarness) -> None:
    job = await harness.delivered(origin=origin(1, user_id=OTHER))
    generation, settings_import = harness.services.generation, harness.services.settings_import
    await block(harness, minutes=5)

    for question in (generation.remix_draft(job.id, origin()), settings_import.to_fill_in("a cat", origin())):
        with pytest.raises(NotAllowedError, match="Reason: spam"):
            await question

    assert (await settings_import.in_text("a cat", origin())).imported.draft.prompt == "a cat"
    assert (await settings_import.to_fill_in("a cat", origin(user_id=OTHER))).prompt == "a cat"
    assert (await settings_import.to_fill_in("a cat", origin(guild_id=None))).prompt == "a cat"
    harness.clock.advance(5 * 60)
    assert (await generation.remix_draft(job.id, origin())).prompt == job.request.prompt


async def test_a_block_that_comes_between_gate_and_queue_still_holds(harness: ServicesHarness) -> None:
    """It cancels what waits; a job that slipped in behind it would be drawn."""
    await block(harness)

    with pytest.raises(NotAllowedError, match="can't draw in this server"):
        await harness.jobs.add(new_job(), limits=UNLIMITED, now=harness.clock.now())
    assert await harness.jobs.counts() == {}


async def test_a_block_ends_by_itself(harness: ServicesHarness) -> None:
    await block(harness, minutes=5)
    harness.clock.advance(5 * 60)

    await draw(harness, origin())


@pytest.mark.parametrize(
    ("setting", "draft", "sentence"),
    [
        ({"max_pixels": 4096}, {"size": "portrait"}, "Choose a smaller size"),
        ({"max_steps": 3}, {"num_inference_steps": 4}, "up to 3 steps"),
        ({"max_images": 2}, {"num_images": 3}, "up to 2 pictures"),
        ({"allowed_styles": frozenset({"ink"})}, {"style": "pastel"}, "doesn't offer that style"),
        ({"blocked_words": ("cat",)}, {}, "word"),
    ],
)
async def test_what_a_server_forbids_is_refused_with_a_sentence(
    harness: ServicesHarness, setting: dict[str, object], draft: dict[str, object], sentence: str
) -> None:
    await rule(harness, lambda settings: replace(settings, **setting))

    with pytest.raises(NotAllowedError, match=sentence):
        await draw(harness, origin(), **draft)
    assert await harness.jobs.counts() == {}


async def test_defaults_give_way_to_the_servers_limits(harness: ServicesHarness) -> None:
    """A member who chooses nothing is not refused for what they did not choose."""
    await rule(harness, lambda settings: replace(settings, max_pixels=4096, max_steps=3, max_images=1))
    await harness.repositories.preferences.change(
        MEMBER, lambda old: replace(old, size="portrait", num_images=4), now=harness.clock.now()
    )

    await draw(harness, origin())


async def test_sexual_words_need_a_marked_channel_and_a_server_that_wants_them(harness: ServicesHarness) -> None:
    for number, place in enumerate((Place(channel_id=CHANNEL), ADULT)):
        with pytest.raises(NotAllowedError):
            await draw(harness, replace(origin(number), place=place), prompt="nude")
    await rule(harness, lambda settings: replace(settings, safety=SafetyLevel.AGE_RESTRICTED))
    with pytest.raises(NotAllowedError):
        await draw(harness, origin(3), prompt="nude")

    showing = await draw(harness, replace(origin(4), place=ADULT), prompt="nude")

    assert showing.rating is Rating.EXPLICIT


async def test_a_styles_trigger_words_are_judged_like_the_members_own(harness: ServicesHarness) -> None:
    catalog = replace(CATALOG, styles={PASTEL.name: replace(PASTEL, trigger_words="nude")})
    harness.build(catalog=catalog)

    with pytest.raises(NotAllowedError):
        await draw(harness, origin(1), style=PASTEL.name)
    await draw(harness, origin(2))


async def test_leaving_clothes_out_is_judged_like_saying_so(harness: ServicesHarness) -> None:
    with pytest.raises(NotAllowedError):
        await draw(harness, origin(1), prompt="1girl, beach", negative_prompt="clothes")
    await draw(harness, origin(2), prompt="1girl, beach", negative_prompt="nude")


async def test_the_operator_is_asked_about_the_member_who_asks(harness: ServicesHarness) -> None:
    await draw(harness, origin(1))
    assert harness.asked == origin(1)
    await harness.services.quotas.balance(origin(2, user_id=OTHER))
    assert harness.asked == origin(2, user_id=OTHER)


async def test_pictures_are_hidden_where_the_server_or_the_member_wants_it(harness: ServicesHarness) -> None:
    assert not (await draw(harness, origin(1))).spoiler
    await harness.repositories.preferences.change(MEMBER, lambda old: replace(old, spoiler=True), now=harness.clock.now())
    assert (await draw(harness, origin(2))).spoiler
    assert not (await draw(harness, origin(3, user_id=OTHER))).spoiler
    await rule(harness, lambda settings: replace(settings, spoilers=Spoilers.ALWAYS))
    assert (await draw(harness, origin(4, user_id=OTHER))).spoiler


@pytest.mark.parametrize("prompt", ["child, park", "1girl, 12 years old", "pip, quokka hill"])
async def test_a_picture_of_a_child_goes_as_far_as_sensitive_wherever_it_is_asked_for(
    harness: ServicesHarness, prompt: str
) -> None:
    harness.build(catalog=replace(CATALOG, young=character("pip", "quokka hill", alone=False)))
    await rule(harness, lambda settings: replace(settings, safety=SafetyLevel.AGE_RESTRICTED))
    who = replace(origin(1), place=ADULT)

    assert (await draw(harness, who, prompt=prompt)).rating is Rating.SENSITIVE
    assert (await draw(harness, replace(who, interaction_id=2), prompt="pip")).rating is Rating.EXPLICIT
    with pytest.raises(NotAllowedError, match="minors"):
        await draw(harness, replace(who, interaction_id=3), prompt=f"{prompt}, lingerie")


async def test_a_strict_server_keeps_its_rule_for_pictures_of_children(harness: ServicesHarness) -> None:
    await rule(harness, lambda settings: replace(settings, safety=SafetyLevel.STRICT))

    assert (await draw(harness, origin(), prompt="child, park")).rating is Rating.GENERAL


async def test_a_job_remembers_how_far_its_picture_may_go_so_that_it_can_be_drawn_again(harness: ServicesHarness) -> None:
    await rule(harness, lambda settings: replace(settings, safety=SafetyLevel.STRICT))
    proposal = await harness.services.generation.propose(Draft(prompt="a cat"), origin())
    job = (await harness.services.generation.submit(proposal, origin(), reply())).job

    assert (await harness.job(job.id)).request.rating is Rating.GENERAL


async def test_roles_decide_how_much_a_member_may_use(harness: ServicesHarness) -> None:
    harness.limits = Limits(daily_credits=5, operator_credits=9)
    await rule(harness, lambda settings: replace(settings, daily_credits=1, role_credits={ROLE: 2}))

    await draw(harness, origin(1))
    with pytest.raises(QuotaError, match=r"0 left today\. You'll have 1 again"):
        await draw(harness, origin(2))
    await draw(harness, replace(origin(3), role_ids=frozenset({ROLE})))
    with pytest.raises(QuotaError, match=r"0 left today\. You'll have 2 again"):
        await draw(harness, replace(origin(4), role_ids=frozenset({ROLE})))


async def test_the_quota_card_says_what_the_servers_settings_say(harness: ServicesHarness) -> None:
    await rule(harness, lambda settings: replace(settings, daily_credits=1, exempt_roles=frozenset({ROLE})))

    assert (await harness.services.quotas.balance(origin())).limits.daily_credits == 1
    exempt = replace(origin(), role_ids=frozenset({ROLE}))
    assert (await harness.services.quotas.balance(exempt)).limits.daily_credits is None


async def test_a_server_may_keep_pictures_to_those_who_asked_for_them(harness: ServicesHarness) -> None:
    job = await harness.delivered()
    service = harness.services.generation
    await rule(harness, lambda settings: replace(settings, others_may_reuse=False))

    await service.propose_reroll(job.id, origin(2))
    with pytest.raises(NotAllowedError, match="only the person who made a picture"):
        await service.propose_reroll(job.id, origin(3, user_id=OTHER))
    with pytest.raises(NotAllowedError, match="only the person who made a picture"):
        await service.remix_draft(job.id, origin(4, user_id=OTHER))
    await service.details(job.id, origin(5, user_id=OTHER))


async def test_a_job_of_another_server_is_unknown_whatever_the_custom_id_says(harness: ServicesHarness) -> None:
    job = await harness.delivered()
    stranger = origin(2, user_id=OTHER, guild_id=GUILD + 1)
    service = harness.services.generation

    for question in (
        service.propose_reroll(job.id, stranger),
        service.remix_draft(job.id, stranger),
        service.propose_remix(job.id, Draft(prompt="a"), stranger),
        service.details(job.id, stranger),
    ):
        with pytest.raises(NotFoundError, match="picture is gone"):
            await question


async def test_a_member_is_offered_the_styles_of_the_server(harness: ServicesHarness) -> None:
    service = harness.services.generation
    assert [style.name for style in await service.styles(origin())] == ["pastel"]
    await rule(harness, lambda settings: replace(settings, allowed_styles=frozenset({"ink"})))
    assert await service.styles(origin()) == ()


async def test_words_are_judged_whichever_way_they_come_in(harness: ServicesHarness) -> None:
    """Slash command, buttons, form and attachment; a picture of before the rule gives nobody a way around it."""
    job = await harness.delivered(request=request(prompt="a cat"))
    await rule(harness, lambda settings: replace(settings, blocked_words=("cat",)))
    service = harness.services.generation
    harmless = await service.propose(Draft(prompt="a dog"), origin())

    for number, proposal in enumerate(
        (
            await service.propose(Draft(prompt="a cat"), origin()),
            await service.propose_reroll(job.id, origin()),
            await service.propose_variation(job.id, 0, VariationStrength.STRONG, origin()),
            await service.propose_remix(job.id, Draft(prompt="two cats"), origin()),
            await service.with_upload(await service.propose(Draft(prompt="c a t"), origin()), b"sketch", 0.6),
        ),
        start=2,
    ):
        with pytest.raises(NotAllowedError, match="this server"):
            await service.submit(proposal, origin(number), reply())
    assert await harness.jobs.counts() == {"delivered": 1}
    await service.submit(await service.with_upload(harmless, b"sketch", 0.6), origin(9), reply())


async def test_words_that_a_lora_tag_of_an_older_job_took_apart_are_judged_as_they_are_drawn(harness: ServicesHarness) -> None:
    job = await harness.delivered(request=request(prompt=f"a c<lo<lora:gone:1>ra:{'x' * 300}:1>at"))
    await rule(harness, lambda settings: replace(settings, blocked_words=("cat",)))
    service = harness.services.generation

    for number, proposal in enumerate(
        (
            await service.propose_reroll(job.id, origin()),
            await service.propose_variation(job.id, 0, VariationStrength.STRONG, origin()),
            await service.propose_upscale(job.id, 0, origin()),
        ),
        start=2,
    ):
        with pytest.raises(NotAllowedError, match="this server"):
            await service.submit(proposal, origin(number), reply())


async def test_a_given_picture_that_would_hardly_change_is_refused_whichever_way_it_comes_in_where_nobody_looks(
    harness: ServicesHarness,
) -> None:
    """A classifier would look at what comes out; without one, a job of before the rule gives nobody a way around it."""
    service = harness.services.generation
    older = await harness.delivered(request=request(init_image=InitImage(key=await harness.upload(b"x"), strength=0.3)))
    fresh = await service.propose(Draft(prompt="a cat"), origin())
    stored = dict(harness.store.files)

    for attempt in (
        lambda: service.with_upload(fresh, b"sketch", 0.3),
        lambda: service.propose_reroll(older.id, origin()),
        lambda: service.propose_variation(older.id, 0, VariationStrength.STRONG, origin()),
        lambda: service.remix_draft(older.id, origin()),
        lambda: service.propose_remix(older.id, Draft(prompt="a dog"), origin()),
        lambda: service.submit(PreparedJob(request=older.request), origin(9), reply()),
    ):
        with pytest.raises(NotAllowedError, match=r"`strength` of 0\.5 or more"):
            await attempt()
    assert harness.store.files == stored
    assert await harness.jobs.counts() == {"delivered": 1}
    await service.submit(await service.with_upload(fresh, b"sketch", 0.5), origin(2), reply())


async def test_with_a_classifier_a_given_picture_may_stay_nearly_as_it_is(harness: ServicesHarness) -> None:
    service = harness.build(profile=CLASSIFIED_PROFILE).generation
    fresh = await service.propose(Draft(prompt="a cat"), origin())

    job = (await service.submit(await service.with_upload(fresh, b"sketch", 0.05), origin(), reply())).job

    await service.propose_remix(job.id, Draft(prompt="a dog"), origin())


async def test_whom_the_host_does_not_serve_gets_one_sentence_and_nothing_is_stored(harness: ServicesHarness) -> None:
    harness.host = OperatorRules(audience=Audience(served_servers=frozenset({GUILD}), blocked_users=frozenset({OTHER})))
    harness.build()

    for who, sentence in (
        (origin(1, OTHER), BLOCKED),
        (origin(2, MEMBER, GUILD + 1), OTHER_SERVER),
        (origin(3, MEMBER, None), NO_MESSAGES),
    ):
        with pytest.raises(NotAllowedError) as refused:
            await draw(harness, who)
        assert str(refused.value) == sentence
    assert await harness.jobs.backlog() == 0
    await draw(harness, origin(4, MEMBER))


async def test_what_waits_of_somebody_whom_the_host_blocks_is_not_drawn_and_says_why(harness: ServicesHarness) -> None:
    job = await harness.submit()
    harness.host = OperatorRules(audience=Audience(blocked_users=frozenset({MEMBER})))
    harness.build()
    harness.start_worker()

    assert BLOCKED in str((await harness.wait_for(JobStatus.FAILED, job)).failure)
    assert harness.generator.started == []


@pytest.mark.parametrize(("chosen", "written"), [(None, Language.GERMAN), (Language.KOREAN, Language.KOREAN)])
async def test_cards_are_in_the_language_that_the_server_chose_else_in_its_discord_language(
    harness: ServicesHarness, chosen: Language | None, written: Language
) -> None:
    await rule(harness, lambda settings: replace(settings, language=chosen))

    job = await harness.submit(origin=replace(origin(), language=Language.GERMAN))

    assert job.language is written
    assert (await harness.job(job.id)).language is written
