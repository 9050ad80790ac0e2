"""The menu of a message: our own cards, and pictures from anywhere."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import discord
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from simcord.actors import _dispatch_actor_interaction  # what a user's client sends
from simcord.backend import serializers
from simcord.enums import AppCommandType, InteractionType

from bot.chat.actions import FOUND, NO_JOB
from bot.domain.job import Job, Relation
from bot.domain.profile import Catalog
from bot.services.reports import NO_MODERATORS
from tests.cogs.harness import SimcordHarness, custom_ids, open_stage, parts, parts_of, png, refusal, texts
from tests.examples import CATALOG, PASTEL

DRAW = f"pastel:{FOUND}:{NO_JOB}"
INK = replace(PASTEL, name="ink", title="Ink", weight_name="ink-v2.safetensors")
TEXT = """1girl, green hair, <lora:ink-v2:0.6>, <lora:far away:1>
Negative prompt: lowres, hat
Steps: 28, Sampler: DPM++ 2M Karras, CFG scale: 5.5, Seed: 1234, Size: 832x1216, Model: "other, model", Version: v1.9.4"""


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncGenerator[SimcordHarness]:
    catalog = Catalog(profiles=CATALOG.profiles, styles={**CATALOG.styles, "ink": INK})
    async with open_stage(tmp_path, catalog=catalog) as opened:
        yield opened


def picture(text: str | None = TEXT) -> bytes:
    """A PNG with `text` where A1111 writes it."""
    info = PngInfo()
    if text is not None:
        info.add_text("parameters", text)
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


async def guild_settings(harness: SimcordHarness, **settings: Any) -> None:
    await harness.repositories.guild_settings.change(
        harness.guild.id, lambda before: replace(before, **settings), by=harness.manager.id, now=harness.clock.now()
    )


async def post(harness: SimcordHarness, *files: tuple[str, bytes], content: str = "look", actor: Any = None) -> discord.Message:
    return await (actor or harness.other).send(harness.channel, content, attachments=files)


async def menu(harness: SimcordHarness, name: str, message: Any, actor: Any = None, channel: Any = None) -> Any:
    return await (actor or harness.member).context_menu(channel or harness.channel, name, message)


async def direct_menu(harness: SimcordHarness, name: str, message: Any) -> Any:
    """In the member's direct messages with the bot, where SimCord lets its users open no menu."""
    backend, channel, user = harness.env.backend, harness.member.user.dm_channel, harness.member.user
    visible = backend.visible_commands(user_id=user.id, channel_id=channel.id, type=AppCommandType.MESSAGE)
    (command,) = [found for found in visible if found["name"] == name]
    shown = dict(serializers.message_payload(backend, backend.get_message(channel.id, message.id)))
    data = {
        "id": command["id"],
        "name": name,
        "type": AppCommandType.MESSAGE,
        "target_id": shown["id"],
        "resolved": {"messages": {shown["id"]: shown}},
    }
    return await _dispatch_actor_interaction(user, InteractionType.APPLICATION_COMMAND, channel, data)


async def drawn_in_private(harness: SimcordHarness, **options: Any) -> tuple[Job, Any]:
    await harness.member.user.slash("anime", **({"prompt": "1girl"} | options))
    job = await harness.draw()
    return job, harness.card(job, harness.member.user.dm_channel)


async def post_in_private(harness: SimcordHarness) -> discord.Message:
    files = harness.env.backend.store_attachments(harness.member.user.dm_channel.id, [("one.png", picture())])
    return await harness.member.user.send_dm("look", attachments=files)


async def read(harness: SimcordHarness, text: str | None = TEXT, actor: Any = None) -> Any:
    return await menu(harness, "Read settings", await post(harness, ("one.png", picture(text))), actor)


def values(shown: Any) -> dict[str, Any]:
    """What a form is filled with; of a select, the chosen values."""
    return {
        part["custom_id"]: part.get("value")
        if "options" not in part
        else [option["value"] for option in part["options"] if option.get("default")]
        for part in parts_of(shown.modal)
    }


async def test_the_menus_are_four_of_discords_five(harness: SimcordHarness):
    kinds = [command.name for command in harness.bot.tree.get_commands(type=discord.AppCommandType.message)]

    assert kinds == ["Remix", "Details", "Report", "Read settings"]


