from __future__ import annotations

from typing import Any

import pytest

from bot.domain.job import Relation
from tests.cogs.stage import Stage
from tests.cogs.test_anime import png, refusal


async def test_remix_opens_a_form_filled_with_the_old_words(stage: Stage):
    first = await stage.finished(prompt="1girl, `tick`", negative_prompt="hat", size="portrait", style="pastel", images=2)

    shown = await stage.press(first, "remix", stage.other)

    assert shown.modal is not None
    assert stage.bot._connection._view_store._modals == {}
    fields = {part["custom_id"]: part for part in parts_of(shown.modal)}
    assert fields["prompt"]["value"] == "1girl, `tick`"
    assert fields["negative_prompt"]["value"] == "hat"
    selects = {name: field["options"] for name, field in fields.items() if "options" in field}
    chosen = {name: [option["value"] for option in options if option.get("default")] for name, options in selects.items()}
    assert chosen == {"size": ["portrait"], "style": ["pastel"], "images": ["2"]}


def parts_of(modal: dict[str, Any]) -> list[dict[str, Any]]:
    return [label["component"] for label in modal["components"]]


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_submitted_remix_becomes_a_job_even_when_the_bot_restarted_meanwhile(stage: Stage, restarts: bool):
    first = await stage.finished(prompt="1girl", seed=5, steps=9, style="pastel", style_weight=0.3)
    shown = await stage.press(first, "remix", stage.other)
    if restarts:
        await stage.restart()

    await stage.other.submit_modal(
        shown, {"prompt": "1boy, hat", "negative_prompt": "", "size": ["portrait"], "style": ["-"], "images": ["3"]}
    )

    second = await stage.last_job()
    assert second.origin.user_id == stage.other.id
    assert second.parent is not None
    assert second.parent.relation is Relation.REMIX
    request = second.request
    assert (request.prompt, request.height, request.style, request.num_images) == ("1boy, hat", 96, None, 3)
    assert request.num_inference_steps == 9
    await stage.draw()
    assert len(stage.card(second).attachments) == 3


async def test_a_remix_keeps_the_weight_of_a_style_that_stays(stage: Stage):
    first = await stage.finished(style="pastel", style_weight=0.3)
    shown = await stage.press(first, "remix")

    await stage.member.submit_modal(
        shown, {"prompt": "1boy", "negative_prompt": "", "size": ["square"], "style": ["pastel"], "images": ["1"]}
    )

    assert (await stage.last_job()).request.adapter_weight == 0.3


async def test_an_empty_remix_is_refused_and_nothing_public_stays(stage: Stage):
    first = await stage.finished()
    shown = await stage.press(first, "remix")

    result = await stage.member.submit_modal(
        shown, {"prompt": "  ", "negative_prompt": "", "size": ["square"], "style": ["-"], "images": ["1"]}
    )

    assert "The prompt is empty" in refusal(result)
    assert len(stage.channel.history(viewer=stage.other)) == 1
    assert len(await stage.all_jobs()) == 1


async def test_a_remix_keeps_the_picture_that_the_parent_started_from(stage: Stage):
    first = await stage.finished(image=("start.png", png()), strength=0.7)
    shown = await stage.press(first, "remix")

    await stage.member.submit_modal(
        shown, {"prompt": "1boy", "negative_prompt": "", "size": ["square"], "style": ["-"], "images": ["1"]}
    )

    assert (await stage.last_job()).request.init_image == first.request.init_image


async def test_a_form_with_forged_fields_is_checked_like_any_other_request(stage: Stage):
    first = await stage.finished()
    shown = await stage.press(first, "remix")
    values = {"prompt": "1boy", "negative_prompt": "", "size": ["square"], "style": ["-"], "images": ["1"]}
    modal = shown._interaction.modal
    for label in modal["components"]:
        for option in label["component"].get("options", []):
            option["value"] = {"square": "huge", "1": "99"}.get(option["value"], option["value"])

    result = await stage.member.submit_modal(shown, values | {"size": ["huge"]} | {"images": ["99"]})

    assert "There is no size of that name" in refusal(result)
    assert len(await stage.all_jobs()) == 1
