"""A test rig: the real bot of any checkout with the model that ships, at this checkout's local Discord.

For the measurements beside it, `python -m tests.bench.NAME`; an older and a newer checkout are measured by turns.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.local_discord.interactions import Interaction
from tests.local_discord.journal import Entry
from tests.local_discord.messages import State
from tests.local_discord.server import TOKEN, LocalDiscord
from tests.local_discord.world import User
from tests.process.bots import ROOT, Fresh, end
from tests.process.campaign_judge import pictures_of

PATIENCE = 600.0  # seconds for one picture
ANSWER_LIMIT = 3.5  # seconds; Discord waits for 3
PERCENT = re.compile(r"\*\*(\d+) %\*\*")
READY = re.compile(r"<t:(\d+):R>")
OPEN = """
SELECT 1 FROM jobs WHERE status IN ('queued', 'running', 'succeeded')
UNION SELECT 1 FROM outbox WHERE closed_at IS NULL
"""


@dataclass(frozen=True)
class Promise:
    """A waiting card said at `said_at` that it would be ready at `ready_at` (both UNIX time)."""

    said_at: float
    ready_at: float


@dataclass
class Asked:
    """One `/anime`, and what its member saw; times in seconds since the command was sent, None until it happened."""

    it: Interaction
    steps: int | None = None
    first_step: float | None = None
    seconds: float | None = None
    finished_at: float | None = None  # UNIX time
    promises: list[Promise] = field(default_factory=list)
    drawn: asyncio.Event = field(default_factory=asyncio.Event)

    def see(self, at: float, state: State) -> None:
        """Take notice of the card's newest state, shown at `at` (monotonic)."""
        if pictures_of(state) and not self.drawn.is_set():
            self.seconds, self.finished_at = at - self.it.sent_at, state.at.timestamp()
            self.drawn.set()
        elif not self.drawn.is_set():
            percent, ready = PERCENT.search(state.text), READY.search(state.text)
            if percent and int(percent[1]) > 0 and self.first_step is None:
                self.first_step = at - self.it.sent_at
            if ready:
                self.promises.append(Promise(state.at.timestamp(), float(ready[1])))


