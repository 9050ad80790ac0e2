from dataclasses import replace

import pytest

from bot.domain import policy
from bot.domain.guild_settings.settings import GuildSettings
from bot.domain.job import Place
from bot.domain.request import InitImage
from bot.domain.safety import Rating, SafetyLevel, Spoilers
from bot.errors import NotAllowedError, NotFoundError
from tests.examples import CHANNEL, CLASSIFIED_PROFILE, GUILD, OTHER, PASTEL, PROFILE, job, origin, request

STYLES = (replace(PASTEL, name="ink", title="Ink Wash"), PASTEL, replace(PASTEL, name="pixel", title="Pixel"))
HERE = Place(channel_id=CHANNEL)
ADULT = Place(channel_id=CHANNEL, age_restricted=True)


def test_nothing_is_forbidden_where_nobody_changed_anything() -> None:
    settings = GuildSettings()

    policy.check_place(settings, HERE)
    policy.check_roles(settings, frozenset())
    policy.check_amount(settings, request(num_images=4, num_inference_steps=60, width=2048, height=2048))
    policy.check_style(settings, request(style="pastel"), STYLES)
    policy.check_reuse(settings, job(), origin(user_id=OTHER))


def test_pastel_draws_only_in_allowed_channels_and_their_threads() -> None:
    settings = GuildSettings(allowed_channels=frozenset({CHANNEL, 31}))

    policy.check_place(settings, HERE)
    policy.check_place(settings, Place(channel_id=99, parent_id=CHANNEL))
    with pytest.raises(NotAllowedError, match=r"only draw in <#30>, <#31> here\. Try it there"):
        policy.check_place(settings, Place(channel_id=99, parent_id=98))


def test_a_thread_can_be_allowed_by_itself() -> None:
    settings = GuildSettings(allowed_channels=frozenset({99}))

    policy.check_place(settings, Place(channel_id=99, parent_id=CHANNEL))
    with pytest.raises(NotAllowedError):
        policy.check_place(settings, HERE)


def test_a_long_list_of_channels_is_cut_in_the_sentence() -> None:
    settings = GuildSettings(allowed_channels=frozenset(range(1, 10)))

    with pytest.raises(NotAllowedError, match=r"<#1>, <#2>, <#3>, <#4>, <#5> and 4 more"):
        policy.check_place(settings, HERE)


def test_one_of_the_allowed_roles_is_enough() -> None:
    settings = GuildSettings(allowed_roles=frozenset({1, 2}))

    policy.check_roles(settings, frozenset({2, 7}))
    with pytest.raises(NotAllowedError, match=r"one of these roles to draw here: <@&1>, <@&2>\."):
        policy.check_roles(settings, frozenset({7}))
    with pytest.raises(NotAllowedError, match=r"You need the <@&1> role to draw here\."):
        policy.check_roles(GuildSettings(allowed_roles=frozenset({1})), frozenset({7}))


@pytest.mark.parametrize(
    ("limits", "fits", "exceeds", "sentence"),
    [
        (
            {"max_pixels": 4096},
            {"width": 64, "height": 64},
            {"width": 64, "height": 72},
            "is more than the 4,096 pixels",
        ),
        ({"max_steps": 20}, {"num_inference_steps": 20}, {"num_inference_steps": 21}, "up to 20 steps"),
        ({"max_images": 1}, {"num_images": 1}, {"num_images": 2}, "up to 1 picture at once"),
    ],
)
def test_a_limit_allows_exactly_as_much_as_it_says(
    limits: dict[str, int], fits: dict[str, int], exceeds: dict[str, int], sentence: str
) -> None:
    settings = GuildSettings(**limits)

    policy.check_amount(settings, request(**fits))
    with pytest.raises(NotAllowedError, match=sentence):
        policy.check_amount(settings, request(**exceeds))


def test_a_style_that_the_server_does_not_offer_is_refused_and_none_is_always_possible() -> None:
    settings = GuildSettings(allowed_styles=frozenset({"ink", "pastel"}))

    policy.check_style(settings, request(style="ink"), STYLES)
    policy.check_style(settings, request(), STYLES)
    with pytest.raises(NotAllowedError, match=r"You can use \*\*Ink Wash\*\*, \*\*Pastel Anime\*\*, or none"):
        policy.check_style(settings, request(style="pixel"), STYLES)
    with pytest.raises(NotAllowedError, match=r"Draw without one"):
        policy.check_style(GuildSettings(allowed_styles=frozenset({"gone"})), request(style="pixel"), STYLES)


