from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import discord
import pytest
import simcord

from bot.chat.actions import NO_JOB, AnyPress, Press, SettingsPress, press_of
from bot.chat.client import PastelBot
from bot.chat.command_sync import LOOK_PAUSE, Registration, payload_hash, sync_if_changed
from bot.chat.extensions import EXTENSIONS
from bot.chat.pressed_item import PressedItem
from bot.errors import DatabaseError
from bot.metrics import Metrics
from bot.storage.database import Database
from bot.storage.meta import SqliteMeta
from tests.chat.test_faults import refusal
from tests.fakes import FakeClock
from tests.services.harness import until

COGS = Path(__file__).resolve().parents[2] / "cogs"


class InMemoryMeta:
    """Implements ports.MetaRepository."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.faults: list[Exception] = []

    async def get(self, name: str) -> str | None:
        if self.faults:
            raise self.faults.pop(0)
        return self.values.get(name)

    async def set(self, name: str, value: str) -> None:
        self.values[name] = value


def make_bot(meta: InMemoryMeta | None = None, **options: object) -> PastelBot:
    return PastelBot(metrics=Metrics(), meta=meta, extensions=(), guild_ready_timeout=0, **options)


def add_command(bot: PastelBot, name: str = "draw", description: str = "Draw") -> None:
    async def callback(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("hello")

    bot.tree.add_command(discord.app_commands.Command(name=name, description=description, callback=callback))


class Registered:
    """A command as Discord has it: as much of it as is asked for."""

    default_member_permissions = None

    def __init__(self, what: dict[str, Any]) -> None:
        self._what = what

    def to_dict(self) -> dict[str, Any]:
        return self._what


class CountingTree:
    """The tree's commands, how often they were sent, and what Discord has of them; `faults` are raised by the next sends."""

    def __init__(self, tree: discord.app_commands.CommandTree[PastelBot]) -> None:
        self._tree = tree
        self.get_commands = tree.get_commands
        self.translator = tree.translator
        self.allowed_contexts, self.allowed_installs = tree.allowed_contexts, tree.allowed_installs
        self.syncs = 0
        self.registered: list[Registered] = []
        self.faults: list[Exception] = []
        self.is_silent = False

    async def sync(self) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.syncs += 1
        self.registered = [Registered({"id": self.syncs, **command.to_dict(self._tree)}) for command in self.get_commands()]

    async def fetch_commands(self) -> list[Registered]:
        if self.is_silent:
            raise discord.RateLimited(60.0)
        return self.registered


async def test_commands_are_sent_once_and_again_only_when_they_change():
    meta, bot = InMemoryMeta(), make_bot()
    add_command(bot)
    tree = CountingTree(bot.tree)

    assert await sync_if_changed(tree, 1, meta)
    assert not await sync_if_changed(tree, 1, meta)
    assert tree.syncs == 1

    bot.tree.remove_command("draw")
    add_command(bot, description="Draw a picture")
    assert await sync_if_changed(tree, 1, meta)
    assert not await sync_if_changed(tree, 1, meta)


async def test_another_application_gets_the_commands_too():
    meta, bot = InMemoryMeta(), make_bot()
    tree = CountingTree(bot.tree)

    assert await sync_if_changed(tree, 1, meta)
    assert await sync_if_changed(tree, 2, meta)


async def test_a_sync_that_failed_is_repeated_at_the_next_start():
    meta, bot = InMemoryMeta(), make_bot()
    tree = CountingTree(bot.tree)

    async def refused() -> None:
        raise ConnectionError

    working, tree.sync = tree.sync, refused
    with pytest.raises(ConnectionError):
        await sync_if_changed(tree, 1, meta)
    tree.sync = working

    assert await sync_if_changed(tree, 1, meta)


async def test_commands_that_another_copy_overwrote_are_sent_again():
    meta, bot = InMemoryMeta(), make_bot()
    add_command(bot)
    tree = CountingTree(bot.tree)
    await sync_if_changed(tree, 1, meta)

    tree.registered = [Registered({"id": 1, "name": "draw", "description": "Draw, with another model"})]
    assert await sync_if_changed(tree, 1, meta)
    assert not await sync_if_changed(tree, 1, meta)

    tree.registered = []
    assert await sync_if_changed(tree, 1, meta)


