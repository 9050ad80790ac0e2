"""Keeps the commands that Discord offers identical to those that this process answers.

discord.py always sends the whole list. Discord allows 200 creations a day and a bot may restart often, so the list is sent
only when it changed: here, or at Discord, where another copy of the application (a test machine's) overwrites it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import aiohttp
import discord
from discord import app_commands

from bot.errors import PastelError
from bot.ports import MetaRepository

log = logging.getLogger(__name__)

META_NAME = "synced_commands"
LOOK_PAUSE: Final = 600.0  # seconds between two looks because of members' commands: two copies must not overwrite in turn
LONGEST_PAUSE: Final = 600.0  # seconds between two tries while Discord does not answer

Tree = app_commands.CommandTree[Any]
Sleep = Callable[[float], Awaitable[None]]

_UNREACHABLE = (discord.DiscordServerError, discord.RateLimited, aiohttp.ClientError, OSError)


class Registration:
    """Registers the commands of `tree` at the start, and again when a member's command turns out not to be ours.

    A refusal is logged and never ends the bot, which answers the commands that are registered.
    """

    def __init__(
        self,
        tree: Tree,
        meta: MetaRepository | None,
        *,
        ticks: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._tree = tree
        self._meta = meta
        self._ticks = ticks
        self._sleep = sleep
        self._looked_at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def settle(self, application_id: int) -> None:
        """Register the commands if necessary. While Discord does not answer, retries in a task in the background."""
        if not await self._try(application_id):
            self._task = asyncio.create_task(self._try_until_answered(application_id), name="register-commands")

    def doubt(self, application_id: int) -> None:
        """Check what Discord offers, unless checked recently: a member used a command form unknown here."""
        is_soon = self._ticks() - self._looked_at < LOOK_PAUSE
        if not is_soon and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._try_until_answered(application_id), name="register-commands")

    async def stop(self) -> None:
        """Stop the retries. May be called at any time, repeatedly."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _try_until_answered(self, application_id: int) -> None:
        pause = 1.0
        while not await self._try(application_id):
            await self._sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _try(self, application_id: int) -> bool:
        """Returns whether Discord has answered; a refusal is an answer too."""
        self._looked_at = self._ticks()
        try:
            await sync_if_changed(self._tree, application_id, self._meta)
        except _UNREACHABLE as error:
            log.warning("The commands could not be registered with Discord yet (%s)", type(error).__name__)
            return False
        except PastelError as error:  # the database is busy or full
            log.warning("The commands could not be registered yet: %s", error)
            return False
        except discord.DiscordException as error:
            log.error(
                "Discord refuses to register the commands, and offers those that it had before: %s",
                " ".join(line.strip() for line in str(error).splitlines()),
            )
        return True


async def sync_if_changed(tree: Tree, application_id: int, meta: MetaRepository | None) -> bool:
    """Sends the global commands, unless the same ones were sent for this application before and Discord still has its version
    of them; returns whether it sent them.

    `meta` None: always (a Discord that forgets, as the demo's does).
    """
    ours = f"{application_id}:{await payload_hash(tree)}"
    if meta is not None:
        there = await _registered_hash(tree)
        if there is not None and await meta.get(META_NAME) == f"{ours}:{there}":
            return False
    await tree.sync()
    if meta is not None:
        await meta.set(META_NAME, f"{ours}:{await _registered_hash(tree)}")
    log.info("Commands registered with Discord")
    return True


async def payload_hash(tree: Tree) -> str:
    """Returns the sha256 of what a sync would send, translations too, whatever the order in which the cogs were loaded."""
    kinds = (discord.AppCommandType.chat_input, discord.AppCommandType.user, discord.AppCommandType.message)
    commands = [command for kind in kinds for command in tree.get_commands(type=kind)]
    translator = tree.translator
    if translator is None:
        return _hash([command.to_dict(tree) for command in commands])
    return _hash([await command.get_translated_payload(tree, translator) for command in commands])


async def _registered_hash(tree: Tree) -> str | None:
    """Returns the sha256 of the commands that Discord reports; None where it does not answer."""
    try:
        commands = await tree.fetch_commands()
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        log.debug("What commands Discord has is not known: %s", type(error).__name__)
        return None
    return _hash([{**command.to_dict(), "permissions": str(command.default_member_permissions)} for command in commands])


def _hash(commands: Sequence[Mapping[str, object]]) -> str:
    lines = sorted(json.dumps(command, sort_keys=True) for command in commands)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