async def test_remix_from_the_menu_opens_the_buttons_form_and_ends_in_the_same_job(harness: SimcordHarness):
    first = await harness.finished(prompt="1girl", negative_prompt="hat", images=2)

    shown = await menu(harness, "Remix", harness.card(first), harness.other)
    await harness.other.submit_modal(shown, values(shown) | {"prompt": "1boy"})

    second = await harness.last_job()
    assert second.parent is not None
    assert (second.parent.job_id, second.parent.relation) == (first.id, Relation.REMIX)
    assert (second.origin.user_id, second.request.prompt, second.request.num_images) == (harness.other.id, "1boy", 2)


async def test_details_from_the_menu_are_the_buttons(harness: SimcordHarness):
    first = await harness.finished(images=2, seed=41)

    result = await menu(harness, "Details", harness.card(first), harness.other)

    assert result.response.ephemeral
    assert first.id in texts(result.response)
    assert "Seed: 42" in texts(result.response)


async def test_report_from_the_menu_opens_the_buttons_form(harness: SimcordHarness):
    first = await harness.finished()
    await guild_settings(harness, report_channel=harness.channel.id)

    from_menu = await menu(harness, "Report", harness.card(first), harness.other)
    from_button = await harness.press(first, "report", harness.other)

    assert from_menu.modal == from_button.modal


@pytest.mark.parametrize("name", ["Remix", "Details", "Report"])
async def test_a_message_that_is_no_card_gets_one_clear_sentence(harness: SimcordHarness, name: str):
    theirs = await post(harness, ("one.png", picture()))

    assert "only works on pictures I made" in refusal(await menu(harness, name, theirs))


async def test_a_message_of_ours_without_a_card_is_no_card(harness: SimcordHarness):
    await harness.member.slash(harness.channel, "profile show")
    (profile,) = harness.channel.history(viewer=harness.member)

    assert "only works on pictures I made" in refusal(await menu(harness, "Details", profile))


async def test_a_card_of_another_bots_is_not_believed(harness: SimcordHarness):
    first = await harness.finished()
    card = harness.card(first)
    harness.env.backend.get_message(harness.channel.id, card.id).author_id = harness.other.id

    assert "only works on pictures I made" in refusal(await menu(harness, "Remix", card))


async def test_a_deleted_picture_is_said_to_be_gone(harness: SimcordHarness):
    first = await harness.finished()
    card = harness.card(first)
    await harness.jobs.mark_deleted(first.id, by=900, now=harness.clock.now())

    assert "picture is gone" in refusal(await menu(harness, "Details", card))


async def test_somebody_elses_job_of_elsewhere_stays_unknown(harness: SimcordHarness):
    first = await harness.finished()
    card = harness.card(first)
    await harness.database.transaction(
        lambda connection: connection.execute("UPDATE jobs SET guild_id = NULL WHERE id = ?", (first.id,))
    )

    for name in ("Remix", "Details"):
        assert "picture is gone" in refusal(await menu(harness, name, card, harness.other))
    assert first.id in texts((await menu(harness, "Details", card)).response)  # to its owner it is known everywhere


async def test_the_settings_of_a_picture_are_shown_to_whoever_asks_and_nobody_else(harness: SimcordHarness):
    result = await read(harness)

    assert result.response.ephemeral
    said = texts(result.response)
    assert f"```\n{TEXT}\n```" in said
    assert "one\\.png" in said
    assert "**I'd draw it with:** seed `1234` · 64 × 96 · 28 steps · guidance 5.5 · Ink × 0.6 · Test Model" in said
    assert "Without these LoRAs, which I don't have: far away" in said
    assert "It was made with other, model, so mine will look different" in said
    assert custom_ids(result.response) == [DRAW]


@pytest.mark.parametrize("restarts", [False, True])
async def test_what_was_read_is_drawn_after_a_look_at_it_and_after_a_restart_too(harness: SimcordHarness, restarts: bool):
    found = await read(harness)
    if restarts:
        await harness.restart()
    shown = await harness.member.click(found.response, custom_id=DRAW)
    if restarts:
        await harness.restart()

    filled = values(shown)
    await harness.member.submit_modal(shown, filled)

    assert harness.bot._connection._view_store._modals == {}
    assert filled == {
        "prompt": "1girl, green hair",
        "negative_prompt": "lowres, hat",
        "size": ["portrait"],
        "style": ["ink"],
        "numbers": "Steps: 28, CFG scale: 5.5, Seed: 1234, Style weight: 0.6",
    }
    job = await harness.only_job()
    request = job.request
    assert (request.prompt, request.negative_prompt) == ("1girl, green hair", "lowres, hat")
    assert (request.width, request.height, request.num_images) == (64, 96, 1)
    assert (request.num_inference_steps, request.guidance_scale, request.seed) == (28, 5.5, 1234)
    assert (request.style, request.adapter_weight) == ("ink", 0.6)
    assert (job.origin.user_id, job.parent) == (harness.member.id, None)
    await harness.draw()
    assert len(harness.card(job).attachments) == 1


