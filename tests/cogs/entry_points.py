"""Every way into the bot: how they are found on the bot that runs, and how somebody tries one, with a forged event if need be.

A door is called by what is done to it: `/queue show`, `typing /anime style`, `menu Remix`, `press reroll`, `form remixed`,
`panel safety`, `panel form max_steps`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import discord
import simcord
from discord import app_commands
from simcord.actors import _dispatch_actor_interaction  # what a forged client sends, which no actor would
from simcord.backend import serializers
from simcord.enums import InteractionType
from simcord.interactions import build_options, nest_options, walk_to_subcommand

from bot.chat.actions import HISTORY, NO_JOB, Press, SettingsPress
from bot.chat.client import PastelBot
from bot.chat.settings.controls import Offer
from bot.chat.settings.forms import has_form
from bot.chat.settings.panel import panel
from bot.chat.views.privacy import erase_id
from bot.domain.guild_settings.definitions import SETTINGS, Group
from bot.domain.guild_settings.serialization import to_values
from bot.domain.guild_settings.settings import UNCHANGED
from tests.cogs.two_servers import FOUND_TEXT, TwoServers, Visitor, Who, picture

BUTTON, STRING_SELECT, LABEL, TEXT_INPUT, TEXT = 2, 3, 18, 4, 10
COMPONENTS_V2 = 1 << 15
ABOUT_A_PICTURE = {"subtle", "strong", "upscale"}
ABOUT_NO_JOB = {"profile", "profiled", "found", "adopted"}
ABOUT_A_REPORT = {"reportremove", "reportblock", "reportdismiss"}


def every_door(bot: PastelBot) -> set[str]:
    """What the running bot answers to."""
    return {
        *_commands(bot),
        *(f"press {action}" for action in bot._actions),
        *(f"form {action}" for action in bot._forms),
        *(f"panel {custom_id.split(':')[2]}" for custom_id in _panel_ids()),
        *(f"panel form {name}" for name in SETTINGS if has_form(name)),
        *(["panel history"] if bot._settings_handler else []),
    }


def _commands(bot: PastelBot) -> Iterator[str]:
    for kind in discord.AppCommandType:
        for command in bot.tree.walk_commands(type=kind):
            if isinstance(command, app_commands.ContextMenu):
                yield f"menu {command.name}"
            elif isinstance(command, app_commands.Command):
                yield f"/{command.qualified_name}"
                typed = [option.display_name for option in command.parameters if option.autocomplete]
                yield from (f"typing /{command.qualified_name} {name}" for name in typed)


def _panel_ids() -> Iterator[str]:
    offer = Offer(styles=(), sizes=(), known=frozenset())
    values = {**to_values(UNCHANGED), "allowed_styles": ["pastel"]}
    for group in Group:
        for item in panel(group, values, offer).walk_children():
            if custom_id := getattr(item, "custom_id", None):
                yield custom_id


async def attempt(servers: TwoServers, door: str, who: Who, options: dict[str, Any]) -> simcord.InteractionResult:
    """Try a door as somebody who does not care what their client would let them do."""
    visitor = servers.visitors[who]
    given = {name: _named(visitor, value) for name, value in options.items()}
    kind, _, rest = door.partition(" ")
    if door.startswith("/"):
        return await _command(visitor, door[1:], given)
    if kind == "typing":
        command, _, option = rest[1:].rpartition(" ")
        return await _typing(visitor, command, option)
    if kind == "menu":
        return await _menu(servers, visitor, rest)
    if kind == "panel":
        return await _panel(servers, visitor, rest, given)
    custom_id = custom_id_of(servers, rest)
    return await (press if kind == "press" else submit)(servers, visitor, custom_id, given)


def custom_id_of(servers: TwoServers, action: str) -> str:
    """Of a button or a form about the owner's things."""
    if action == "erase":
        return erase_id(servers.visitors[Who.OWNER].actor.id)
    jobs = servers.jobs
    job_id = jobs["waiting"] if action == "cancel" else jobs["reported"] if action in ABOUT_A_REPORT else jobs["done"]
    about = NO_JOB if action in ABOUT_NO_JOB else job_id
    return Press(action=action, job_id=about, image=1 if action in ABOUT_A_PICTURE else None).custom_id


async def press(
    servers: TwoServers, visitor: Visitor, custom_id: str, values: dict[str, Any] | None = None
) -> simcord.InteractionResult:
    """Use a button, or with `values` a select, of that custom id on a message of the bot's in the visitor's channel."""
    chosen = (values or {}).get("values")
    kind = BUTTON if chosen is None else STRING_SELECT
    looks = {"label": "x", "style": 2} if chosen is None else {"options": [{"label": "x", "value": "x"}]}
    component = {"type": kind, "custom_id": custom_id, **looks}
    message = _message(servers, visitor, component)
    data = {"custom_id": custom_id, "component_type": kind} | ({} if chosen is None else {"values": chosen})
    return await _send(visitor, InteractionType.MESSAGE_COMPONENT, data, message)


