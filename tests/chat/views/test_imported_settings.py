"""Strangers' settings as a message: within Discord's limits, whatever they are, and read back from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast
from unittest.mock import Mock

import discord
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.chat.views.imported_settings import MAX_QUOTED, found_form, found_view, text_on
from bot.chat.views.remix_form import Offer
from bot.domain.guild_settings.settings import UNCHANGED
from bot.domain.infotext.importer import PictureImport, import_settings
from bot.domain.infotext.reader import parse
from bot.domain.profile import Catalog, ModelProfile, Quality
from bot.domain.request import MAX_PROMPT_LENGTH
from tests.examples import PASTEL, PROFILE

LCM = replace(PASTEL, name="lcm", title="LCM", weight_name="weights.safetensors", is_distilled=True)
DISTILLED = Quality(num_inference_steps=8, guidance_scale=1.5, scheduler="LCMScheduler", style="lcm")
MAX_CONTENT = 4_000  # Discord's limit of one message's text


def picture_import(text: str, profile: ModelProfile = PROFILE) -> PictureImport:
    settings = parse(text)
    imported = import_settings(settings, profile, Catalog(styles={style.name: style for style in (PASTEL, LCM)}), UNCHANGED)
    return PictureImport(text=text, settings=settings, imported=imported)


def message(view: discord.ui.LayoutView, files: tuple[discord.File, ...] = ()) -> Any:
    """The view as a message whose button somebody pressed."""
    components = [discord.components._component_factory(part) for part in cast("Any", view.to_components())]
    attachments = [Mock(spec_set=["filename"], filename=file.filename) for file in files]
    return Mock(spec_set=["components", "attachments"], components=components, attachments=attachments)


def worst() -> str:
    """As much as can be quoted, with as many long names as there can be, all of signs that are escaped."""
    loras = "".join(f"<lora:{number}{'*' * 100}:1>" for number in range(9)) + "<lora:pastel:1>"
    others = "".join(f"<hypernet:{number}{'*' * 100}:1>" for number in range(9))
    text = f"1girl {loras}{others}\nSteps: 1, Seed: 4294967295, Size: 64x64, Model: {'*' * 200}, Note: "
    return text + "x" * (MAX_QUOTED - len(text))


def test_the_longest_message_keeps_within_discords_limit():
    profile = replace(PROFILE, title="*" * 100)
    view, files = found_view(picture_import(worst()), "*" * 200 + ".png", profile)

    assert files == ()
    assert view.content_length() <= MAX_CONTENT


def test_one_character_more_makes_it_a_file():
    view, files = found_view(picture_import(worst() + "x"), "x.png", PROFILE)

    assert [file.filename for file in files] == ["parameters.txt"]
    assert text_on(message(view, files)).filename == "parameters.txt"


@given(st.text(max_size=400))
def test_whatever_stands_in_a_picture_is_shown_and_drawn_as_it_was_read(text: str):
    view, files = found_view(picture_import(text), text, PROFILE)

    assert view.content_length() <= MAX_CONTENT
    back = text_on(message(view, files))
    if not files:
        assert isinstance(back, str)
        assert text_on(message(*found_view(picture_import(back), "x.png", PROFILE))) == back
        found_form(picture_import(back).imported.draft, Offer(profile=PROFILE, styles=(PASTEL,)))


@pytest.mark.parametrize(
    "text", ["1girl, hat\nNegative prompt: scarf\nSteps: 28, Seed: 5, Size: 64x96", "```", "`", "no pairs"]
)
def test_a_quoted_text_is_read_back_letter_for_letter(text: str):
    view, files = found_view(picture_import(text), "x.png", PROFILE)

    assert files or text_on(message(view)) == text


def test_a_message_without_a_text_has_none():
    view = discord.ui.LayoutView()
    view.add_item(discord.ui.TextDisplay("words"))

    assert text_on(message(view)) is None


def test_a_quality_is_told_with_its_figures_and_stands_in_the_form():
    profile = replace(PROFILE, quality={"draft": DISTILLED})
    found = picture_import("1girl <lora:weights:1>\nSteps: 8, Sampler: LCM, CFG scale: 1.5, Seed: 5, Size: 64x64", profile)

    view, _ = found_view(found, "x.png", profile)
    form = found_form(found.imported.draft, Offer(profile=profile, styles=(PASTEL,)))

    text = str(view.to_components())
    assert "draft quality · 8 steps · guidance 1.5" in text
    assert "Without these" not in text
    assert "Quality: draft, Seed: 5'" in str(form.to_dict())


def test_the_form_holds_words_that_are_too_long_cut_to_what_it_takes():
    draft = replace(picture_import("1girl").imported.draft, prompt="x" * 3000, negative_prompt="y" * 3000)

    form = found_form(draft, Offer(profile=PROFILE, styles=()))

    fields = [part["component"].get("value", "") for part in cast("Any", form.to_dict()["components"])]
    assert [len(value) for value in fields[:2]] == [MAX_PROMPT_LENGTH, MAX_PROMPT_LENGTH]