@pytest.mark.parametrize(
    ("safety", "place", "rating"),
    [
        (SafetyLevel.STRICT, HERE, Rating.GENERAL),
        (SafetyLevel.STRICT, ADULT, Rating.GENERAL),
        (SafetyLevel.MODERATE, HERE, Rating.SENSITIVE),
        (SafetyLevel.MODERATE, ADULT, Rating.SENSITIVE),
        (SafetyLevel.AGE_RESTRICTED, HERE, Rating.SENSITIVE),
        (SafetyLevel.AGE_RESTRICTED, ADULT, Rating.EXPLICIT),
    ],
)
def test_only_an_age_restricted_channel_of_a_server_that_wants_it_shows_everything(
    safety: SafetyLevel, place: Place, rating: Rating
) -> None:
    assert policy.showing(GuildSettings(safety=safety), place, spoiler=False, young=False).rating is rating


@pytest.mark.parametrize(
    ("spoilers", "place", "wanted", "hidden"),
    [
        (Spoilers.NEVER, ADULT, False, False),
        (Spoilers.NEVER, HERE, True, True),
        (Spoilers.AGE_RESTRICTED, HERE, False, False),
        (Spoilers.AGE_RESTRICTED, ADULT, False, True),
        (Spoilers.ALWAYS, HERE, False, True),
    ],
)
def test_pictures_are_hidden_where_server_or_member_want_it(
    spoilers: Spoilers, place: Place, wanted: bool, hidden: bool
) -> None:
    assert policy.showing(GuildSettings(spoilers=spoilers), place, spoiler=wanted, young=False).spoiler is hidden


def test_a_job_is_known_in_its_server_and_to_its_owner_everywhere() -> None:
    policy.check_visible(job(), origin(user_id=OTHER))
    policy.check_visible(job(), origin(guild_id=GUILD + 1))
    policy.check_visible(job(), origin(guild_id=None))


def test_who_asks_from_another_channel_has_to_see_that_of_the_card_unless_the_picture_is_theirs() -> None:
    elsewhere = Place(channel_id=99)
    blind = replace(origin(user_id=OTHER), place=elsewhere)

    for unseen in (blind, replace(blind, place=None), replace(blind, sight=lambda channel_id: channel_id == 99)):
        with pytest.raises(NotFoundError, match="picture is gone"):
            policy.check_visible(job(), unseen)
    policy.check_visible(job(), replace(blind, sight=lambda channel_id: channel_id == CHANNEL))
    policy.check_visible(job(), replace(blind, place=Place(channel_id=99, parent_id=CHANNEL)))
    policy.check_visible(job(), replace(origin(), place=elsewhere))


@pytest.mark.parametrize("guild_id", [GUILD + 1, None])
def test_strangers_from_elsewhere_learn_nothing_of_a_job(guild_id: int | None) -> None:
    with pytest.raises(NotFoundError, match="picture is gone"):
        policy.check_visible(job(), origin(user_id=OTHER, guild_id=guild_id))


def test_direct_messages_are_no_common_place() -> None:
    private = job(origin=origin(guild_id=None))

    policy.check_visible(private, origin(guild_id=None))
    with pytest.raises(NotFoundError):
        policy.check_visible(private, origin(user_id=OTHER, guild_id=None))


def test_others_may_draw_from_a_picture_unless_the_server_forbids_it() -> None:
    settings = replace(GuildSettings(), others_may_reuse=False)

    policy.check_reuse(settings, job(), origin())
    with pytest.raises(NotAllowedError, match="only the person who made a picture"):
        policy.check_reuse(settings, job(), origin(user_id=OTHER))


def test_where_nobody_looks_at_pictures_at_least_half_of_a_given_one_has_to_change() -> None:
    slightly, half = (request(init_image=InitImage(key="k", strength=strength)) for strength in (0.49, 0.5))

    with pytest.raises(NotAllowedError, match=r"Test Model.*`/anime`.*`strength` of 0\.5 or more"):
        policy.check_start(slightly, PROFILE)
    policy.check_start(half, PROFILE)
    policy.check_start(request(), PROFILE)
    policy.check_start(slightly, CLASSIFIED_PROFILE)


def test_a_picture_that_was_drawn_here_may_stay_as_it_is() -> None:
    policy.check_start(request(init_image=InitImage(key="k", strength=0.05, drawn_here=True)), PROFILE)


def test_an_upscale_beyond_the_servers_size_is_refused_without_advice_to_choose_another_size() -> None:
    settings = replace(GuildSettings(), max_pixels=64 * 64)
    upscale = request(width=96, height=96, init_image=InitImage(key="k", strength=0.3, drawn_here=True))

    with pytest.raises(NotAllowedError, match=r"upscale of this would be 96 × 96\..*this server allows\.$"):
        policy.check_amount(settings, upscale)
