from __future__ import annotations

import io
import logging
from unittest.mock import AsyncMock

import discord
import pytest
from PIL import Image

from bot.chat.attachments import DiscordAttachments
from bot.domain.job import JobStatus
from bot.domain.operator_rules import NO_ROOM
from bot.domain.request import InitImage, StyleChoice
from bot.errors import DiskFullError
from tests.cogs.harness import SimcordHarness, custom_ids, parts, png, refusal, texts
from tests.examples import PASTEL


async def test_a_prompt_becomes_a_queued_card_and_then_its_pictures(harness: SimcordHarness):
    result = await harness.anime("green hair, beanie", images=4)

    job = await harness.only_job()
    assert result.response is not None
    assert job.reply.message_id == result.response.id
    assert "You're next" in texts(result.response)
    assert custom_ids(result.response) == [f"pastel:cancel:{job.id}"]

    assert (await harness.draw()).status is JobStatus.DELIVERED

    card = harness.card(job)
    assert len(card.attachments) == 4
    assert [len(part["items"]) for part in parts(card) if part["type"] == 12] == [4]
    assert "**green hair, beanie**" in texts(card)
    assert f"seed `{job.request.seed}` · 64 × 64 · 4 steps · guidance 7 · Test Model" in texts(card)
    actions = [custom_id.split(":")[1] for custom_id in custom_ids(card)]
    numbered = [f"{action}{n}" for action in ("subtle", "strong", "upscale") for n in (1, 2, 3, 4)]
    assert actions == ["reroll", "remix", "details", "delete", "report", *numbered]


async def test_every_option_reaches_the_request(harness: SimcordHarness):
    await harness.anime(
        "1girl", negative_prompt="hat", size="portrait", images=3, seed=7, steps=9, guidance_scale=4.5, style="pastel",
        style_weight=0.5, image=("start.png", png()), strength=0.7,
    )  # fmt: skip

    request = (await harness.only_job()).request
    assert (request.prompt, request.negative_prompt) == ("1girl", "hat")
    assert (request.width, request.height, request.num_images) == (64, 96, 3)
    assert (request.seed, request.num_inference_steps, request.guidance_scale) == (7, 9, 4.5)
    assert (request.style, request.adapter_weight) == ("pastel", 0.5)
    assert isinstance(request.init_image, InitImage)
    assert request.init_image.strength == 0.7


async def test_a_quality_sets_steps_and_guidance_where_the_member_gave_none(harness: SimcordHarness):
    await harness.anime("1girl", quality="best", guidance_scale=4.5)

    request = (await harness.only_job()).request
    assert (request.num_inference_steps, request.guidance_scale) == (6, 4.5)


@pytest.mark.parametrize(("weight", "drawn"), [(0.4, 0.4), (None, PASTEL.adapter_weight)])
async def test_a_second_style_joins_with_its_own_weight_or_the_one_given(
    harness: SimcordHarness, weight: float | None, drawn: float
):
    await harness.anime("1girl", second_style="Pastel Anime", **({} if weight is None else {"second_style_weight": weight}))

    request = (await harness.only_job()).request
    assert (request.style, request.more_styles) == (None, (StyleChoice(name="pastel", weight=drawn),))


async def test_sizes_are_offered_by_name_and_numbers_with_their_ranges(harness: SimcordHarness):
    command = harness.bot.tree.get_command("anime")
    assert command is not None
    options = {option["name"]: option for option in command.to_dict(harness.bot.tree)["options"]}

    sizes = [(choice["name"], choice["value"]) for choice in options["size"]["choices"]]
    assert sizes == [("Square · 64 × 64", "square"), ("Portrait · 64 × 96", "portrait")]
    assert options["size"]["description"] == "Default: Square · 64 × 64"
    assert [choice["name"] for choice in options["quality"]["choices"]] == [
        "Draft · 2 steps, quick",
        "Standard · 4 steps",
        "Best · 6 steps, slow",
    ]
    assert (options["images"]["min_value"], options["images"]["max_value"]) == (1, 4)
    assert (options["seed"]["min_value"], options["seed"]["max_value"]) == (0, 2**32 - 1)
    assert (options["steps"]["min_value"], options["steps"]["max_value"]) == (1, 60)
    assert (options["guidance_scale"]["min_value"], options["guidance_scale"]["max_value"]) == (1, 20)
    assert [name for name, option in options.items() if option["required"]] == ["prompt"]


