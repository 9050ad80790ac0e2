"""A setting that is added with a row, a field and its words is on the panel, in a form, a command, the file and the history."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.chat.settings.text import SETTING_TEXTS, SettingText
from bot.domain.guild_settings.definitions import SETTINGS, Group, Setting
from bot.domain.guild_settings.kinds import Number
from bot.domain.guild_settings.settings import GuildSettings
from bot.domain.job import Actor
from bot.errors import NotAllowedError
from bot.messages import counted, message
from tests.cogs.harness import SimcordHarness, custom_ids, open_stage, texts


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsWithTags(GuildSettings):
    """The field."""

    max_tags: int | None = None


ROW = Setting("max_tags", Number(1, 200), group=Group.LIMITS)
WORDS = SettingText(
    title="Most tags",
    meaning=message("How many tags a prompt can have."),
    unset=message("as many as you like"),
    label="Tags",
    number=lambda value: counted("{count} tag", "{count} tags", value),
    commands=(("limit tags", "How many tags a prompt can have"),),
    option="most",
)


def check_tags(settings: GuildSettings, prompt: str) -> None:
    """The rule."""
    assert isinstance(settings, SettingsWithTags)
    if settings.max_tags is not None and prompt.count(",") + 1 > settings.max_tags:
        raise NotAllowedError("This server allows up to {count} tags.", count=settings.max_tags)


@pytest.fixture
async def harness(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncGenerator[SimcordHarness]:
    monkeypatch.setitem(SETTINGS, ROW.name, ROW)  # type: ignore[arg-type]
    monkeypatch.setitem(SETTING_TEXTS, ROW.name, WORDS)  # type: ignore[arg-type]
    monkeypatch.setattr("bot.storage.guild_settings.UNCHANGED", SettingsWithTags())
    async with open_stage(tmp_path) as opened:
        yield opened


async def held(harness: SimcordHarness) -> GuildSettings:
    actor = Actor(user_id=harness.manager.id, guild_id=harness.guild.id, manages_guild=True)
    return await harness.services.guild_settings.read(actor)


async def test_the_panel_shows_it_and_its_form_takes_it(harness: SimcordHarness):
    result = await harness.manager.slash(harness.channel, "settings panel", page="limits")
    panel = result.response
    assert "**Most tags:** as many as you like\n-# How many tags a prompt can have." in texts(panel)
    button = next(custom_id for custom_id in custom_ids(panel) if custom_id.endswith(":max_tags"))

    form = await harness.manager.click(panel, custom_id=button)
    await harness.manager.submit_modal(form, {"number": "5"})

    assert form.modal is not None
    assert form.modal["title"] == "Most tags"
    assert form.modal["components"][0]["description"] == "1 to 200. Empty = as many as you like."
    assert "✅ **Most tags:** as many as you like → 5 tags" in texts(panel)
    await harness.manager.submit_modal(await harness.manager.click(panel, custom_id=button), {"number": "201"})
    assert "⚠️ **Most tags** must be between 1 and 200. You gave 201." in texts(panel)
    check_tags(await held(harness), "1girl, hat, night")
    with pytest.raises(NotAllowedError, match="up to 5 tags"):
        check_tags(await held(harness), "1girl, hat, night, stars, city, rain")


async def test_its_command_changes_it_and_history_file_and_reset_carry_it(harness: SimcordHarness):
    said = texts((await harness.manager.slash(harness.channel, "settings limit tags", most=7)).response)
    assert "**Most tags:** as many as you like → 7 tags" in said
    assert "**Most tags:** 7 tags" in texts((await harness.manager.slash(harness.channel, "settings show")).response)
    exported = await harness.manager.slash(harness.channel, "settings export")
    assert exported.response is not None
    (file,) = exported.response.attachments
    data = await file.read()
    assert json.loads(data)["max_tags"] == 7

    await harness.manager.slash(harness.channel, "settings reset", setting="max_tags")
    assert getattr(await held(harness), "max_tags") is None  # noqa: B009
    await harness.manager.slash(harness.channel, "settings import", file=("settings.json", data))

    assert getattr(await held(harness), "max_tags") == 7  # noqa: B009
    history = texts((await harness.manager.slash(harness.channel, "settings history")).response)
    assert history.count("**Most tags:** as many as you like → 7 tags") == 2
    assert history.count("**Most tags:** 7 tags → as many as you like") == 1
