"""`<lora:name:0.8>` in whatever a member types: the style where it is offered, else a sentence; and no way around the rules."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from bot.domain.job import Job
from bot.domain.profile import Catalog
from tests.cogs.harness import SimcordHarness, open_stage, refusal, texts
from tests.cogs.test_context_menus import DRAW, INK, guild_settings, menu, picture, post, read, values
from tests.examples import CATALOG


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncGenerator[SimcordHarness]:
    catalog = Catalog(profiles=CATALOG.profiles, styles={**CATALOG.styles, "ink": INK})
    async with open_stage(tmp_path, catalog=catalog) as opened:
        yield opened


def drawn(job: Job) -> tuple[str, list[tuple[str, float]]]:
    return job.request.prompt, [(style.name, style.weight) for style in job.request.styles]


async def test_a_tag_in_anime_is_the_style_from_the_first_card_to_the_remix_form(harness: SimcordHarness):
    await harness.anime("1girl <lora:pastel:0.8>, <lora:ink-v2:.5>")
    queued = texts(harness.card(await harness.last_job()))
    job = await harness.draw()
    form = values(await harness.press(job, "remix"))

    assert drawn(job) == ("1girl", [("pastel", 0.8), ("ink", 0.5)])
    for shown in (queued, texts(harness.card(job))):
        assert "Pastel Anime × 0.8 · Ink × 0.5" in shown
        assert "lora:" not in shown
    assert (form["prompt"], form["style"]) == ("1girl", ["pastel"])


async def test_a_tag_in_the_remix_form_is_a_style(harness: SimcordHarness):
    job = await harness.finished(prompt="1girl")
    shown = await harness.press(job, "remix")

    await harness.member.submit_modal(shown, values(shown) | {"prompt": "1boy <lora:ink:0.5>", "negative_prompt": "hat"})

    assert drawn(await harness.last_job()) == ("1boy", [("ink", 0.5)])


async def test_a_tag_in_the_form_of_a_picture_that_was_read_is_a_style(harness: SimcordHarness):
    shown = await harness.member.click((await read(harness, "1girl\nSteps: 5, Seed: 1")).response, custom_id=DRAW)

    await harness.member.submit_modal(shown, values(shown) | {"prompt": "1boy <lora:ink:0.5>", "negative_prompt": "hat"})

    assert drawn(await harness.last_job()) == ("1boy", [("ink", 0.5)])


async def test_a_style_that_the_server_does_not_offer_cannot_be_had_by_a_tag(harness: SimcordHarness):
    await guild_settings(harness, allowed_styles=frozenset({"pastel"}))

    said = refusal(await harness.anime("1girl <lora:ink-v2:0.5>"))

    assert "I can't draw with `ink-v2` here" in said
    assert await harness.all_jobs() == []


@pytest.mark.parametrize("prompt", ["for<lora:ink:1>bidden", "<lora:ink:1>forbidden", "for<lo<lora:ink:1>ra:ink:1>bidden"])
async def test_a_tag_hides_no_word_from_the_rules(harness: SimcordHarness, prompt: str):
    await guild_settings(harness, blocked_words=("forbidden",))

    assert "a word this server has blocked" in refusal(await harness.anime(prompt))
    assert "don't understand the tag" in refusal(await harness.anime("1girl <lora:ink:1:forbidden>"))
    assert await harness.all_jobs() == []


async def test_what_another_program_wrote_in_a_form_that_is_not_read_is_named_and_not_drawn(harness: SimcordHarness):
    result = await menu(harness, "Read settings", await post(harness, ("a.png", picture('{"nodes": [], "links": []}'))))

    assert "ComfyUI wrote these settings in a format I can't read" in texts(result.response)
    assert "Draw this here" not in str(result.response.components)
