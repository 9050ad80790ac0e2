from __future__ import annotations

import pytest

from bot.domain.job import Relation
from tests.cogs.harness import SimcordHarness, parts_of, png, refusal


async def test_remix_opens_a_form_filled_with_the_old_words(harness: SimcordHarness):
    first = await harness.finished(prompt="1girl, `tick`", negative_prompt="hat", size="portrait", style="pastel", images=2)

    shown = await harness.press(first, "remix", harness.other)

    assert shown.modal is not None
    assert harness.bot._connection._view_store._modals == {}
    fields = {part["custom_id"]: part for part in parts_of(shown.modal)}
    assert fields["prompt"]["value"] == "1girl, `tick`"
    assert fields["negative_prompt"]["value"] == "hat"
    selects = {name: field["options"] for name, field in fields.items() if "options" in field}
    chosen = {name: [option["value"] for option in options if option.get("default")] for name, options in selects.items()}
    assert chosen == {"size": ["portrait"], "style": ["pastel"], "images": ["2"]}


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_submitted_remix_becomes_a_job_even_when_the_bot_restarted_meanwhile(harness: SimcordHarness, restarts: bool):
    first = await harness.finished(prompt="1girl", seed=5, steps=9, style="pastel", style_weight=0.3)
    shown = await harness.press(first, "remix", harness.other)
    if restarts:
        await harness.restart()

    await harness.other.submit_modal(
        shown, {"prompt": "1boy, hat", "negative_prompt": "", "size": ["portrait"], "style": ["-"], "images": ["3"]}
    )

    second = await harness.last_job()
    assert second.origin.user_id == harness.other.id
    assert second.parent is not None
    assert second.parent.relation is Relation.REMIX
    request = second.request
    assert (request.prompt, request.height, request.style, request.num_images) == ("1boy, hat", 96, None, 3)
    assert request.num_inference_steps == 9
    await harness.draw()
    assert len(harness.card(second).attachments) == 3


async def test_a_remix_keeps_the_weight_of_a_style_that_stays(harness: SimcordHarness):
    first = await harness.finished(style="pastel", style_weight=0.3)
    shown = await harness.press(first, "remix")

    await harness.member.submit_modal(
        shown, {"prompt": "1boy", "negative_prompt": "", "size": ["square"], "style": ["pastel"], "images": ["1"]}
    )

    assert (await harness.last_job()).request.adapter_weight == 0.3


async def test_an_empty_remix_is_refused_and_nothing_public_stays(harness: SimcordHarness):
    first = await harness.finished()
    shown = await harness.press(first, "remix")

    result = await harness.member.submit_modal(
        shown, {"prompt": "  ", "negative_prompt": "", "size": ["square"], "style": ["-"], "images": ["1"]}
    )

    assert "Your prompt is empty" in refusal(result)
    assert len(harness.channel.history(viewer=harness.other)) == 1
    assert len(await harness.all_jobs()) == 1


async def test_a_remix_keeps_the_picture_that_the_parent_started_from(harness: SimcordHarness):
    first = await harness.finished(image=("start.png", png()), strength=0.7)
    shown = await harness.press(first, "remix")

    await harness.member.submit_modal(
        shown, {"prompt": "1boy", "negative_prompt": "", "size": ["square"], "style": ["-"], "images": ["1"]}
    )

    assert (await harness.last_job()).request.init_image == first.request.init_image


async def test_a_form_with_forged_fields_is_checked_like_any_other_request(harness: SimcordHarness):
    first = await harness.finished()
    shown = await harness.press(first, "remix")
    values = {"prompt": "1boy", "negative_prompt": "", "size": ["square"], "style": ["-"], "images": ["1"]}
    modal = shown._interaction.modal
    for label in modal["components"]:
        for option in label["component"].get("options", []):
            option["value"] = {"square": "huge", "1": "99"}.get(option["value"], option["value"])

    result = await harness.member.submit_modal(shown, values | {"size": ["huge"]} | {"images": ["99"]})

    assert "I don't know that size" in refusal(result)
    assert len(await harness.all_jobs()) == 1
