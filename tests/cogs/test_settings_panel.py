"""The settings panel: every select and form changes its setting, for moderators alone, and after a restart too."""

from __future__ import annotations

from typing import Any

import discord
import pytest
import simcord
from simcord.actors import _component_interaction  # what a forged client sends, which no actor would
from simcord.backend.models.channel import Overwrite
from simcord.components import walk_components
from simcord.enums import OverwriteType

from bot.chat.settings.pages import GROUP_TEXTS
from bot.domain.guild_settings.definitions import SETTINGS, Group, settings_in
from bot.domain.guild_settings.edits import assign
from bot.domain.guild_settings.serialization import to_values
from bot.domain.guild_settings.settings import UNCHANGED, GuildSettings
from bot.domain.job import Actor
from tests.cogs.harness import SimcordHarness, custom_ids, parts, texts


class Panel:
    """A manager in front of the open panel."""

    def __init__(self, harness: SimcordHarness) -> None:
        self.harness = harness
        self.role = harness.guild.create_role("Artists")
        self.gallery = harness.guild.create_text_channel("gallery")
        self.actor = Actor(user_id=harness.manager.id, guild_id=harness.guild.id, manages_guild=True)
        self.message: Any = None

    async def open(self, page: str = "access") -> str:
        result = await self.harness.manager.slash(self.harness.channel, "settings panel", page=page)
        assert result.ephemeral
        self.message = result.response
        return texts(self.message)

    def custom_id(self, name: str) -> str:
        return next(custom_id for custom_id in custom_ids(self.message) if custom_id.endswith(f":{name}"))

    def part(self, name: str) -> dict[str, Any]:
        return next(part for part in parts(self.message) if part.get("custom_id") == self.custom_id(name))

    async def select(self, name: str, *values: Any) -> str:
        result = await self.harness.manager.select(self.message, values, custom_id=self.custom_id(name))
        assert result.followups == []
        return texts(self.message)

    async def form(self, name: str) -> simcord.InteractionResult:
        shown = await self.harness.manager.click(self.message, custom_id=self.custom_id(name))
        assert shown.modal is not None
        assert self.harness.bot._connection._view_store._modals == {}
        return shown

    async def submit(self, name: str, **fields: Any) -> str:
        result = await self.harness.manager.submit_modal(await self.form(name), fields)
        assert result.followups == []
        return texts(self.message)

    async def settings(self) -> GuildSettings:
        return await self.harness.services.guild_settings.read(self.actor)

    async def put(self, name: str, value: Any) -> None:
        await self.harness.services.guild_settings.revise(self.actor, assign(name, value))


@pytest.fixture
def panel(harness: SimcordHarness) -> Panel:
    return Panel(harness)


async def test_the_panel_turns_its_pages_in_place(panel: Panel):
    await panel.open()

    for group in Group:
        said = await panel.select("theme", group.value)
        assert "## Server settings" in said
        (chosen,) = [option for option in panel.part("theme")["options"] if option.get("default")]
        assert chosen["label"] == GROUP_TEXTS[group].heading
        assert {custom_id.split(":")[2] for custom_id in custom_ids(panel.message)} == {"theme", *settings_in(group)}
    assert panel.harness.bot._connection._view_store._views == {}


@pytest.mark.parametrize("restarts", [False, True])
async def test_channel_and_role_selects_change_where_and_who(panel: Panel, restarts: bool):
    await panel.open("access")
    if restarts:
        await panel.harness.restart()

    said = await panel.select("allowed_channels", panel.harness.channel, panel.gallery)

    both = [panel.harness.channel.id, panel.gallery.id]
    assert f"✅ **Allowed channels:** every channel → {', '.join(f'<#{item}>' for item in sorted(both))}" in said
    assert [int(item["id"]) for item in panel.part("allowed_channels")["default_values"]] == sorted(both)
    said = await panel.select("allowed_roles", panel.role)
    assert f"✅ **Allowed roles:** everybody → <@&{panel.role.id}>" in said
    settings = await panel.settings()
    assert settings.allowed_channels == set(both)
    assert settings.allowed_roles == {panel.role.id}
    await panel.select("allowed_channels")
    assert (await panel.settings()).allowed_channels == frozenset()


