from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bot import __version__
from bot.domain.operator_rules import OperatorRules
from bot.domain.profile import Catalog, Licence, Quality, Style
from cogs.about import packaged_source
from tests.cogs.harness import SimcordHarness, open_stage, texts
from tests.examples import CATALOG, PASTEL, PROFILE


async def test_help_tells_how_to_start_and_what_the_buttons_do(harness: SimcordHarness):
    result = await harness.member.slash(harness.channel, "help")

    assert result.ephemeral
    said = texts(result.response)
    buttons = ("Reroll", "Subtle", "Strong", "Remix", "Details", "Delete")
    for word in ("/anime", *buttons, "/queue show", "/profile show", "Read settings", "/about"):
        assert word in said


async def test_about_names_version_model_and_licences(tmp_path: Path):
    profile = replace(PROFILE, url="https://example.org/model", licence=Licence(name="Fair AI", url="https://example.org/fair"))
    async with open_stage(tmp_path, profile=profile) as harness:
        result = await harness.member.slash(harness.channel, "about")

    assert result.ephemeral
    said = texts(result.response)
    assert __version__ in said.replace("\\", "")
    assert "[Test Model](https://example.org/model)" in said
    assert "[Fair AI](https://example.org/fair)" in said
    assert "Pastel Anime · MIT" in said
    assert "Pixel Art" not in said


async def test_about_names_the_licence_of_the_lora_that_drafts_are_drawn_with(tmp_path: Path):
    lcm = replace(PASTEL, name="lcm", title="LCM", licence=Licence(name="Open RAIL"), is_distilled=True)
    profile = replace(PROFILE, quality={"draft": Quality(num_inference_steps=2, style="lcm")})
    catalog = Catalog(profiles={PROFILE.name: profile}, styles={"lcm": lcm, "pastel": PASTEL})
    async with open_stage(tmp_path, profile=profile, catalog=catalog) as harness:
        result = await harness.member.slash(harness.channel, "about")

    said = texts(result.response)
    assert "**For drafts:** LCM · Open RAIL" in said
    assert said.count("LCM") == 1


async def test_about_fits_into_one_message_with_a_hundred_styles(tmp_path: Path):
    styles = {
        f"s{number}": Style(
            name=f"s{number}",
            title="*" * 200,
            families=(PROFILE.family,),
            licence=Licence(name="_" * 200, url="https://example.org/" + "x" * 200),
        )
        for number in range(100)
    }
    async with open_stage(tmp_path, catalog=Catalog(profiles=CATALOG.profiles, styles=styles)) as harness:
        result = await harness.member.slash(harness.channel, "about")

    assert "more. `/anime` offers them all" in texts(result.response)


async def about(folder: Path, *, source: str | None, offer_source: bool) -> str:
    profile = replace(PROFILE, licence=Licence(name="Fair AI", offer_source=offer_source))
    async with open_stage(folder, profile=profile, host=OperatorRules(source_url=source)) as harness:
        return texts((await harness.member.slash(harness.channel, "about")).response)


async def test_about_links_the_source_that_the_host_names(tmp_path: Path):
    said = await about(tmp_path, source="https://example.org/fork", offer_source=False)

    assert "[Source code](https://example.org/fork)" in said
    assert "Here it is" not in said


async def test_about_offers_the_source_where_the_models_licence_asks_for_that(tmp_path: Path):
    said = await about(tmp_path, source="https://example.org/fork", offer_source=True)

    assert (
        "-# This model's licence asks me to offer you the source of what you're using. Here it is: https://example.org/fork"
        in said
    )


async def test_about_names_no_source_where_nobody_named_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cogs.about.packaged_source", lambda: None)

    said = await about(tmp_path, source=None, offer_source=True)

    assert "[Source code]" not in said
    assert "Here it is" not in said


async def test_the_commands_answer_in_direct_messages(harness: SimcordHarness):
    for command in ("help", "about", "queue show"):
        assert (await harness.member.user.slash(command)).ephemeral


def test_the_source_link_comes_from_the_package_or_is_left_out():
    url = packaged_source()
    assert url is None or url.startswith("https://")