async def test_what_a_member_leaves_empty_is_nothing_whatever_their_defaults_say(harness: SimcordHarness):
    await harness.member.slash(harness.channel, "profile set", style="ink", negative_prompt="mine", pictures=3)
    shown = await harness.member.click((await read(harness)).response, custom_id=DRAW)

    await harness.member.submit_modal(
        shown, {"prompt": "1girl", "negative_prompt": "", "size": ["square"], "style": ["-"], "numbers": ""}
    )

    request = (await harness.only_job()).request
    assert (request.style, request.negative_prompt, request.num_images) == (None, "", 1)
    assert (request.num_inference_steps, request.guidance_scale) == (4, 7.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"numbers": "twenty steps"}, "Steps: 28, CFG scale: 7, Seed: 42"),
        ({"numbers": "Steps: 61"}, "`steps` must be between 1 and 60"),
        ({"numbers": "Seed: 4294967296"}, "`seed` must be between 0"),
        ({"prompt": "  "}, "Your prompt is empty"),
    ],
)
async def test_what_a_member_made_of_the_form_is_checked_as_ever(harness: SimcordHarness, changes: dict[str, str], words: str):
    shown = await harness.member.click((await read(harness)).response, custom_id=DRAW)

    result = await harness.member.submit_modal(shown, values(shown) | changes)

    assert words in refusal(result)
    assert not result.deferred
    assert await harness.all_jobs() == []


async def test_the_rules_of_the_server_hold_for_what_was_read(harness: SimcordHarness):
    shown = await harness.member.click((await read(harness)).response, custom_id=DRAW)
    await guild_settings(harness, max_steps=20)

    result = await harness.member.submit_modal(shown, values(shown))

    assert "up to 20 steps" in refusal(result)
    assert await harness.all_jobs() == []


@pytest.mark.parametrize("words", ["a ```` b", "long, " * 800])
async def test_a_text_that_cannot_be_quoted_comes_as_a_file_and_is_drawn_from_it(harness: SimcordHarness, words: str):
    found = await read(harness, f"{words}\nSteps: 9, Seed: 77, Size: 64x64")
    (file,) = found.response.attachments
    assert words.strip().encode() in await file.read()

    shown = await harness.member.click(found.response, custom_id=DRAW)

    filled = values(shown)
    assert filled["prompt"] == words.strip()[:2000]
    assert filled["numbers"] == "Steps: 9, Seed: 77"
    if len(words) > 2000:
        assert "the end of the prompt is missing" in texts(found.response)


async def test_a_strangers_words_ping_nobody_and_hide_nothing(harness: SimcordHarness):
    evil = (
        f"@everyone <@{harness.other.id}> \u202egnp\u200b [click](https://evil.example)\nSteps: 4, Model: <@{harness.other.id}>"
    )

    result = await menu(harness, "Read settings", await post(harness, ("@everyone_(x).png", picture(evil))), harness.member)

    said = texts(result.response)
    stored = harness.env.backend.get_message(harness.channel.id, result.response.id)
    assert (stored.ping_user_ids, stored.ping_role_ids, stored.mention_everyone) == ([], [], False)
    assert "\u202e" not in said
    assert f"drew it (<@{harness.other.id}>" not in said
    quoted = next(part["content"] for part in parts(result.response) if part.get("content", "").startswith("```"))
    assert "@everyone" not in said.replace(quoted, "")
    assert "```" not in quoted[3:-3]


async def test_the_first_picture_of_a_message_is_read_whatever_else_is_attached(harness: SimcordHarness):
    message = await post(
        harness, ("notes.txt", b"Steps: 1"), ("two.png", picture("2girls\nSteps: 2")), ("three.png", picture())
    )

    assert "2girls" in texts((await menu(harness, "Read settings", message)).response)


