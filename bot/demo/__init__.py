"""Runs the same bot on a page of this computer, with SimCord (the extra `demo`) as Discord; no token, no network, no GPU."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import webbrowser
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bot.bootstrap import Application, open_application
from bot.chat.actions import Press
from bot.chat.first_answer import DiscordFirstAnswer
from bot.chat.replies import Interaction, origin_of, reply_target
from bot.demo.port import refuse_taken
from bot.demo.welcome import EXAMPLE_ACTION, example_of
from bot.domain.job import Actor
from bot.domain.request import Draft
from bot.errors import OperatorError
from bot.log import set_up_logging
from bot.process_signals import first_of, stop_event
from bot.resources import small_model
from bot.settings import SHIPPED_DATA, Settings
from bot.storage.catalog import load_catalog
from bot.storage.lock import DataFolderLock

STATE_FOLDER = "demo"  # under DATA_DIR: its jobs and pictures never meet a real bot's


async def run_demo(settings: Settings, *, port: int = 0, open_browser: bool = False) -> None:
    """Show the bot on 127.0.0.1:`port` (0: a free one) until SIGINT or SIGTERM. Raises OperatorError."""
    set_up_logging(settings.log_level, settings.log_format)
    serve = _import_serve()

    async def ready(address: str) -> None:
        await _choose_report_channel(app)
        print(f"\nPastel's demo: {address}\nCtrl-C ends it.\n", flush=True)  # noqa: T201 - what the visitor waits for
        if open_browser:
            await asyncio.to_thread(webbrowser.open, address)

    await asyncio.to_thread(refuse_taken, port)
    stop = stop_event()
    state = settings.data_dir / STATE_FOLDER
    await asyncio.to_thread(_forget, state)
    settings = _for_the_visitor(await asyncio.to_thread(_with_small_model, settings))
    async with open_application(settings, state_dir=state) as app:
        _draw_examples(app)
        background = app.runtime.background
        page = serve(app.bot, port=port, ready=ready, farewell=background.stop)
        await first_of(page, background.failure(), stop.wait())


def _import_serve() -> Callable[..., Coroutine[Any, Any, None]]:
    """Returns the part that uses SimCord, which makes clients for checks of its own; their warnings are irrelevant."""
    discord_log = logging.getLogger("discord")
    level = discord_log.level
    discord_log.setLevel(logging.ERROR)
    try:
        from bot.demo.server import serve
    except ImportError as error:
        raise OperatorError(f"The demo needs its extra ({error.name} is missing). Run `pip install '.[demo]'`.") from None
    finally:
        discord_log.setLevel(level)
    return serve


def _forget(state: Path) -> None:
    """Drop an earlier demo's jobs: the Discord that they belong to is gone. Their pictures are deleted at the start."""
    with DataFolderLock(state), contextlib.suppress(OSError):
        for ending in ("", "-wal", "-shm"):
            (state / f"pastel.db{ending}").unlink(missing_ok=True)


def _with_small_model(settings: Settings) -> Settings:
    """Returns settings with the shipped model, also where CUDA is found: a demo needs no GPU or download; MODEL wins."""
    if settings.model is not None:
        return settings
    return settings.model_copy(update={"model": small_model(load_catalog(SHIPPED_DATA, settings.data_dir))})


def _for_the_visitor(settings: Settings) -> Settings:
    """Returns settings without the operator's limits on servers, which are for Discord and not for this page."""
    return settings.model_copy(update={"served_servers": frozenset[int](), "blocked_users": frozenset[int]()})


async def _choose_report_channel(app: Application) -> None:
    """Send reports to the only channel; without a report channel, Report would only say that there is none."""
    for guild in app.bot.guilds:
        bot_itself = Actor(user_id=guild.me.id, guild_id=guild.id, manages_guild=True)
        choose = partial(replace, report_channel=guild.text_channels[0].id)
        await app.runtime.services.guild_settings.revise(bot_itself, choose)


def _draw_examples(app: Application) -> None:
    """Let the welcome's buttons start jobs in the same way as every command."""
    generation = app.runtime.generation

    async def draw(interaction: Interaction, press: Press) -> None:
        example = example_of(press)
        if example is not None:
            origin = origin_of(interaction)
            propose = partial(generation.propose, Draft(prompt=example.prompt), origin)
            await generation.take_in(propose, origin, reply_target(interaction), DiscordFirstAnswer(interaction))

    app.bot.on_action(EXAMPLE_ACTION, draw)