async def submit(
    servers: TwoServers, visitor: Visitor, custom_id: str, values: dict[str, Any] | None = None
) -> simcord.InteractionResult:
    """Send a form of that custom id, opened from a message of the bot's in the visitor's channel."""
    fields = [
        {"type": LABEL, "component": {"type": TEXT_INPUT, "custom_id": name, "value": str(getattr(value, "id", value))}}
        for name, value in (values or {}).items()
    ]
    message = _message(servers, visitor, {"type": BUTTON, "custom_id": "x", "label": "x", "style": 2})
    data = {"custom_id": custom_id, "components": fields}
    return await _send(visitor, InteractionType.MODAL_SUBMIT, data, message)


async def _panel(servers: TwoServers, visitor: Visitor, part: str, given: dict[str, Any]) -> simcord.InteractionResult:
    name = part.removeprefix("form ")
    page = SETTINGS[name].group if name in SETTINGS else Group.ACCESS
    custom_id = SettingsPress(page=page, setting=name).custom_id
    if name == "history":
        custom_id = SettingsPress(page=HISTORY, setting="9999").custom_id
    return await (submit if part.startswith("form ") else press)(servers, visitor, custom_id, given)


async def _command(visitor: Visitor, name: str, given: dict[str, Any]) -> simcord.InteractionResult:
    return await _send(visitor, InteractionType.APPLICATION_COMMAND, _command_data(visitor, name, given))


async def _typing(visitor: Visitor, name: str, option: str) -> simcord.InteractionResult:
    data = _command_data(visitor, name, None)
    leaf = data
    while leaf.get("options"):
        leaf = leaf["options"][0]
    leaf["options"] = [{"name": option, "type": _leaf(visitor, name, option)["type"], "value": "", "focused": True}]
    return await _send(visitor, InteractionType.APPLICATION_COMMAND_AUTOCOMPLETE, data)


def _leaf(visitor: Visitor, name: str, option: str) -> dict[str, Any]:
    spec, _ = walk_to_subcommand(_root(visitor, name.split()[0]), name.split()[1:])
    return next(declared for declared in spec["options"] if declared["name"] == option)


def _root(visitor: Visitor, name: str, kind: int = 1) -> dict[str, Any]:
    root = visitor.actor._env.backend.find_command(name, None, type=kind)
    assert root is not None, name
    return root


def _command_data(visitor: Visitor, name: str, given: dict[str, Any] | None) -> dict[str, Any]:
    """`given` None: nothing was filled in yet. What the command names is what a manager's client knows."""
    first, *path = name.split()
    root, server = _root(visitor, first), visitor.server
    leaf, nesting = walk_to_subcommand(root, path)
    options, resolved = [], {}
    if given is not None:
        options, resolved = build_options(server.lists_of, name, leaf, given, channel_id=server.channel.id)
    data = {"id": root["id"], "name": first, "type": 1, "options": nest_options(root, nesting, options)}
    return data | ({"resolved": resolved} if resolved else {})


async def _menu(servers: TwoServers, visitor: Visitor, name: str) -> simcord.InteractionResult:
    """On a card of the owner's job, or on a picture from elsewhere, wherever the visitor is."""
    buttons = {"type": BUTTON, "custom_id": custom_id_of(servers, "reroll"), "label": "x", "style": 2}
    message = _message(servers, visitor, buttons)
    root = _root(visitor, name, kind=3)
    if name == "Read settings":
        backend = servers.harness.env.backend
        message["attachments"] = backend.store_attachments(visitor.channel.id, [("one.png", picture())])
    data = {
        "id": root["id"],
        "name": name,
        "type": 3,
        "target_id": message["id"],
        "resolved": {"messages": {message["id"]: message}},
    }
    return await _send(visitor, InteractionType.APPLICATION_COMMAND, data)


def _message(servers: TwoServers, visitor: Visitor, component: dict[str, Any]) -> dict[str, Any]:
    """A message of the bot's that holds the component, and settings that were read from a picture."""
    backend = servers.harness.env.backend
    rows = [{"type": TEXT, "content": f"```\n{FOUND_TEXT}\n```"}, {"type": 1, "components": [component]}]
    bot_id = backend.bot_user.id
    stored = backend.create_message(visitor.channel.id, bot_id, components=rows, flags=COMPONENTS_V2, broadcast=False)
    servers.props.add(stored.id)
    return dict(serializers.message_payload(backend, stored))


async def _send(
    visitor: Visitor, kind: InteractionType, data: dict[str, Any], message: dict[str, Any] | None = None
) -> simcord.InteractionResult:
    source = None if message is None else int(message["id"])
    extra = None if message is None else {"message": message}
    return await _dispatch_actor_interaction(visitor.actor, kind, visitor.channel, data, extra=extra, source_message_id=source)


def _named(visitor: Visitor, value: Any) -> Any:
    """A `$name` as the visitor's server has it; in a list, its id."""
    if isinstance(value, list):
        return [str(getattr(named := _named(visitor, item), "id", named)) for item in value]
    return visitor.server.names[value[1:]] if isinstance(value, str) and value.startswith("$") else value
