"""A process that imported everything once and forks a bot for each life, so that a thousand lives fit into minutes.

It starts no thread before a fork; each child is a process of its own, ends as any interpreter ends, and can be killed.
Reads JSON lines from stdin, writes JSON lines to stdout.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import sys
from pathlib import Path
from typing import Any

HEAVY = (
    "torch", "transformers.models.clip.modeling_clip", "transformers.models.clip.tokenization_clip", "diffusers.loaders",
    "diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl",
    "diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl_img2img",
    "diffusers.schedulers.scheduling_euler_ancestral_discrete", "peft", "discord.ext.commands", "PIL.Image", "aiosqlite",
    "aiohttp.web", "tests.process.launcher",
)  # fmt: skip
LEFT_OUT = ("bot.demo", "bot.training.", "bot.__main__")
PR_SET_PDEATHSIG = 1


def import_all() -> None:
    """Everything that a bot imports in its life, our own modules too."""
    for name in HEAVY:
        importlib.import_module(name)
    for package in ("bot", "cogs"):
        with contextlib.suppress(ModuleNotFoundError):
            found = pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
            for module in found:
                if not module.name.startswith(LEFT_OUT):
                    importlib.import_module(module.name)
    gc.collect()
    gc.freeze()


def build_model(folder: str) -> int:
    """The tiny SDXL, in a child so that the zygote stays without threads."""
    from bot.inference.random_models.tiny import build_tiny_sdxl

    build_tiny_sdxl(Path(folder))
    return 0


class Zygote:
    """Serves orders until stdin ends."""

    def __init__(self) -> None:
        self._alarm, alarm_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._alarm_in = alarm_in
        self._living: set[int] = set()

    def serve(self) -> None:
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(self._alarm_in)
        threads = len(os.listdir("/proc/self/task"))
        self._say({"ready": True, "threads": threads})
        buffer = b""
        while True:
            readable, _, _ = select.select([0, self._alarm], [], [])
            if self._alarm in readable:
                os.read(self._alarm, 1024)
                self._reap()
            if 0 in readable:
                chunk = os.read(0, 65536)
                if not chunk:
                    break
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    self._obey(json.loads(line))
        for pid in self._living:
            os.kill(pid, signal.SIGKILL)

    def _obey(self, order: dict[str, Any]) -> None:
        if "kill" in order:
            if order["kill"] in self._living:  # a reaped child's number may belong to somebody else by now
                os.kill(order["kill"], order["signal"])
            return
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            self._become_bot(order)
        self._living.add(pid)
        self._say({"born": order["born"], "pid": pid})

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                self._living.discard(found[0])
                self._say({"exit": found[0], "status": os.waitstatus_to_exitcode(found[1])})

    def _become_bot(self, order: dict[str, Any]) -> None:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.close(self._alarm)
        os.close(self._alarm_in)
        for fd, path in enumerate((os.devnull, order["stdout"], order["stderr"])):
            opened = os.open(path, os.O_RDONLY if fd == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(opened, fd)
            os.close(opened)
        os.environ.clear()
        os.environ.update(order["env"])
        os.chdir(order["cwd"])
        if "model" in order:
            sys.exit(build_model(order["model"]))
        from tests.process.launcher import launch

        launch(order["origin"], order["argv"], order.get("sabotage"))

    def _say(self, what: dict[str, Any]) -> None:
        os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    import_all()
    Zygote().serve()
