"""`/profile`, and what becomes of `/anime` with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.chat.actions import NO_JOB, PROFILE
from bot.domain.personal import NO_PREFERENCES, PersonalDefaults
from bot.domain.profile import Catalog
from bot.domain.request import GenerationRequest
from bot.storage.house_rules import SqliteHouseRules
from bot.storage.personal import SqlitePersonalDefaults
from tests.cogs.stage import Stage, open_stage, parts, texts
from tests.cogs.test_anime import refusal
from tests.cogs.test_remix import parts_of
from tests.examples import CATALOG, PASTEL
from tests.examples import PROFILE as MODEL

INK = replace(PASTEL, name="ink", title="Ink *wash*")
BUTTON = f"pastel:{PROFILE}:{NO_JOB}"
UNTOUCHED = {"style": ["-"], "size": ["-"], "negative_prompt": "", "images": ["1"], "spoiler": ["shown"]}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncGenerator[Stage]:
    catalog = Catalog(profiles=CATALOG.profiles, styles={**CATALOG.styles, "ink": INK})
    async with open_stage(tmp_path, catalog=catalog) as opened:
        yield opened


async def own(stage: Stage, actor: Any = None) -> PersonalDefaults:
    return await stage.services.preferences.of((actor or stage.member).id)


async def put(stage: Stage, **options: Any) -> Any:
    return await stage.member.slash(stage.channel, "profile set", **options)


async def house_rules(stage: Stage, **settings: Any) -> None:
    await SqliteHouseRules(stage.database).change(
        stage.guild.id, lambda before: replace(before, **settings), by=stage.manager.id, now=stage.clock.now()
    )


async def asked(stage: Stage, **options: Any) -> GenerationRequest:
    await stage.anime("1girl", **options)
    return (await stage.last_job()).request


async def shown_form(stage: Stage, actor: Any = None) -> Any:
    who = actor or stage.member
    card = await who.slash(stage.channel, "profile show")
    return await who.click(card.response, custom_id=BUTTON)


async def test_whoever_has_set_nothing_sees_what_holds_then(stage: Stage):
    result = await stage.member.slash(stage.channel, "profile show")

    assert result.ephemeral
    said = texts(result.response)
    assert "**Style:** as the server has it" in said
    assert "**Size:** as the model has it (square · 64 × 64)" in said
    assert "**Pictures at once:** 1 picture" in said
    assert "shown at once" in said


async def test_only_what_is_given_changes_and_the_answer_shows_all(stage: Stage):
    await put(stage, style="INK", size="portrait", negative_prompt="hat, *glasses*", pictures=2)

    result = await put(stage, spoiler=True)

    assert await own(stage) == PersonalDefaults(
        style="ink", size="portrait", negative_prompt="hat, *glasses*", num_images=2, spoiler=True
    )
    assert await own(stage, stage.other) == NO_PREFERENCES
    said = texts(result.response)
    assert result.ephemeral
    assert "**Style:** Ink \\*wash\\*" in said
    assert "portrait · 64 × 96" in said
    assert "hat, \\*glasses\\*" in said
    assert "2 pictures" in said
    assert "hidden behind a click" in said
    assert "Saved" in said


async def test_a_dash_clears_a_text(stage: Stage):
    await put(stage, style="ink", size="portrait", negative_prompt="hat", spoiler=True)

    await put(stage, style="-", size="-", negative_prompt="-")

    assert await own(stage) == PersonalDefaults(spoiler=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "Say what to change"),
        ({"style": "nothing"}, "There is no style of that name. Available: `ink`, `pastel`"),
        ({"style": "pixel"}, "There is no style of that name"),
        ({"size": "huge"}, "Choose one of: `square`, `portrait`"),
        ({"negative_prompt": "x" * 2001}, "negative prompt has 2,001 characters"),
        ({"negative_prompt": "hat <lora:ink:1>"}, "A style does nothing among what is left out. Take the tag of `ink` out."),
    ],
)
async def test_what_there_is_not_is_refused_and_changes_nothing(stage: Stage, options: dict[str, Any], words: str):
    await put(stage, pictures=2)

    assert words in refusal(await put(stage, **options))
    assert await own(stage) == PersonalDefaults(num_images=2)


async def test_styles_and_sizes_are_found_while_typing_as_the_server_offers_them(stage: Stage):
    await house_rules(stage, allowed_styles=frozenset({"ink"}))

    styles = await stage.member.autocomplete(stage.channel, "profile set", "style", "")
    sizes = await stage.member.autocomplete(stage.channel, "profile set", "size", "96")

    assert [choice["value"] for choice in styles] == ["none", "ink"]
    assert [(choice["name"], choice["value"]) for choice in sizes] == [("portrait · 64 × 96", "portrait")]


async def test_the_form_is_filled_with_the_present_defaults(stage: Stage):
    await put(stage, style="ink", negative_prompt="hat", pictures=3, spoiler=True)

    shown = await shown_form(stage)

    assert stage.bot._connection._view_store._modals == {}
    fields = {part["custom_id"]: part for part in parts_of(shown.modal)}
    chosen = {
        name: [option["value"] for option in field["options"] if option.get("default")]
        for name, field in fields.items()
        if "options" in field
    }
    assert fields["negative_prompt"]["value"] == "hat"
    assert chosen == {"style": ["ink"], "size": ["-"], "images": ["3"], "spoiler": ["hidden"]}


@pytest.mark.parametrize("restarts", [False, True])
async def test_the_form_changes_all_at_once_after_a_restart_too(stage: Stage, restarts: bool):
    await put(stage, style="ink", pictures=2)
    card = await stage.member.slash(stage.channel, "profile show")
    if restarts:
        await stage.restart()
    shown = await stage.member.click(card.response, custom_id=BUTTON)
    if restarts:
        await stage.restart()

    await stage.member.submit_modal(
        shown, {"style": ["-"], "size": ["portrait"], "negative_prompt": "hat", "images": ["4"], "spoiler": ["hidden"]}
    )

    assert await own(stage) == PersonalDefaults(size="portrait", negative_prompt="hat", num_images=4, spoiler=True)
    said = texts(next(message for message in stage.channel.history(viewer=stage.member) if message.id == card.response.id))
    assert "portrait · 64 × 96" in said
    assert "Saved" in said


async def test_a_form_that_sets_everything_back_leaves_nothing_stored(stage: Stage):
    await put(stage, style="ink", size="portrait", negative_prompt="hat", pictures=2, spoiler=True)

    await stage.member.submit_modal(await shown_form(stage), UNTOUCHED)

    assert await own(stage) == NO_PREFERENCES
    assert (await stage.services.privacy.holdings(stage.member.id)).has_defaults is False


async def test_a_style_that_this_server_does_not_offer_stays_in_the_form(stage: Stage):
    await put(stage, style="ink")
    await house_rules(stage, allowed_styles=frozenset({"pastel"}))

    shown = await shown_form(stage)
    (styles,) = [part for part in parts_of(shown.modal) if part["custom_id"] == "style"]
    await stage.member.submit_modal(shown, UNTOUCHED | {"style": ["ink"]})

    assert [option["value"] for option in styles["options"]] == ["-", "ink", "none", "pastel"]
    assert (await own(stage)).style == "ink"


async def test_a_forged_form_is_checked_and_whoever_sends_it_changes_their_own(stage: Stage):
    shown = await shown_form(stage)
    for label in shown._interaction.modal["components"]:
        for option in label["component"].get("options", []):
            option["value"] = {"4": "99", "portrait": "huge"}.get(option["value"], option["value"])

    assert "`images` must be" in refusal_beside(await stage.member.submit_modal(shown, UNTOUCHED | {"images": ["99"]}))
    assert await own(stage) == NO_PREFERENCES


def refusal_beside(result: Any) -> str:
    (message,) = result.followups
    assert message.ephemeral
    return message.content


async def test_a_reset_forgets_everything(stage: Stage):
    await put(stage, style="ink", spoiler=True)

    result = await stage.member.slash(stage.channel, "profile reset")

    assert "Forgotten" in texts(result.response)
    assert await own(stage) == NO_PREFERENCES


async def test_ones_defaults_fill_what_anime_leaves_out_everywhere(stage: Stage):
    await put(stage, style="ink", size="portrait", negative_prompt="hat", pictures=2)

    request = await asked(stage)
    await stage.member.user.slash("anime", prompt="1girl")
    direct = (await stage.last_job()).request

    for one in (request, direct):
        assert (one.style, one.height, one.negative_prompt, one.num_images) == ("ink", 96, "hat", 2)
        assert one.adapter_weight == INK.adapter_weight


async def test_what_anime_says_counts_before_ones_defaults(stage: Stage):
    await put(stage, style="ink", size="portrait", negative_prompt="hat", pictures=2)

    request = await asked(stage, style="pastel", size="square", negative_prompt="scarf", images=1)

    assert (request.style, request.height, request.negative_prompt, request.num_images) == ("pastel", 64, "scarf", 1)


async def test_the_servers_defaults_come_after_ones_own(stage: Stage):
    await house_rules(stage, default_style="pastel", default_negative_prompt="the server's")

    assert (await asked(stage)).style == "pastel"
    assert (await asked(stage)).negative_prompt == "the server's"

    await put(stage, style="ink", negative_prompt="mine")
    request = await asked(stage)
    assert (request.style, request.negative_prompt) == ("ink", "mine")


@pytest.mark.parametrize("way", ["command", "form"])
async def test_a_member_may_want_no_style_where_the_server_has_a_default_one(stage: Stage, way: str):
    await house_rules(stage, default_style="pastel")
    if way == "command":
        (choice,) = await stage.member.autocomplete(stage.channel, "profile set", "style", "no st")
        await put(stage, style=choice["value"])
    else:
        await stage.member.submit_modal(await shown_form(stage), UNTOUCHED | {"style": ["none"]})

    assert (await asked(stage)).style is None
    assert "**Style:** none, even where the server has one" in texts(
        (await stage.member.slash(stage.channel, "profile show")).response
    )
    fields = {part["custom_id"]: part for part in parts_of((await shown_form(stage)).modal)}
    assert [option["value"] for option in fields["style"]["options"] if option.get("default")] == ["none"]
    assert (await asked(stage, style="ink")).style == "ink"

    await put(stage, style="-")
    assert (await asked(stage)).style == "pastel"


@pytest.mark.parametrize("way", ["command", "form"])
async def test_a_member_may_want_no_negative_prompt_where_the_server_has_a_default_one(stage: Stage, way: str):
    await house_rules(stage, default_negative_prompt="the server's")
    if way == "command":
        await put(stage, negative_prompt="None")
    else:
        await stage.member.submit_modal(await shown_form(stage), UNTOUCHED | {"negative_prompt": "none"})

    assert (await asked(stage)).negative_prompt == ""
    assert "**Leave out:** nothing, even where the server does" in texts(
        (await stage.member.slash(stage.channel, "profile show")).response
    )
    (field,) = [part for part in parts_of((await shown_form(stage)).modal) if part["custom_id"] == "negative_prompt"]
    assert field["value"] == "none"
    assert (await asked(stage, negative_prompt="hat")).negative_prompt == "hat"

    await put(stage, negative_prompt="-")
    assert (await asked(stage)).negative_prompt == "the server's"


async def test_ones_defaults_keep_within_the_servers_limits(stage: Stage):
    await put(stage, style="ink", size="portrait", pictures=4)
    await house_rules(stage, max_pixels=64 * 64, max_images=2, allowed_styles=frozenset({"pastel"}))

    request = await asked(stage)

    assert (request.style, request.height, request.num_images) == (None, 64, 2)


async def test_a_dash_in_anime_means_none_at_all(stage: Stage):
    await put(stage, style="ink", negative_prompt="hat")
    await house_rules(stage, default_style="pastel", default_negative_prompt="the server's")

    request = await asked(stage, style="-", negative_prompt="-")

    assert (request.style, request.negative_prompt) == (None, "")


@pytest.mark.parametrize("hidden", [True, False])
async def test_a_spoiler_hides_the_pictures_of_ones_cards(stage: Stage, hidden: bool):
    await put(stage, spoiler=hidden)

    job = await stage.finished(images=2)

    (gallery,) = [part for part in parts(stage.card(job)) if part["type"] == 12]
    assert [item.get("spoiler", False) for item in gallery["items"]] == [hidden, hidden]


async def test_defaults_of_another_model_are_said_to_be_gone_and_do_no_harm(stage: Stage):
    await SqlitePersonalDefaults(stage.database).change(
        stage.member.id, lambda _: PersonalDefaults(style="pixel", size="giant"), now=stage.clock.now()
    )

    result = await stage.member.slash(stage.channel, "profile show")
    request = await asked(stage)

    assert texts(result.response).count("not offered any more") == 2
    assert (request.style, request.height) == (None, MODEL.size(None).height)
    await put(stage, pictures=2)
    assert await own(stage) == PersonalDefaults(style="pixel", size="giant", num_images=2)
