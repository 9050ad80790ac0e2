"""`/settings` by its commands: each changes one setting, says before and after, and is for moderators alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import Mock

import discord
import pytest
import simcord
from discord.app_commands import AppCommandChannel, TransformerError

from bot.chat.settings.changes import NOTHING_CHANGED
from bot.domain.guild_settings.definitions import SETTINGS
from bot.domain.guild_settings.edits import assign
from bot.domain.guild_settings.serialization import MAX_FILE_BYTES, to_values
from bot.domain.guild_settings.settings import UNCHANGED, GuildSettings
from bot.domain.job import Actor
from bot.services.guild_settings import PAGE_LENGTH
from cogs._channels import ChannelId
from tests.cogs.harness import SimcordHarness, texts


@dataclass(frozen=True, kw_only=True)
class Line:
    """A command, and what it makes of a setting; "role" and "channel" stand for the stage's own."""

    command: str
    options: dict[str, Any] = field(default_factory=dict)
    setting: str
    before: Any
    after: Any


def ids(group: str, option: str, setting: str) -> list[Line]:
    """The commands of a list of ids."""
    return [
        Line(command=f"{group} add", options={option: option}, setting=setting, before=[], after=[option]),
        Line(command=f"{group} remove", options={option: option}, setting=setting, before=[option], after=[]),
        Line(command=f"{group} clear", setting=setting, before=[option], after=[]),
    ]


def roles(group: str, option: str, setting: str) -> list[Line]:
    """The commands of numbers by role."""
    given = {"role": "role", option: 3}
    return [
        Line(command=f"{group} role", options=given, setting=setting, before={"role": 5}, after={"role": 3}),
        Line(command=f"{group} remove", options={"role": "role"}, setting=setting, before={"role": 5}, after={}),
        Line(command=f"{group} clear", setting=setting, before={"role": 5}, after={}),
    ]


def optional(command: str, option: str, setting: str, value: Any, unset: Any = None) -> list[Line]:
    """A command whose option may be left out."""
    return [
        Line(command=command, options={option: value}, setting=setting, before=unset, after=value),
        Line(command=command, setting=setting, before=value, after=unset),
    ]


LINES = [
    *ids("channels", "channel", "allowed_channels"),
    *ids("roles", "role", "allowed_roles"),
    *ids("exempt", "role", "exempt_roles"),
    *optional("allowance everybody", "credits", "daily_credits", 7),
    *roles("allowance", "credits", "role_credits"),
    *roles("priority", "turns", "role_priorities"),
    *optional("limit waiting", "most", "waiting_jobs", 2),
    *optional("limit size", "most", "max_pixels", 64 * 64),
    *optional("limit steps", "most", "max_steps", 20),
    *optional("limit pictures", "most", "max_images", 2),
    *optional("styles default", "style", "default_style", "pastel"),
    Line(command="styles allow", options={"style": "Pastel Anime"}, setting="allowed_styles", before=[], after=["pastel"]),
    Line(command="styles disallow", options={"style": "pastel"}, setting="allowed_styles", before=["pastel"], after=[]),
    Line(command="styles allow-all", setting="allowed_styles", before=["pastel"], after=[]),
    Line(command="words add", options={"word": "spoiler"}, setting="blocked_words", before=[], after=["spoiler"]),
    Line(command="words remove", options={"word": "SPOILER"}, setting="blocked_words", before=["spoiler"], after=[]),
    Line(command="words clear", setting="blocked_words", before=["spoiler"], after=[]),
    *optional("keep pictures", "days", "picture_days", 7),
    *optional("keep prompts", "days", "prompt_days", 30),
    *optional("negative-prompt", "text", "default_negative_prompt", "bad hands", ""),
    Line(command="safety", options={"level": "strict"}, setting="safety", before="moderate", after="strict"),
    Line(command="spoilers", options={"pictures": "always"}, setting="spoilers", before="never", after="always"),
    Line(command="reuse", options={"who": "False"}, setting="others_may_reuse", before=True, after=False),
    *optional("language", "language", "language", "ko"),
    *optional("reports", "channel", "report_channel", "channel"),
    Line(command="reset", options={"setting": "max_steps"}, setting="max_steps", before=20, after=None),
]
GROUPS = sorted({line.command.split()[0] for line in LINES})
OTHERS = ("show", "history", "export", "panel")


