"""`/profile`, and what becomes of `/anime` with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.chat.actions import NO_JOB, PROFILE
from bot.domain.preferences import NO_PREFERENCES, Preferences
from bot.domain.profile import Catalog
from bot.domain.request import GenerationRequest
from tests.cogs.harness import SimcordHarness, open_stage, parts, parts_of, refusal, texts
from tests.examples import CATALOG, PASTEL
from tests.examples import PROFILE as MODEL

INK = replace(PASTEL, name="ink", title="Ink *wash*")
BUTTON = f"pastel:{PROFILE}:{NO_JOB}"
UNTOUCHED = {"style": ["-"], "size": ["-"], "negative_prompt": "", "images": ["1"], "spoiler": ["shown"]}


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncGenerator[SimcordHarness]:
    catalog = Catalog(profiles=CATALOG.profiles, styles={**CATALOG.styles, "ink": INK})
    async with open_stage(tmp_path, catalog=catalog) as opened:
        yield opened


async def own(harness: SimcordHarness, actor: Any = None) -> Preferences:
    return await harness.services.preferences.of((actor or harness.member).id)


async def put(harness: SimcordHarness, **options: Any) -> Any:
    return await harness.member.slash(harness.channel, "profile set", **options)


async def guild_settings(harness: SimcordHarness, **settings: Any) -> None:
    await harness.repositories.guild_settings.change(
        harness.guild.id, lambda before: replace(before, **settings), by=harness.manager.id, now=harness.clock.now()
    )


async def asked(harness: SimcordHarness, **options: Any) -> GenerationRequest:
    await harness.anime("1girl", **options)
    return (await harness.last_job()).request


async def shown_form(harness: SimcordHarness, actor: Any = None) -> Any:
    who = actor or harness.member
    card = await who.slash(harness.channel, "profile show")
    return await who.click(card.response, custom_id=BUTTON)


async def test_whoever_has_set_nothing_sees_what_holds_then(harness: SimcordHarness):
    result = await harness.member.slash(harness.channel, "profile show")

    assert result.ephemeral
    said = texts(result.response)
    assert "**Style:** server default" in said
    assert "**Size:** Square · 64 × 64 · model default" in said
    assert "**Pictures:** 1 picture" in said
    assert "**Spoiler:** off" in said


async def test_only_what_is_given_changes_and_the_answer_shows_all(harness: SimcordHarness):
    await put(harness, style="INK", size="portrait", negative_prompt="hat, *glasses*", pictures=2)

    result = await put(harness, spoiler=True)

    assert await own(harness) == Preferences(
        style="ink", size="portrait", negative_prompt="hat, *glasses*", num_images=2, spoiler=True
    )
    assert await own(harness, harness.other) == NO_PREFERENCES
    said = texts(result.response)
    assert result.ephemeral
    assert "**Style:** Ink \\*wash\\*" in said
    assert "Portrait · 64 × 96" in said
    assert "hat, \\*glasses\\*" in said
    assert "2 pictures" in said
    assert "**Spoiler:** on" in said
    assert "Saved" in said


async def test_a_dash_clears_a_text(harness: SimcordHarness):
    await put(harness, style="ink", size="portrait", negative_prompt="hat", spoiler=True)

    await put(harness, style="-", size="-", negative_prompt="-")

    assert await own(harness) == Preferences(spoiler=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "Tell me what to change"),
        ({"style": "nothing"}, "I don't know that style. You can use **Ink *wash***, **Pastel Anime**"),
        ({"style": "pixel"}, "I don't know that style"),
        ({"size": "huge"}, "You can use `square`, `portrait`"),
        ({"negative_prompt": "x" * 2001}, "What you leave out has 2,001 characters"),
        ({"negative_prompt": "hat <lora:ink:1>"}, "A style does nothing in what to leave out. Take the tag for `ink` out."),
    ],
)
async def test_what_there_is_not_is_refused_and_changes_nothing(harness: SimcordHarness, options: dict[str, Any], words: str):
    await put(harness, pictures=2)

    assert words in refusal(await put(harness, **options))
    assert await own(harness) == Preferences(num_images=2)


async def test_styles_and_sizes_are_found_while_typing_as_the_server_offers_them(harness: SimcordHarness):
    await guild_settings(harness, allowed_styles=frozenset({"ink"}))

    styles = await harness.member.autocomplete(harness.channel, "profile set", "style", "")
    sizes = await harness.member.autocomplete(harness.channel, "profile set", "size", "96")

    assert [choice["value"] for choice in styles] == ["none", "ink"]
    assert [(choice["name"], choice["value"]) for choice in sizes] == [("Portrait · 64 × 96", "portrait")]


async def test_the_form_is_filled_with_the_present_defaults(harness: SimcordHarness):
    await put(harness, style="ink", negative_prompt="hat", pictures=3, spoiler=True)

    shown = await shown_form(harness)

    assert harness.bot._connection._view_store._modals == {}
    fields = {part["custom_id"]: part for part in parts_of(shown.modal)}
    chosen = {
        name: [option["value"] for option in field["options"] if option.get("default")]
        for name, field in fields.items()
        if "options" in field
    }
    assert fields["negative_prompt"]["value"] == "hat"
    assert chosen == {"style": ["ink"], "size": ["-"], "images": ["3"], "spoiler": ["hidden"]}


@pytest.mark.parametrize("restarts", [False, True])
async def test_the_form_changes_all_at_once_after_a_restart_too(harness: SimcordHarness, restarts: bool):
    await put(harness, style="ink", pictures=2)
    card = await harness.member.slash(harness.channel, "profile show")
    if restarts:
        await harness.restart()
    shown = await harness.member.click(card.response, custom_id=BUTTON)
    if restarts:
        await harness.restart()

    await harness.member.submit_modal(
        shown, {"style": ["-"], "size": ["portrait"], "negative_prompt": "hat", "images": ["4"], "spoiler": ["hidden"]}
    )

    assert await own(harness) == Preferences(size="portrait", negative_prompt="hat", num_images=4, spoiler=True)
    said = texts(next(message for message in harness.channel.history(viewer=harness.member) if message.id == card.response.id))
    assert "Portrait · 64 × 96" in said
    assert "Saved" in said


async def test_a_form_that_sets_everything_back_leaves_nothing_stored(harness: SimcordHarness):
    await put(harness, style="ink", size="portrait", negative_prompt="hat", pictures=2, spoiler=True)

    await harness.member.submit_modal(await shown_form(harness), UNTOUCHED)

    assert await own(harness) == NO_PREFERENCES
    assert (await harness.services.privacy.holdings(harness.member.id)).has_defaults is False


async def test_a_style_that_this_server_does_not_offer_stays_in_the_form(harness: SimcordHarness):
    await put(harness, style="ink")
    await guild_settings(harness, allowed_styles=frozenset({"pastel"}))

    shown = await shown_form(harness)
    (styles,) = [part for part in parts_of(shown.modal) if part["custom_id"] == "style"]
    await harness.member.submit_modal(shown, UNTOUCHED | {"style": ["ink"]})

    assert [option["value"] for option in styles["options"]] == ["-", "ink", "none", "pastel"]
    assert (await own(harness)).style == "ink"


async def test_a_forged_form_is_checked_and_whoever_sends_it_changes_their_own(harness: SimcordHarness):
    shown = await shown_form(harness)
    for label in shown._interaction.modal["components"]:
        for option in label["component"].get("options", []):
            option["value"] = {"4": "99", "portrait": "huge"}.get(option["value"], option["value"])

    assert "`images` must be" in refusal_beside(await harness.member.submit_modal(shown, UNTOUCHED | {"images": ["99"]}))
    assert await own(harness) == NO_PREFERENCES


def refusal_beside(result: Any) -> str:
    (message,) = result.followups
    assert message.ephemeral
    return message.content


async def test_a_reset_forgets_everything(harness: SimcordHarness):
    await put(harness, style="ink", spoiler=True)

    result = await harness.member.slash(harness.channel, "profile reset")

    assert "back to the server's and the model's defaults" in texts(result.response)
    assert await own(harness) == NO_PREFERENCES


async def test_ones_defaults_fill_what_anime_leaves_out_everywhere(harness: SimcordHarness):
    await put(harness, style="ink", size="portrait", negative_prompt="hat", pictures=2)

    request = await asked(harness)
    await harness.member.user.slash("anime", prompt="1girl")
    direct = (await harness.last_job()).request

    for one in (request, direct):
        assert (one.style, one.height, one.negative_prompt, one.num_images) == ("ink", 96, "hat", 2)
        assert one.adapter_weight == INK.adapter_weight


async def test_what_anime_says_counts_before_ones_defaults(harness: SimcordHarness):
    await put(harness, style="ink", size="portrait", negative_prompt="hat", pictures=2)

    request = await asked(harness, style="pastel", size="square", negative_prompt="scarf", images=1)

    assert (request.style, request.height, request.negative_prompt, request.num_images) == ("pastel", 64, "scarf", 1)


async def test_the_servers_defaults_come_after_ones_own(harness: SimcordHarness):
    await guild_settings(harness, default_style="pastel", default_negative_prompt="the server's")

    assert (await asked(harness)).style == "pastel"
    assert (await asked(harness)).negative_prompt == "the server's"

    await put(harness, style="ink", negative_prompt="mine")
    request = await asked(harness)
    assert (request.style, request.negative_prompt) == ("ink", "mine")


@pytest.mark.parametrize("way", ["command", "form"])
async def test_a_member_may_want_no_style_where_the_server_has_a_default_one(harness: SimcordHarness, way: str):
    await guild_settings(harness, default_style="pastel")
    if way == "command":
        (choice,) = await harness.member.autocomplete(harness.channel, "profile set", "style", "no st")
        await put(harness, style=choice["value"])
    else:
        await harness.member.submit_modal(await shown_form(harness), UNTOUCHED | {"style": ["none"]})

    assert (await asked(harness)).style is None
    assert "**Style:** none, even if the server has a default" in texts(
        (await harness.member.slash(harness.channel, "profile show")).response
    )
    fields = {part["custom_id"]: part for part in parts_of((await shown_form(harness)).modal)}
    assert [option["value"] for option in fields["style"]["options"] if option.get("default")] == ["none"]
    assert (await asked(harness, style="ink")).style == "ink"

    await put(harness, style="-")
    assert (await asked(harness)).style == "pastel"


@pytest.mark.parametrize("way", ["command", "form"])
async def test_a_member_may_want_no_negative_prompt_where_the_server_has_a_default_one(harness: SimcordHarness, way: str):
    await guild_settings(harness, default_negative_prompt="the server's")
    if way == "command":
        await put(harness, negative_prompt="None")
    else:
        await harness.member.submit_modal(await shown_form(harness), UNTOUCHED | {"negative_prompt": "none"})

    assert (await asked(harness)).negative_prompt == ""
    assert "**Leave out:** nothing, even if the server has a default" in texts(
        (await harness.member.slash(harness.channel, "profile show")).response
    )
    (field,) = [part for part in parts_of((await shown_form(harness)).modal) if part["custom_id"] == "negative_prompt"]
    assert field["value"] == "none"
    assert (await asked(harness, negative_prompt="hat")).negative_prompt == "hat"

    await put(harness, negative_prompt="-")
    assert (await asked(harness)).negative_prompt == "the server's"


async def test_ones_defaults_keep_within_the_servers_limits(harness: SimcordHarness):
    await put(harness, style="ink", size="portrait", pictures=4)
    await guild_settings(harness, max_pixels=64 * 64, max_images=2, allowed_styles=frozenset({"pastel"}))

    request = await asked(harness)

    assert (request.style, request.height, request.num_images) == (None, 64, 2)


async def test_a_dash_in_anime_means_none_at_all(harness: SimcordHarness):
    await put(harness, style="ink", negative_prompt="hat")
    await guild_settings(harness, default_style="pastel", default_negative_prompt="the server's")

    request = await asked(harness, style="-", negative_prompt="-")

    assert (request.style, request.negative_prompt) == (None, "")


@pytest.mark.parametrize("hidden", [True, False])
async def test_a_spoiler_hides_the_pictures_of_ones_cards(harness: SimcordHarness, hidden: bool):
    await put(harness, spoiler=hidden)

    job = await harness.finished(images=2)

    (gallery,) = [part for part in parts(harness.card(job)) if part["type"] == 12]
    assert [item.get("spoiler", False) for item in gallery["items"]] == [hidden, hidden]


async def test_defaults_of_another_model_are_said_to_be_gone_and_do_no_harm(harness: SimcordHarness):
    await harness.repositories.preferences.change(
        harness.member.id, lambda _: Preferences(style="pixel", size="giant"), now=harness.clock.now()
    )

    result = await harness.member.slash(harness.channel, "profile show")
    request = await asked(harness)

    assert texts(result.response).count("no longer available") == 2
    assert (request.style, request.height) == (None, MODEL.size(None).height)
    await put(harness, pictures=2)
    assert await own(harness) == Preferences(style="pixel", size="giant", num_images=2)
