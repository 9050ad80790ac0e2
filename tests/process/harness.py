"""Where a bot lives during a test: a data folder with the tiny model, a local Discord, and one process at a time."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.local_discord.interactions import Interaction
from tests.local_discord.server import TOKEN, LocalDiscord
from tests.process.bots import BotProcess, Fresh, ZygoteClient, end

PROFILE = """
title = "Tiny SDXL"
family = "sdxl"
num_inference_steps = 6
guidance_scale = 5.0
sizes = {{ small = [{side}, {side}] }}
default_size = "small"
unclassified = "it draws noise"
[source]
folder = "tiny-test"
[licence]
name = "none"
"""


class ProcessHarness:
    """One bot's world. `bot` is the newest process."""

    def __init__(self, folder: Path, local: LocalDiscord, zygote: ZygoteClient, model: Path) -> None:
        self.folder, self.local, self.zygote = folder, local, zygote
        self.data = folder / "data"
        (self.data / "profiles").mkdir(parents=True)
        (self.data / "models").mkdir()
        (self.data / "models" / "tiny-test").symlink_to(model, target_is_directory=True)
        self.draw_at(64)
        self.bot: BotProcess | None = None
        self.sabotage: str | None = None

    @property
    def database(self) -> Path:
        return self.data / "pastel.db"

    def draw_at(self, side: int) -> None:
        """Pictures of `side` pixels; larger ones take longer."""
        (self.data / "profiles" / "tiny-test.toml").write_text(PROFILE.format(side=side))

    def environment(self, **changes: str | None) -> dict[str, str]:
        """What the process sees; None takes a variable away."""
        own: dict[str, str | None] = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
            "DISCORD_TOKEN": TOKEN, "DATA_DIR": str(self.data), "MODEL": "tiny-test", "DEVICE": "cpu",
            **changes,
        }  # fmt: skip
        return {name: value for name, value in own.items() if value is not None}

    async def start(self, *, connected: bool = True, **changes: str | None) -> BotProcess:
        """A new life, forked, after the last one; returns when the gateway knows it."""
        await self._end_last_life()
        self.bot = await self.zygote.fork(
            self.local.origin, ["run"], env=self.environment(**changes), cwd=self.folder, sabotage=self.sabotage
        )
        if connected:
            await self.connected()
        return self.bot

    async def start_fresh(self, *argv: str, connected: bool = True, **changes: str | None) -> BotProcess:
        """A new life in an interpreter of its own."""
        await self._end_last_life()
        arguments = list(argv or ("run",))
        self.bot = await Fresh.start(self.local.origin, arguments, env=self.environment(**changes), cwd=self.folder)
        if connected:
            await self.connected()
        return self.bot

    async def _end_last_life(self) -> None:
        if self.bot is not None:
            await end(self.bot)
            await self.local.gateway.forget()

    async def connected(self, within: float = 60.0) -> None:
        """Wait for the gateway, or fail with the bot's log when it ended instead."""
        assert self.bot is not None
        waits = [asyncio.ensure_future(self.local.gateway.connected(within)), asyncio.ensure_future(self.bot.wait(within))]
        done, rest = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in rest:
            wait.cancel()
        assert waits[0] in done, f"the bot ended before it connected:\n{self.log[-3000:]}"
        waits[0].result()

    async def kill(self) -> None:
        """SIGKILL, and wait until the process and its connection are gone."""
        await self.stop(signal.SIGKILL)

    async def stop(self, number: int = signal.SIGTERM, within: float = 30.0) -> int:
        assert self.bot is not None
        self.bot.send(number)
        status = await self.bot.wait(within)
        await self.local.gateway.forget()
        return status

    @property
    def log(self) -> str:
        assert self.bot is not None
        return self.bot.stderr.read_text() if self.bot.stderr.exists() else ""

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """Read the database, whoever else uses it."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)) as database:
            database.row_factory = sqlite3.Row
            return database.execute(sql, values).fetchall()

    def job_of(self, it: Interaction) -> sqlite3.Row | None:
        return next(iter(self.rows("SELECT * FROM jobs WHERE interaction_id = ?", it.id)), None)

    async def status(self, it: Interaction, *wanted: str, within: float = 60.0) -> str:
        """Wait until the interaction's job has one of these statuses."""
        return await self.poll(lambda: (job := self.job_of(it)) and job["status"] in wanted and job["status"], within, it)

    async def known_as_shown(self, it: Interaction) -> None:
        """Wait until the database says that the member was shown the job; a moment after it is so."""
        await self.poll(lambda: (job := self.job_of(it)) and job["shown_at"], 30.0, it)

    async def calm(self, within: float = 120.0) -> None:
        """Wait until no job waits, no card is left to show and no file to read."""

        def is_calm() -> bool:
            open_jobs = self.rows("SELECT 1 FROM jobs WHERE status NOT IN ('delivered','failed','cancelled','undeliverable')")
            open_ends = self.rows("SELECT 1 FROM outbox WHERE closed_at IS NULL UNION ALL SELECT 1 FROM intakes")
            return not open_jobs and not open_ends

        await self.poll(is_calm, within, "calm")

    async def poll(self, found: Any, within: float, what: object) -> Any:
        try:
            async with asyncio.timeout(within):
                while not (value := found()):  # noqa: ASYNC110  # SQLite tells nobody outside of its process
                    await asyncio.sleep(0.1)
                return value
        except TimeoutError:
            raise AssertionError(f"waited {within} s in vain for {what}; the bot's log ends:\n{self.log[-3000:]}") from None

    def files(self) -> Iterator[Path]:
        """Everything in the image store."""
        return (path for path in (self.data / "images").rglob("*") if path.is_file())
