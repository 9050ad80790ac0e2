"""Bot processes, as tests handle them: forked from a zygote, or fresh."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

ROOT = Path(__file__).resolve().parents[2]


def _python_path(root: Path = ROOT) -> str:
    return os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])


class BotProcess(Protocol):
    """A life of the bot. `stderr` is the file that its log goes to."""

    stderr: Path

    def send(self, number: int) -> None:
        """Send a signal; no error when the process is gone."""
        ...

    async def wait(self, within: float = 30.0) -> int:
        """The exit status; minus the signal's number after a signal."""
        ...


@dataclass
class Forked:
    """A child of the zygote."""

    zygote: ZygoteClient
    pid: int
    stderr: Path
    exit: Future[int] = field(default_factory=Future)

    def send(self, number: int) -> None:
        self.zygote.order({"kill": self.pid, "signal": number})

    async def wait(self, within: float = 30.0) -> int:
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self.exit)), within)


class ZygoteClient:
    """Talks to one zygote. Works across event loops: a thread reads, futures carry the answers."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": _python_path()}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.process.zygote"],
            cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self._ready: Future[dict[str, Any]] = Future()
        self._births: dict[int, Future[int]] = {}
        self._exits: dict[int, Future[int]] = {}
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, name="zygote-reader", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        ready = self._ready.result(timeout=120)
        assert ready["threads"] == 1, "the zygote has threads; a fork would lose them and may hang on their locks"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=20)
        self._reader.join(timeout=20)
        self._process.stdout.close()

    def order(self, what: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()

    async def fork(
        self, origin: str, argv: list[str], *, env: Mapping[str, str], cwd: Path, sabotage: str | None = None
    ) -> Forked:
        """Start a bot's life; its log is appended to `cwd`/bot.err."""
        order = {"origin": origin, "argv": argv, "env": dict(env), "sabotage": sabotage}
        pid = await asyncio.wait_for(asyncio.wrap_future(self._bear(order, cwd)), 30)
        return Forked(self, pid, cwd / "bot.err", self._exits[pid])

    def build_model(self, folder: Path) -> None:
        pid = self._bear({"model": str(folder), "env": dict(os.environ)}, folder.parent).result(30)
        assert self._exits[pid].result(120) == 0, (folder.parent / "bot.err").read_text()

    def _bear(self, order: Mapping[str, Any], cwd: Path) -> Future[int]:
        number = len(self._births)
        self._births[number] = birth = Future()
        sinks = {"stdout": str(cwd / "bot.out"), "stderr": str(cwd / "bot.err")}
        self.order({**order, **sinks, "born": number, "cwd": str(cwd)})
        return birth

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if "ready" in said:
                self._ready.set_result(said)
            elif "born" in said:
                self._exits[said["pid"]] = Future()
                self._births[said["born"]].set_result(said["pid"])
            else:
                self._exits[said["exit"]].set_result(said["status"])
        if not self._ready.done():
            self._ready.set_exception(RuntimeError("the zygote ended before it was ready; see its stderr above"))


@dataclass
class Fresh:
    """`python -m bot` as an operator starts it, but for the launcher in front."""

    process: asyncio.subprocess.Process
    stderr: Path

    @classmethod
    async def start(cls, origin: str, argv: list[str], *, env: Mapping[str, str], cwd: Path, root: Path = ROOT) -> Self:
        """`root` is the checkout whose bot runs."""
        stderr, env = cwd / "fresh.err", {**env, "PYTHONPATH": _python_path(root)}
        with stderr.open("ab") as sink, (cwd / "fresh.out").open("ab") as out:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-W", "ignore", "-m", "tests.process.launcher", origin, *argv,
                cwd=cwd, env=env, stdout=out, stderr=sink, stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        return cls(process, stderr)

    def send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def wait(self, within: float = 30.0) -> int:
        return await asyncio.wait_for(self.process.wait(), within)


async def end(bot: BotProcess) -> None:
    """Leave nobody behind."""
    bot.send(signal.SIGKILL)
    await bot.wait()