async def test_a_card_of_ours_can_be_read_as_any_other_picture(harness: SimcordHarness):
    first = await harness.finished()
    harness.store.files = {key: picture("ours\nSteps: 4") for key in harness.store.files}
    await harness.anime()
    second = await harness.draw()
    assert second.id != first.id

    result = await menu(harness, "Read settings", harness.card(first), harness.other)

    assert "has no settings in it" in refusal_in_place(result)


def refusal_in_place(result: Any) -> str:
    """The sentence that took the place of an ephemeral "thinking…"."""
    assert result.response.ephemeral
    return result.response.content


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([], "no PNG, JPEG or WebP picture"),
        ([("notes.txt", b"Steps: 4")], "no PNG, JPEG or WebP picture"),
        ([("plain.png", png())], "has no settings in it"),
        ([("empty.png", picture("  "))], "has no settings in it"),
        ([("broken.png", b"\x89PNG no picture")], "isn't a PNG, JPEG or WebP picture"),
        ([("big.png", b"\x89PNG" + bytes(11 * 2**20))], "up to 10 MiB"),
        ([("much.png", picture("x" * 50_001))], "too much to be settings"),
    ],
)
async def test_what_cannot_be_read_gets_one_sentence(harness: SimcordHarness, files: list[tuple[str, bytes]], words: str):
    message = await post(harness, *files)

    assert words in refusal(await menu(harness, "Read settings", message))


async def test_a_press_on_a_message_without_settings_says_so(harness: SimcordHarness):
    found = await read(harness)
    stored = harness.env.backend.get_message(harness.channel.id, found.response.id)
    for part in parts(found.response):
        if part["type"] == 10:
            part["content"] = "gone"
    stored.components = [{"type": 1, "components": [{"type": 2, "style": 1, "label": "x", "custom_id": DRAW}]}]

    assert "Use **Read settings** on the picture again" in refusal(await harness.member.click(found.response, custom_id=DRAW))


async def test_remix_in_direct_messages_opens_the_form_and_its_picture_arrives_there(harness: SimcordHarness):
    first, card = await drawn_in_private(harness, negative_prompt="hat", images=2)

    shown = await direct_menu(harness, "Remix", card)
    await harness.member.user.submit_modal(shown, values(shown) | {"prompt": "1boy"})
    second = await harness.draw()

    assert second.parent is not None
    assert (second.parent.job_id, second.parent.relation) == (first.id, Relation.REMIX)
    assert (second.origin.guild_id, second.request.prompt, second.request.num_images) == (None, "1boy", 2)
    assert len(harness.card(second, harness.member.user.dm_channel).attachments) == 2


async def test_details_in_direct_messages_are_shown(harness: SimcordHarness):
    first, card = await drawn_in_private(harness, seed=41)

    result = await direct_menu(harness, "Details", card)

    assert first.id in texts(result.response)
    assert "Seed: 41" in texts(result.response)


async def test_report_in_direct_messages_says_that_nobody_moderates_there(harness: SimcordHarness):
    await guild_settings(harness, report_channel=harness.channel.id)
    _, card = await drawn_in_private(harness)

    assert refusal(await direct_menu(harness, "Report", card)) == NO_MODERATORS


async def test_settings_read_in_direct_messages_are_drawn_there(harness: SimcordHarness):
    theirs = await post_in_private(harness)

    found = await direct_menu(harness, "Read settings", theirs)
    shown = await harness.member.user.click(found.response, custom_id=DRAW)
    await harness.member.user.submit_modal(shown, values(shown))
    job = await harness.draw()

    assert "Ink × 0.6" in texts(found.response)
    assert (job.origin.guild_id, job.request.seed, job.request.style) == (None, 1234, "ink")
    assert len(harness.card(job, harness.member.user.dm_channel).attachments) == 1


@pytest.mark.parametrize("name", ["Remix", "Details", "Report"])
async def test_ones_own_message_in_direct_messages_is_no_card(harness: SimcordHarness, name: str):
    theirs = await post_in_private(harness)

    assert "only works on pictures I made" in refusal(await direct_menu(harness, name, theirs))


async def test_a_picture_that_was_deleted_in_direct_messages_is_said_to_be_gone(harness: SimcordHarness):
    job, card = await drawn_in_private(harness)
    await harness.jobs.mark_deleted(job.id, by=harness.member.id, now=harness.clock.now())

    for name in ("Remix", "Details", "Report"):
        assert "picture is gone" in refusal(await direct_menu(harness, name, card))