async def test_where_discord_does_not_say_what_it_has_commands_are_sent():
    meta, tree = InMemoryMeta(), CountingTree(make_bot().tree)
    tree.is_silent = True

    assert await sync_if_changed(tree, 1, meta)
    assert await sync_if_changed(tree, 1, meta)


def too_long(tree: discord.app_commands.CommandTree[PastelBot]) -> discord.HTTPException:
    """Discord's refusal of the tree's first command, as discord.py raises it."""
    errors = {"0": {"description": {"_errors": [{"code": "BASE_TYPE_BAD_LENGTH", "message": "Must be 1 to 100 long."}]}}}
    refused = refusal(400, 50035, errors=errors)
    return discord.app_commands.CommandSyncFailure(refused, list(tree.get_commands()))


async def test_a_refused_registration_says_which_command_and_why_and_the_bot_serves_on(caplog: pytest.LogCaptureFixture):
    bot = make_bot()
    add_command(bot, "paint")
    tree = CountingTree(bot.tree)
    tree.faults = [too_long(bot.tree)]
    registration = Registration(tree, InMemoryMeta())

    await registration.settle(1)
    await registration.stop()

    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "'paint'" in record.getMessage()
    assert "Must be 1 to 100 long." in record.getMessage()
    assert "\n" not in record.getMessage()
    assert tree.syncs == 0


async def test_a_registration_that_gets_no_answer_goes_on_beside_the_service():
    bot, clock = make_bot(), FakeClock()
    add_command(bot)
    tree = CountingTree(bot.tree)
    tree.faults = [refusal(503), ConnectionResetError()]
    registration = Registration(tree, InMemoryMeta(), ticks=clock.ticks, sleep=clock.sleep)

    await registration.settle(1)
    assert tree.syncs == 0
    await until(lambda: clock.sleeping == 1)
    clock.advance(1)

    await until(lambda: tree.syncs == 1)
    await registration.stop()


async def test_a_busy_database_does_not_end_the_registration():
    bot, clock, meta = make_bot(), FakeClock(), InMemoryMeta()
    add_command(bot)
    tree = CountingTree(bot.tree)
    registration = Registration(tree, meta, ticks=clock.ticks, sleep=clock.sleep)
    meta.faults = [DatabaseError("busy"), DatabaseError("busy")]

    await registration.settle(1)
    await until(lambda: clock.sleeping == 1)
    clock.advance(1)
    await until(lambda: tree.syncs == 1)
    await registration.stop()


async def test_a_member_with_commands_of_another_copy_makes_us_look_but_not_all_the_time():
    bot, clock = make_bot(), FakeClock()
    add_command(bot)
    tree = CountingTree(bot.tree)
    registration = Registration(tree, InMemoryMeta(), ticks=clock.ticks, sleep=clock.sleep)
    await registration.settle(1)

    tree.registered = []
    registration.doubt(1)
    clock.advance(LOOK_PAUSE)
    assert tree.syncs == 1
    registration.doubt(1)
    await until(lambda: tree.syncs == 2)
    clock.advance(LOOK_PAUSE)
    registration.doubt(1)  # all is well now
    await registration.stop()

    assert tree.syncs == 2


async def test_without_memory_commands_are_sent_every_time():
    tree = CountingTree(make_bot().tree)

    assert await sync_if_changed(tree, 1, None)
    assert await sync_if_changed(tree, 1, None)


async def test_the_order_of_loading_does_not_change_the_hash():
    one, other = make_bot(), make_bot()
    for name in ("a", "b"):
        add_command(one, name)
    for name in ("b", "a"):
        add_command(other, name)

    assert await payload_hash(one.tree) == await payload_hash(other.tree)


async def test_a_second_start_sends_no_commands(tmp_path: Path):
    async with Database.open(tmp_path / "pastel.db") as database:
        meta = SqliteMeta(database)
        first = PastelBot(metrics=Metrics(), meta=meta, extensions=("cogs.help",), guild_ready_timeout=0)
        env = simcord.Env(first, shard_count=1)
        await env.start()
        try:
            await env.restart_bot(PastelBot(metrics=Metrics(), meta=meta, extensions=("cogs.help",), guild_ready_timeout=0))
            sent = [entry for entry in env.backend.http_requests if entry.method == "PUT" and "commands" in entry.path]
            assert len(sent) == 1

            changed = PastelBot(metrics=Metrics(), meta=meta, extensions=("cogs.help",), guild_ready_timeout=0)
            add_command(changed)
            await env.restart_bot(changed)
            sent = [entry for entry in env.backend.http_requests if entry.method == "PUT" and "commands" in entry.path]
            assert len(sent) == 2
        finally:
            await env.shutdown()