@pytest.mark.parametrize(
    ("name", "value", "stored", "told"),
    [
        ("max_pixels", "4096", 64 * 64, "64 × 64"),
        ("max_images", "2", 2, "2 pictures"),
        ("default_style", "pastel", "pastel", "no style → pastel"),
        ("allowed_styles", "pastel", frozenset({"pastel"}), "every style → pastel"),
        ("safety", "strict", "strict", "→ Strict"),
        ("spoilers", "always", "always", "→ Every picture"),
        ("language", "ja", "ja", "same as in Discord → 日本語"),
        ("others_may_reuse", "False", False, "→ Only its owner"),
    ],
)
async def test_option_selects_change_their_setting_and_show_it_chosen(
    panel: Panel, name: str, value: str, stored: Any, told: str
):
    await panel.open(SETTINGS[name].group)

    said = await panel.select(name, value)

    assert getattr(await panel.settings(), name) == stored
    assert told in said
    chosen = [option["value"] for option in panel.part(name)["options"] if option.get("default")]
    assert chosen == [value]


@pytest.mark.parametrize("name", ["max_pixels", "max_images", "default_style", "language"])
async def test_the_option_for_nothing_takes_a_value_back(panel: Panel, name: str):
    await panel.put(name, {"max_pixels": 5_000, "max_images": 4, "default_style": "pastel", "language": "de"}[name])
    await panel.open(SETTINGS[name].group)

    await panel.select(name, "-")

    assert await panel.settings() == UNCHANGED


async def test_a_report_channel_without_rights_is_refused_on_the_panel(panel: Panel):
    await panel.open("safety")
    refused = discord.Permissions(attach_files=True).value
    everybody = Overwrite(target_id=panel.harness.guild.id, type=OverwriteType.ROLE, deny=refused)
    panel.harness.env.backend.set_overwrite(panel.gallery.id, everybody)

    assert "**Attach Files**" in await panel.select("report_channel", panel.gallery)

    assert (await panel.settings()).report_channel is None


async def test_the_report_channel_is_set_and_taken_back(panel: Panel):
    await panel.open("safety")

    said = await panel.select("report_channel", panel.gallery)

    assert f"none → <#{panel.gallery.id}>" in said
    assert (await panel.settings()).report_channel == panel.gallery.id
    await panel.select("report_channel")
    assert (await panel.settings()).report_channel is None


@pytest.mark.parametrize(
    ("name", "number", "told"),
    [
        ("daily_credits", "1,000", "host default → 1,000 credits"),
        ("waiting_jobs", "2", "host default → 2 requests"),
        ("max_steps", " 20 ", "up to 60 → 20 steps"),
        ("picture_days", "1", "host default → 1 day"),
        ("prompt_days", "30", "host default → 30 days"),
    ],
)
async def test_forms_change_numbers_and_an_empty_field_takes_them_back(panel: Panel, name: str, number: str, told: str):
    await panel.open(SETTINGS[name].group)

    said = await panel.submit(name, number=number)

    stored = int(number.replace(",", ""))
    assert getattr(await panel.settings(), name) == stored
    assert told in said
    shown = await panel.form(name)
    assert shown.modal is not None
    assert shown.modal["components"][0]["component"]["value"] == str(stored)
    await panel.harness.manager.submit_modal(shown, {"number": ""})
    assert await panel.settings() == UNCHANGED


@pytest.mark.parametrize("name", ["role_credits", "role_priorities"])
async def test_a_role_gets_a_number_in_a_form_and_loses_it_with_an_empty_field(panel: Panel, name: str):
    await panel.open("allowances")

    said = await panel.submit(name, role=[panel.role], number="3")

    assert dict(getattr(await panel.settings(), name)) == {panel.role.id: 3}
    assert f"→ <@&{panel.role.id}> 3" in said
    await panel.submit(name, role=[panel.role], number="")
    assert await panel.settings() == UNCHANGED


async def test_exempt_roles_are_chosen_beside_the_allowances(panel: Panel):
    await panel.open("allowances")

    await panel.select("exempt_roles", panel.role)

    assert (await panel.settings()).exempt_roles == {panel.role.id}


async def test_words_are_written_one_a_line_and_come_back_so(panel: Panel):
    await panel.open("safety")

    said = await panel.submit("blocked_words", text="spoiler\n\n  two words \nSPOILER")

    assert (await panel.settings()).blocked_words == ("spoiler", "two words")
    assert "✅ **Blocked words:** none → spoiler, two words" in said
    shown = await panel.form("blocked_words")
    assert shown.modal is not None
    assert shown.modal["components"][0]["component"]["value"] == "spoiler\ntwo words"


async def test_the_default_negative_prompt_is_written_in_a_form(panel: Panel):
    await panel.open("styles")

    said = await panel.submit("default_negative_prompt", text="**bad** hands")

    assert (await panel.settings()).default_negative_prompt == "**bad** hands"
    assert r"nothing → \*\*bad\*\* hands" in said


