from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bot import __version__
from bot.domain.profile import Catalog, Licence, Quality, Style
from cogs.about import source_url
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


async def test_the_commands_answer_in_direct_messages(harness: SimcordHarness):
    for command in ("help", "about", "queue show"):
        assert (await harness.member.user.slash(command)).ephemeral


def test_the_source_link_comes_from_the_package_or_is_left_out():
    url = source_url()
    assert url is None or url.startswith("https://")