async def test_on_login_runs_after_the_extensions_stand():
    seen: list[set[str]] = []

    async def on_login() -> None:
        seen.append({command.name for command in bot.tree.get_commands()})

    bot = PastelBot(metrics=Metrics(), meta=None, extensions=("cogs.help",), on_login=on_login, guild_ready_timeout=0)
    env = simcord.Env(bot, shard_count=1)
    await env.start()
    try:
        assert seen == [{"help"}]
        assert await bot.is_connected()
        await bot.on_shard_disconnect(0)
        assert not await bot.is_connected()
        await bot.on_shard_resumed(0)
        assert await bot.is_connected()
    finally:
        await env.shutdown()
    assert not await make_bot().is_connected()


async def test_we_ask_discord_for_as_little_as_possible():
    bot = make_bot()

    assert bot.intents == discord.Intents(guilds=True)
    assert bot.allowed_mentions is not None
    assert bot.allowed_mentions.to_dict() == {"parse": []}
    assert bot.http.max_ratelimit_timeout is not None


async def test_a_service_is_given_to_whoever_requires_it_by_its_class():
    bot = make_bot()
    meta = InMemoryMeta()

    bot.provide(InMemoryMeta, meta)

    assert bot.require(InMemoryMeta) is meta
    with pytest.raises(LookupError, match="Database"):
        bot.require(Database)


def test_every_field_of_a_dataclass_is_given_to_whoever_requires_its_class():
    @dataclass(frozen=True)
    class Parts:
        meta: InMemoryMeta
        metrics: Metrics

    bot, parts = make_bot(), Parts(meta=InMemoryMeta(), metrics=Metrics())

    bot.provide_all(parts)

    assert (bot.require(InMemoryMeta), bot.require(Metrics)) == (parts.meta, parts.metrics)


def test_every_cog_is_an_extension_and_every_extension_a_cog():
    found = {f"cogs.{path.stem}" for path in COGS.glob("*.py") if not path.stem.startswith("_")}

    assert found == set(EXTENSIONS)
    assert len(found) >= 5
    for name in EXTENSIONS:
        assert inspect.iscoroutinefunction(import_module(name).setup)


@pytest.mark.parametrize(
    "custom_id",
    ["", "pastel", "pastel:reroll", "pastel:reroll:xyz", "pastel:Reroll:0123456789abcdef", "pastel:reroll12:0123456789abcdef",
     "pastel:reroll:0123456789ABCDEF", "pastel:reroll:0123456789abcdef ", "other:reroll:0123456789abcdef"],
)  # fmt: skip
def test_what_is_not_ours_is_not_read_as_a_press(custom_id: str):
    assert Press.parse(custom_id) is None


def test_a_custom_id_holds_action_picture_and_job_and_nothing_else():
    press = Press(action="subtle", job_id="0123456789abcdef", image=3)

    assert press.custom_id == "pastel:subtle3:0123456789abcdef"
    assert Press.parse(press.custom_id) == press


@pytest.mark.parametrize(
    ("custom_id", "press"),
    [
        ("pastel:reroll:0123456789abcdef", Press(action="reroll", job_id="0123456789abcdef")),
        ("pastel:upscale4:0123456789abcdef", Press(action="upscale", job_id="0123456789abcdef", image=4)),
        ("pastel:profile:0000000000000000", Press(action="profile", job_id=NO_JOB)),
        ("pastel-settings:limits:max_steps", SettingsPress(page="limits", setting="max_steps")),
        ("pastel-settings:access:theme", SettingsPress(page="access", setting="theme")),
        ("pastel-settings:history:1234", SettingsPress(page="history", setting="1234")),
    ],
)
async def test_the_custom_ids_of_old_messages_are_read_as_ever(custom_id: str, press: AnyPress):
    button = discord.ui.Button[Any](custom_id=custom_id)
    match = PressedItem.__discord_ui_compiled_template__.fullmatch(custom_id)
    assert match is not None

    item = await PressedItem.from_custom_id(Mock(spec_set=discord.Interaction), button, match)

    assert press_of(custom_id) == item.press == press
    assert press.custom_id == custom_id
