"""Makes SimCord, a test double of Discord, live: real time, the bot's own tasks left alone, its edits shown as they happen.

SimCord owns a bot's tasks, freezes the clock, and its page shows only what was published after an action. `LiveEnv`,
`keep_revision` and `publish_changes` switch that off. They use private names of simcord 3.2.1, which is therefore pinned
exactly.
"""

# SimCord has no public option for any of this, hence the private names.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import time
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

import discord
from discord.webhook.async_ import async_context
from simcord import Env
from simcord._clock import Clock
from simcord.backend import Backend
from simcord.backend.models.interaction import Interaction
from simcord.preview import Preview
from simcord.preview._pages import _Page

ANSWER_WITHIN = 3.0  # seconds, Discord's limit for the first answer to an interaction
TICK = 0.02


class WallClock(Clock):
    """Real time: message dates, interaction deadlines and ids run as on Discord."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @property
    def elapsed(self) -> float:  # type: ignore[override]  # a plain attribute in SimCord, set by tests
        return time.monotonic() - self._start

    def now(self) -> datetime:
        return datetime.now(UTC)

    def advance(self, seconds: float) -> None:
        """Does nothing: the demo runs in real time."""


class LiveEnv(Env):
    """An Env that neither owns nor waits for the bot's background work, and leaves errors to the bot's own sink."""

    def __init__(self, bot: discord.Client) -> None:
        sharded = isinstance(bot, discord.AutoShardedClient)
        super().__init__(bot, check_errors=False, shard_count=1 if sharded else None)
        self.backend = Backend(clock=WallClock())
        self._asked: Interaction | None = None

    @contextlib.contextmanager
    def offline(self) -> Generator[None]:
        """Send calls with an interaction's token to the pretend Discord, whatever the task.

        SimCord puts its adapter into a context variable, which is missing in a task that the callback of a thread started; so
        the default that discord.py falls back to is changed as well.
        """

        async def request(*args: Any, **options: Any) -> Any:
            return await self._webhook_adapter.request(*args, **options)

        default: Any = contextvars.Context().run(async_context.get)
        default.request = request
        try:
            yield
        finally:
            del default.request

    @contextlib.contextmanager
    def _bot_scope(self) -> Generator[None]:
        yield  # tasks that the bot starts here are its own: neither tracked nor waited for

    def _capture_errors(self) -> None:
        """Capture no errors: SimCord would call an action failed when the bot answers it with a clear refusal."""

    def _notify_dispatch_observers(self, interaction: Interaction) -> None:
        self._asked = interaction
        super()._notify_dispatch_observers(interaction)

    async def _settle_internal(self, **_: Any) -> None:
        """Wait for the answer to an interaction, as Discord's client does, and for nothing else."""
        asked, self._asked = self._asked, None
        until = time.monotonic() + ANSWER_WITHIN
        while asked is not None and not asked.responded and time.monotonic() < until:  # noqa: ASYNC110 - SimCord has no event for it
            await asyncio.sleep(TICK)
        await asyncio.sleep(TICK)


def keep_revision(preview: Preview) -> None:
    """Give every publication of a page the same revision.

    SimCord refuses a click on a page that was published again since; on a page that lives, that is nearly every click during a
    job. The bot itself checks whether the pressed button still means something, as it must on Discord.
    """
    publish = preview._publish

    def publish_again(page: _Page, *, reason: Any = "action") -> None:
        page.revision = 0  # `publish` counts it up
        publish(page, reason=reason)

    preview._publish = publish_again


def publish_changes(env: LiveEnv, preview: Preview) -> None:
    """Show what the bot did on its own since the last call; SimCord's page polls, but only ever gets published state."""
    backend = env.backend
    if not backend.transcript or preview._active_action is not None:
        return
    backend.transcript.clear()  # tells of changes, and would grow without end
    backend.http_requests.clear()
    preview._advance_presentation_time()
    for page in tuple(preview._pages.values()):
        page.target_id = preview._initial_target(page.viewer, page.channel_id)  # scrolls to the newest message
        if page is preview._python:  # the template of new pages, which is not shown
            page.window_end_id = page.target_id
        else:
            preview._publish(page, reason="refresh")