class Desk:
    """A stage with a role, and what a manager does there."""

    def __init__(self, harness: SimcordHarness) -> None:
        self.harness = harness
        self.role = harness.guild.create_role("Artists")
        self.actor = Actor(user_id=harness.manager.id, guild_id=harness.guild.id, manages_guild=True)

    def real(self, value: Any) -> Any:
        """`value` with ids in place of the words "role" and "channel"."""
        if isinstance(value, dict):
            return {self.real(key): item for key, item in value.items()}
        if isinstance(value, list):
            return [self.real(item) for item in value]
        return {"role": str(self.role.id), "channel": str(self.harness.channel.id)}.get(value, value)

    async def put(self, name: str, value: Any) -> None:
        await self.harness.services.guild_settings.revise(self.actor, assign(name, self.real(value)))

    async def settings(self) -> GuildSettings:
        return await self.harness.services.guild_settings.read(self.actor)

    async def value(self, name: str) -> Any:
        return to_values(await self.settings())[name]

    async def show_commands_to(self, actor: Any) -> None:
        """As a server's administrators can, for whomever they like."""
        registered = next(found for found in await self.harness.bot.tree.fetch_commands() if found.name == "settings")
        self.harness.guild.set_command_permissions(registered, {actor: True})

    async def slash(self, command: str, actor: Any = None, **options: Any) -> simcord.InteractionResult:
        handles = {"role": self.role, "channel": self.harness.channel}
        given = {name: handles.get(value, value) if isinstance(value, str) else value for name, value in options.items()}
        result = await (actor or self.harness.manager).slash(self.harness.channel, f"settings {command}", **given)
        assert result.ephemeral
        return result


@pytest.fixture
def desk(harness: SimcordHarness) -> Desk:
    return Desk(harness)


def described(payload: dict[str, Any]) -> int:
    """The characters that Discord counts: names, descriptions and the values of choices."""
    length = len(payload["name"]) + len(payload.get("description", ""))
    length += sum(len(choice["name"]) + len(str(choice["value"])) for choice in payload.get("choices", []))
    return length + sum(described(option) for option in payload.get("options", []))


def leaves(payload: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for option in payload["options"]:
        if option["type"] == 2:
            yield from leaves(option, f"{option['name']} ")
        elif option["type"] == 1:
            yield prefix + option["name"]


async def test_the_command_keeps_within_discords_limits_and_is_for_servers_and_those_who_manage_them(harness: SimcordHarness):
    payload = next(command for command in harness.bot.tree.get_commands() if command.name == "settings").to_dict(
        harness.bot.tree
    )

    assert described(payload) <= 8_000
    assert len(payload["options"]) <= 25
    assert payload["contexts"] == [0]
    assert payload["default_member_permissions"] == 1 << 5
    assert set(leaves(payload)) == {line.command for line in LINES} | {*OTHERS, "import"}
    assert {line.setting for line in LINES} == set(SETTINGS)


@pytest.mark.parametrize("group", GROUPS)
async def test_each_command_changes_its_setting_and_nothing_else_and_says_before_and_after(desk: Desk, group: str):
    for line in (line for line in LINES if line.command.split()[0] == group):
        await desk.harness.services.guild_settings.restore(desk.actor)
        await desk.put(line.setting, line.before)

        result = await desk.slash(line.command, **line.options)

        after = desk.real(line.after)
        assert " → " in texts(result.response), line
        assert to_values(await desk.settings()) == to_values(UNCHANGED) | {line.setting: after}, line
        newest = (await desk.harness.services.guild_settings.history(desk.actor)).entries[0]
        assert (newest.change.setting, newest.change.after) == (line.setting, after), line
        assert newest.changed_by == desk.harness.manager.id


async def test_a_second_channel_joins_the_first(desk: Desk):
    other = desk.harness.guild.create_text_channel("gallery")
    await desk.slash("channels add", channel="channel")

    said = texts((await desk.slash("channels add", channel=other)).response)

    first, second = sorted([desk.harness.channel.id, other.id])
    assert f"<#{desk.harness.channel.id}> → <#{first}>, <#{second}>" in said


async def test_what_was_so_already_is_said(desk: Desk):
    assert texts((await desk.slash("limit steps")).response).strip() == NOTHING_CHANGED


async def test_no_command_works_for_others_even_where_the_server_shows_it_to_them(desk: Desk):
    await desk.put("blocked_words", ["a secret"])
    await desk.show_commands_to(desk.harness.moderator)

    for command, options in [*((line.command, line.options) for line in LINES), *((name, {}) for name in OTHERS)]:
        result = await desk.slash(command, desk.harness.moderator, **options)
        assert "**Manage Server**" in texts(result.response), command
        assert "secret" not in texts(result.response), command

    assert len((await desk.harness.services.guild_settings.history(desk.actor)).entries) == 1


async def test_a_channel_that_is_not_allowed_refuses_the_very_next_prompt(desk: Desk):
    gallery = desk.harness.guild.create_text_channel("gallery")
    await desk.harness.anime("first")
    await desk.slash("channels add", channel=gallery)

    result = await desk.harness.anime("second")

    assert result.response is not None
    assert f"only draw in <#{gallery.id}>" in result.response.content
    assert [job.request.prompt for job in await desk.harness.all_jobs()] == ["first"]
    await desk.slash("channels clear")
    await desk.harness.anime("third")
    assert len(await desk.harness.all_jobs()) == 2


@pytest.mark.parametrize(
    ("command", "options", "reason"),
    [
        ("styles default", {"style": "watercolour"}, "don't know that style"),
        ("styles allow", {"style": "pixel"}, "don't know that style"),
        ("words add", {"word": "!!"}, "a letter or a digit"),
    ],
)
async def test_what_cannot_be_set_is_refused_with_a_sentence(desk: Desk, command: str, options: dict[str, Any], reason: str):
    result = await desk.slash(command, **options)

    assert reason in texts(result.response)
    assert await desk.settings() == UNCHANGED


async def test_everyone_is_refused_as_a_role(desk: Desk):
    result = await desk.slash("roles add", role=desk.harness.guild.default_role)

    assert "can't choose" in texts(result.response)
    assert await desk.settings() == UNCHANGED


async def test_the_default_style_must_be_among_the_allowed_ones(desk: Desk):
    await desk.put("allowed_styles", ["pastel"])
    await desk.put("default_style", "pastel")
    result = await desk.slash("import", file=("settings.json", b'{"pastel_settings": 1, "default_style": "pixel"}'))

    assert "one of the allowed styles" in texts(result.response)
    assert await desk.value("default_style") == "pastel"


async def test_show_names_every_setting_and_pings_nobody(desk: Desk):
    await desk.put("blocked_words", ["@everyone", "<@1>", "**bold**"])
    await desk.put("default_negative_prompt", "@here [link](https://example.org)")

    said = texts((await desk.slash("show")).response)

    assert "**Safety level:** Moderate" in said
    assert "@everyone" not in said
    assert "@here" not in said
    assert "<@1>" not in said
    assert "](https" not in said


async def test_history_shows_who_changed_what_when_and_goes_on_with_a_button(desk: Desk):
    for steps in range(1, PAGE_LENGTH + 2):
        await desk.put("max_steps", steps)

    result = await desk.slash("history")
    newest = texts(result.response)
    await desk.harness.restart()
    (button,) = [part for part in simcord_parts(result.response) if part.get("label") == "Older"]
    await desk.harness.manager.click(result.response, custom_id=button["custom_id"])

    when = int(desk.harness.clock.now().timestamp())
    line = f"**Most steps:** {PAGE_LENGTH} steps → {PAGE_LENGTH + 1} steps\n-# by <@{desk.harness.manager.id}> <t:{when}:f>"
    assert line in newest
    assert "**Most steps:** up to 60 → 1 step" not in newest
    assert "**Most steps:** up to 60 → 1 step" in texts(result.response)


def simcord_parts(message: Any) -> list[dict[str, Any]]:
    return list(simcord.components.walk_components(message.components))


async def test_an_empty_history_says_so(desk: Desk):
    assert "Nobody has changed" in texts((await desk.slash("history")).response)


async def test_an_exported_file_is_imported_again_and_says_what_it_changed(desk: Desk):
    for line in LINES:
        await desk.put(line.setting, line.after or line.before)
    before = await desk.settings()
    exported = await desk.slash("export")
    (file,) = exported.response.attachments if exported.response else ()
    data = await file.read()
    await desk.slash("reset", setting="everything")
    assert await desk.settings() == UNCHANGED

    result = await desk.slash("import", file=("settings.json", data))

    assert file.filename == "pastel-settings.json"
    assert await desk.settings() == before
    assert "**Daily credits:** host default → 7 credits" in texts(result.response)
    assert set(json.loads(data)) == {"pastel_settings", *SETTINGS}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"hello", "isn't a Pastel settings file"),
        (b'{"pastel_settings": 1, "max_steps": 5, "max_images": 9}', "max_images"),
        (b"x" * (MAX_FILE_BYTES + 1), "64 KiB at most"),
    ],
)
async def test_a_file_with_a_fault_is_refused_with_a_sentence_and_changes_nothing(desk: Desk, data: bytes, reason: str):
    result = await desk.slash("import", file=("settings.json", data))

    assert reason in texts(result.response)
    assert await desk.settings() == UNCHANGED