async def test_styles_are_found_while_typing(harness: SimcordHarness):
    found = await harness.member.autocomplete(harness.channel, "anime", "style", "PAST")
    assert [choice["value"] for choice in found] == ["pastel"]

    assert await harness.member.autocomplete(harness.channel, "anime", "style", "nothing like it") == []
    assert [choice["value"] for choice in await harness.member.autocomplete(harness.channel, "anime", "style", "")] == [
        "pastel"
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prompt": "  \t "}, "Your prompt is empty"),
        ({"prompt": "\u2028\x00"}, "Your prompt is empty"),
        ({"prompt": "x" * 6000}, "has 6,000 characters"),
        ({"negative_prompt": "x" * 2001}, "What you leave out has 2,001 characters"),
        ({"style": "pixel"}, "I don't know that style"),
        ({"style": "@everyone"}, "I don't know that style"),
        ({"style_weight": 1.0}, "only works with a `style`"),
        ({"second_style": "pixel"}, "I don't know that style"),
        ({"second_style_weight": 0.4}, "only works with a `second_style`"),
        ({"style": "pastel", "second_style": "pastel"}, "the same style twice"),
        ({"strength": 0.5}, "only works with an `image`"),
        ({"image": ("note.txt", b"hello")}, "PNG, JPEG or WebP"),
        ({"image": ("big.png", b"\x89PNG" + bytes(12 * 2**20))}, "12.0 MiB"),
    ],
)
async def test_bad_input_is_refused_with_a_sentence_and_no_job(harness: SimcordHarness, options: dict[str, object], words: str):
    result = await harness.anime(**({"prompt": "1girl"} | options))

    assert words in refusal(result)
    assert not result.deferred
    assert await harness.all_jobs() == []


async def test_a_picture_that_would_hardly_change_is_refused_before_it_is_fetched(
    harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch
):
    fetch = AsyncMock(spec_set=DiscordAttachments.fetch)
    monkeypatch.setattr(DiscordAttachments, "fetch", fetch)

    result = await harness.anime(image=("start.png", png()), strength=0.3)

    assert "`strength` of 0.5 or more" in refusal(result)
    fetch.assert_not_called()
    assert await harness.all_jobs() == []


@pytest.mark.parametrize("data", [b"", b"not a picture", png()[:60]])
async def test_a_broken_image_is_refused_after_the_first_answer_and_nothing_public_stays(harness: SimcordHarness, data: bytes):
    result = await harness.anime(image=("broken.png", data))

    assert "image" in refusal(result).lower() or "picture" in refusal(result).lower()
    assert harness.channel.history(viewer=harness.other) == []
    assert await harness.all_jobs() == []


async def test_an_image_that_would_unpack_to_gigabytes_is_refused(harness: SimcordHarness):
    buffer = io.BytesIO()
    Image.new("1", (30000, 30000)).save(buffer, "PNG")

    result = await harness.anime(image=("bomb.png", buffer.getvalue()))

    assert "pixel" in refusal(result).lower()
    assert await harness.all_jobs() == []


async def test_numbers_that_discord_let_through_are_refused_by_us(harness: SimcordHarness):
    command = next(c for c in harness.env.backend.commands[None].values() if c["name"] == "anime")
    for option in command["options"]:
        option.pop("min_value", None)
        option.pop("max_value", None)
        option.pop("choices", None)

    assert "`steps` must be between 1 and 60" in refusal(await harness.anime(steps=61))
    assert "`images` must be between 1 and 4" in refusal(await harness.anime(images=0))
    assert "I don't know that size" in refusal(await harness.anime(size="huge"))
    assert await harness.all_jobs() == []