class BenchHarness:
    """One life of a checkout's bot in a data folder of its own."""

    def __init__(self, folder: Path, local: LocalDiscord, checkout: Path, **environment: str) -> None:
        self.folder, self.local, self.checkout = folder, local, checkout
        self.data = folder / "data"
        self.data.mkdir()
        self._environment = environment
        self._bot: Fresh | None = None
        self._asked: dict[int, Asked] = {}
        self._members = 0
        local.journal.listen(self._see)

    async def start(self) -> None:
        """Returns when the first picture was drawn, so that the weights are in memory."""
        env = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
            "DISCORD_TOKEN": TOKEN, "DATA_DIR": str(self.data), "MODEL": "mini", "DEVICE": "cpu", **self._environment,
        }  # fmt: skip
        self._bot = await Fresh.start(self.local.origin, ["run"], env=env, cwd=self.folder, root=self.checkout)
        await self.local.gateway.connected(120)
        await self.local.until(lambda: self.local.rest.commands, "the commands", 60)
        await self._warm_up()

    async def _warm_up(self) -> None:
        """Draw a picture. A bot that is busy with its start may answer a command too late, and then nothing comes of it."""
        until = time.monotonic() + PATIENCE
        while True:
            asked = await self.ask(self.member(), steps=1)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(60 if await self._answered(asked) else 1):
                    await asked.drawn.wait()
                    return
            assert time.monotonic() < until, f"no first picture within {PATIENCE} s; the bot's log ends:\n{self.log[-3000:]}"

    async def _answered(self, asked: Asked) -> bool:
        with contextlib.suppress(TimeoutError):
            await self.local.answer(asked.it, ANSWER_LIMIT)
        return asked.it.answer is not None

    async def stop(self) -> None:
        """SIGTERM, and the process is gone; SIGKILL where that takes too long."""
        if self._bot is None:
            return
        self._bot.send(signal.SIGTERM)
        try:
            await self._bot.wait(40)
        except TimeoutError:
            await end(self._bot)
        await self.local.gateway.forget()
        self._bot = None

    def member(self) -> User:
        """Somebody who has never asked for anything."""
        self._members += 1
        return User(self.local.snowflakes.next(), f"member-{self._members}")

    async def ask(self, user: User, **given: Any) -> Asked:
        """Send `/anime`; returns at once."""
        words = {"prompt": f"1girl, green hair, hat number {len(self._asked)}", **given}
        it = await self.local.command(user, "anime", **words)
        asked = self._asked[it.id] = Asked(it)
        return asked

    async def draw(self, user: User, *, within: float = PATIENCE, **given: Any) -> Asked:
        """Send `/anime` and wait for its pictures. Raises AssertionError with the bot's log when none come."""
        asked = await self.ask(user, **given)
        await self.drawn(asked, within=within)
        return asked

    async def drawn(self, *asked: Asked, within: float = PATIENCE) -> None:
        try:
            async with asyncio.timeout(within):
                for one in asked:
                    await one.drawn.wait()
        except TimeoutError:
            raise AssertionError(f"no picture within {within} s; the bot's log ends:\n{self.log[-3000:]}") from None

    async def clear(self) -> None:
        """Every member takes back what still waits; returns when nothing is left to draw or to show."""
        for asked in self._asked.values():
            card = asked.it.original
            if card is None or asked.drawn.is_set() or card.deleted:
                continue
            if any("Cancel" in (button.get("label") or "") for button in card.now.buttons):
                await self.local.press(asked.it.user, card, "Cancel")
        async with asyncio.timeout(PATIENCE):
            while self.rows(OPEN):  # noqa: ASYNC110  # SQLite tells nobody outside of its process
                await asyncio.sleep(0.1)

    def rows(self, sql: str, *values: Any) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self.data / 'pastel.db'}?mode=ro", uri=True, timeout=20)) as database:
            return database.execute(sql, values).fetchall()

    @property
    def log(self) -> str:
        return self._bot.stderr.read_text() if self._bot is not None and self._bot.stderr.exists() else ""

    def memory(self) -> float:
        """Resident memory of the bot and of the processes that it started, in MiB."""
        assert self._bot is not None
        return sum(_resident(pid) for pid in _family(self._bot.process.pid)) / 2**20

    def _see(self, entry: Entry) -> None:
        if entry.kind == "message" and entry.facts.get("interaction") in self._asked:
            message = self.local.messages.all[entry.facts["id"]]
            if not message.loading and not message.deleted:
                self._asked[entry.facts["interaction"]].see(entry.at, message.now)


@asynccontextmanager
async def running(checkout: Path, **environment: str) -> AsyncIterator[BenchHarness]:
    """A started bot of `checkout`; nothing of it is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="pastel-rig-") as folder:
        async with LocalDiscord() as local:
            rig = BenchHarness(Path(folder), local, checkout, **environment)
            try:
                await rig.start()
                yield rig
            finally:
                await rig.stop()


@dataclass(frozen=True)
class Checkout:
    """A folder with the bot's code; `name` tells it from the others in tables."""

    folder: Path
    name: str

    @classmethod
    def at(cls, folder: Path) -> Checkout:
        """Raises AssertionError where Python would load another bot than the folder's."""
        folder = folder.resolve()
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder)}
        where = _output_of(sys.executable, "-c", "import bot; print(bot.__file__)", env=env, cwd="/")
        assert Path(where).is_relative_to(folder), f"{folder} would run {where or 'no bot'}"
        commit = _output_of("git", "-C", str(folder), "rev-parse", "--short", "HEAD")
        return cls(folder, f"{folder.name}@{commit}" if commit else folder.name)


def run(measurement: Coroutine[Any, Any, None]) -> None:
    """Run it as a program; SIGTERM ends it as Ctrl+C does, so that no bot outlives it."""

    async def cancellable() -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await measurement

    asyncio.run(cancellable())


def options(about: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """What every measurement can be told."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkout", type=Path, action="append", help="whose bot runs; again for another one, by turns")
    parser.add_argument("--rounds", type=int, default=rounds)
    return parser


def checkouts(folders: Sequence[Path] | None) -> list[Checkout]:
    """Those that the command line names, else this one."""
    return [Checkout.at(folder) for folder in folders or [ROOT]]


def _output_of(*command: str, **settings: Any) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False, **settings).stdout.strip()


def _family(pid: int) -> Iterator[int]:
    """The process and all that it started."""
    yield pid
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = thread.read_text().split()
        except OSError:  # the thread has just ended
            continue
        for child in children:
            yield from _family(int(child))


def _resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):  # it has just ended
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