async def test_the_lists_that_appear_while_typing_offer_what_there_is_to_moderators_only(desk: Desk):
    harness = desk.harness
    await desk.put("blocked_words", ["Spoiler", "secret"])
    await desk.put("allowed_styles", ["pastel"])

    async def offered(command: str, option: str, typed: str = "", actor: Any = None) -> list[Any]:
        found = await (actor or harness.manager).autocomplete(harness.channel, f"settings {command}", option, typed)
        return [choice["value"] for choice in found]

    assert await offered("words remove", "word", "SPOI") == ["Spoiler"]
    assert await offered("styles disallow", "style") == ["pastel"]
    assert await offered("styles allow", "style", "pas") == ["pastel"]
    assert await offered("limit size", "most", 6) == [64 * 64, 64 * 96]
    await desk.show_commands_to(harness.moderator)
    assert await offered("words remove", "word", "", harness.moderator) == []
    assert await offered("styles disallow", "style", "", harness.moderator) == []


async def test_a_forged_category_is_no_channel_to_draw_in():
    interaction = Mock(spec_set=discord.Interaction)
    gallery = Mock(spec_set=AppCommandChannel, id=5, type=discord.ChannelType.text)
    category = Mock(spec_set=AppCommandChannel, id=6, type=discord.ChannelType.category)
    drawn_in = ChannelId(discord.ChannelType.text)

    assert await drawn_in.transform(interaction, gallery) == "5"
    with pytest.raises(TransformerError):
        await drawn_in.transform(interaction, category)