async def test_a_prompt_is_shown_letter_for_letter_and_pings_nobody(harness: SimcordHarness):
    evil = f"@everyone <@{harness.other.id}> **bold** [click](https://evil.example) `code` ||spoiler|| \u202egnp\u200b"

    job = await harness.finished(prompt=evil)

    card = harness.card(job)
    assert not card.mention_everyone
    stored = harness.env.backend.get_message(harness.channel.id, card.id)
    assert (stored.ping_user_ids, stored.ping_role_ids) == ([], [])
    title = texts(card).splitlines()[1]
    assert "@everyone" not in title
    assert f"<@{harness.other.id}>" not in title.replace("\\<", "")
    assert "\u202e" not in title
    assert "https:" not in title
    assert "\\*\\*bold\\*\\*" in title


async def test_control_characters_in_a_prompt_become_spaces(harness: SimcordHarness):
    await harness.anime("green\nhair,\x07\tbeanie")

    assert (await harness.only_job()).request.prompt == "green hair, beanie"


async def test_missing_permissions_are_named_before_a_job_is_made(harness: SimcordHarness):
    everyone = harness.guild.default_role
    closed = harness.guild.create_text_channel(
        "closed", overwrites={everyone: discord.PermissionOverwrite(attach_files=False, send_messages=False)}
    )

    result = await harness.member.slash(closed, "anime", prompt="1girl")

    assert "**Send Messages**, **Attach Files**" in refusal(result)
    assert await harness.all_jobs() == []


async def test_a_result_arrives_in_a_direct_message(harness: SimcordHarness):
    await harness.member.user.slash("anime", prompt="1girl")
    job = await harness.draw()

    assert job.origin.guild_id is None
    card = harness.card(job, harness.member.user.dm_channel)
    assert len(card.attachments) == 1


async def test_a_result_arrives_in_a_thread(harness: SimcordHarness):
    made = harness.env.backend.create_thread(harness.channel.id, "a thread", harness.member.id)
    (thread,) = [thread for thread in harness.channel.threads if thread.id == made.id]

    await harness.member.slash(thread, "anime", prompt="1girl")
    job = await harness.draw()

    assert job.reply.channel_id == thread.id
    assert len(harness.card(job, thread).attachments) == 1


async def test_a_result_arrives_after_the_token_died(harness: SimcordHarness):
    await harness.anime()
    await harness.env.advance_time(16 * 60)

    job = await harness.draw()

    assert job.status is JobStatus.DELIVERED
    assert len(harness.card(job).attachments) == 1
    assert len(harness.channel.history()) == 1


async def test_a_result_whose_card_was_deleted_is_posted_once(harness: SimcordHarness):
    await harness.anime()
    await harness.moderator.delete(harness.card(await harness.only_job()))
    assert harness.channel.history() == []

    job = await harness.draw()

    (post,) = harness.channel.history()
    assert post.id == job.reply.message_id
    assert len(post.attachments) == 1


async def test_a_file_that_does_not_fit_on_the_disk_is_told_without_details_and_logged_once(
    harness: SimcordHarness, caplog: pytest.LogCaptureFixture
):
    harness.store.full = True

    assert refusal(await harness.anime("a secret prompt", image=("start.png", png()))) == NO_ROOM
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "The disk is full" in record.getMessage()
    assert record.exc_info is None
    assert await harness.all_jobs() == []


async def test_a_bug_is_logged_once_with_a_number_and_the_member_sees_one_line(
    harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async def explode(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(harness.jobs, "add", explode, raising=True)

    sentence = refusal(await harness.anime("a secret prompt"))

    assert "boom" not in sentence
    assert "Traceback" not in sentence
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.getMessage().split()[1] in sentence
    assert "a secret prompt" not in caplog.text
    assert harness.metrics.registry.get_sample_value("pastel_errors_total") == 1


async def test_the_time_to_the_first_answer_is_measured(harness: SimcordHarness):
    await harness.anime()

    assert harness.metrics.registry.get_sample_value("pastel_ack_seconds_count") == 1


async def test_a_database_without_room_is_told_in_the_sentence_of_a_full_disk(
    harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch
):
    async def refuse(*_: object, **__: object) -> None:
        raise DiskFullError("The disk that holds pastel.db is full.")

    monkeypatch.setattr(harness.jobs, "add", refuse)

    result = await harness.anime()

    assert refusal(result) == NO_ROOM
    assert await harness.all_jobs() == []