async def test_a_form_that_was_opened_before_a_restart_still_works(panel: Panel):
    await panel.open("limits")
    shown = await panel.form("max_steps")
    await panel.harness.restart()

    await panel.harness.manager.submit_modal(shown, {"number": "20"})

    assert (await panel.settings()).max_steps == 20
    assert "20 steps" in texts(panel.message)


@pytest.mark.parametrize(
    ("number", "reason"),
    [("many", "enter a whole number"), ("61", "**Most steps** must be"), ("-1", "enter a whole number")],
)
async def test_what_cannot_be_set_is_said_on_the_panel_which_shows_what_holds(panel: Panel, number: str, reason: str):
    await panel.open("limits")

    said = await panel.submit("max_steps", number=number)

    assert "⚠️" in said
    assert reason in said
    assert "**Most steps:** up to 60" in said
    assert await panel.settings() == UNCHANGED


async def test_a_channel_that_is_gone_is_named_but_cannot_be_chosen(panel: Panel):
    await panel.put("allowed_channels", ["5", str(panel.gallery.id)])

    said = await panel.open("access")

    assert "<#5>" in said
    assert [item["id"] for item in panel.part("allowed_channels")["default_values"]] == [panel.gallery.id]


def forge(panel: Panel, custom_id: str, kind: int, values: list[str] | None = None, actor: Any = None) -> Any:
    """What a client may send that never saw the panel, or a panel that never stood there."""
    harness = panel.harness
    stored = harness.env.backend.get_message(harness.channel.id, panel.message.id)
    for part in walk_components(stored.components):
        if part.get("type") == kind and "custom_id" in part:
            part["custom_id"] = custom_id
            break
    data: dict[str, Any] = {"custom_id": custom_id, "component_type": kind}
    if values is not None:
        data["values"] = values
    return _component_interaction(actor or harness.manager, stored, data)


BUTTON, STRING_SELECT, ROLE_SELECT, CHANNEL_SELECT = 2, 3, 6, 8


@pytest.mark.parametrize(
    ("page", "name", "kind", "values"),
    [
        ("access", "allowed_channels", CHANNEL_SELECT, ["5"]),
        ("allowances", "exempt_roles", ROLE_SELECT, ["5"]),
        ("safety", "safety", STRING_SELECT, ["strict"]),
        ("limits", "theme", STRING_SELECT, ["safety"]),
        ("limits", "max_steps", BUTTON, None),
        ("limits", "history", BUTTON, None),
    ],
)
async def test_a_forged_press_of_a_member_changes_nothing_and_tells_nothing(
    panel: Panel, page: str, name: str, kind: int, values: list[str] | None
):
    await panel.put("blocked_words", ["a secret"])
    before = await panel.settings()
    await panel.open(page)
    shown = texts(panel.message)
    custom_id = "pastel-settings:history:999" if name == "history" else f"pastel-settings:{page}:{name}"

    for actor in (panel.harness.member, panel.harness.moderator):
        result = await forge(panel, custom_id, kind, values, actor)
        said = [message.content for message in (*result.followups, *([result.response] if kind == BUTTON else []))]
        assert any("**Manage Server**" in content for content in said if content), said
        assert result.modal is None

    assert await panel.settings() == before
    assert texts(panel.message) == shown


async def test_a_form_of_somebody_who_manages_no_more_changes_nothing(panel: Panel):
    await panel.open("limits")
    shown = await panel.form("max_steps")
    member = panel.harness.env.backend.get_member(panel.harness.guild.id, panel.harness.manager.id)
    member.role_ids.clear()

    result = await panel.harness.manager.submit_modal(shown, {"number": "20"})

    assert "**Manage Server**" in result.followups[0].content
    assert await panel.settings() == UNCHANGED


@pytest.mark.parametrize(
    ("custom_id", "kind", "values"),
    [
        ("pastel-settings:safety:safety", STRING_SELECT, ["anything"]),
        ("pastel-settings:safety:colour", STRING_SELECT, ["red"]),
        ("pastel-settings:nowhere:theme", STRING_SELECT, ["nowhere"]),
        ("pastel-settings:safety:blocked_words", STRING_SELECT, ["a"]),
        ("pastel-settings:safety:safety", STRING_SELECT, []),
        ("pastel-settings:safety:report_channel", STRING_SELECT, ["<#5>"]),
    ],
)
async def test_nonsense_of_a_manager_changes_nothing_either(panel: Panel, custom_id: str, kind: int, values: list[str]):
    await panel.open("safety")

    await forge(panel, custom_id, kind, values)

    assert await panel.settings() == UNCHANGED
    assert "##" in texts(panel.message)
    assert to_values(await panel.settings()) == to_values(UNCHANGED)
