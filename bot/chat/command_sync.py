"""Registers the commands with Discord when they changed, and only then.

discord.py always sends the whole list; Discord allows 200 creations a day and a busy bot restarts often.
"""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Any

import discord
from discord import app_commands

from bot.ports import MetaRepository

log = logging.getLogger(__name__)

META_NAME = "synced_commands"


async def sync_if_changed(tree: app_commands.CommandTree[Any], application_id: int, meta: MetaRepository | None) -> bool:
    """Send the global commands unless these very ones were sent for this application before; returns whether they were.

    `meta` None: always (a Discord that forgets, as the demo's does).
    """
    fingerprint = f"{application_id}:{payload_hash(tree)}"
    if meta is not None and await meta.get(META_NAME) == fingerprint:
        return False
    await tree.sync()
    if meta is not None:
        await meta.set(META_NAME, fingerprint)
    log.info("Commands registered with Discord")
    return True


def payload_hash(tree: app_commands.CommandTree[Any]) -> str:
    """sha256 of what a sync would send, whatever the order in which the cogs were loaded."""
    kinds = (discord.AppCommandType.chat_input, discord.AppCommandType.user, discord.AppCommandType.message)
    commands = [command.to_dict(tree) for kind in kinds for command in tree.get_commands(type=kind)]
    lines = sorted(json.dumps(command, sort_keys=True) for command in commands)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
