"""What Docker makes of the Dockerfile, of .dockerignore and of an env file: in a folder, and without Docker.

The folder is the container's root: `/data` there is `root/data`. What needs the network, or changes this machine, is left out.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
USER = 10001
OWN_PATHS = re.compile(r"(?<![\w.-])/(pastel|data|venv|src|home)\b")
WHITESPACE = " \t\n\v\f\r"


def env_file(data: bytes) -> dict[str, str]:
    """The variables that `docker run --env-file` sets, as docker/cli reads them (pkg/kvfile): values as they stand.

    Raises ValueError where Docker says that it cannot read the file.
    """
    variables: dict[str, str] = {}
    for line in data.removeprefix(b"\xef\xbb\xbf").decode().split("\n"):
        entry = line.removesuffix("\r").lstrip()
        if not entry or entry.startswith("#"):
            continue
        name, equals, value = entry.partition("=")
        if not name or any(space in name for space in WHITESPACE):
            raise ValueError(f"variable {name!r} contains whitespaces")
        if equals:
            variables[name] = value
    return variables


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Each instruction of a Dockerfile with its arguments; continued lines are one."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, arguments = line.partition(" ")
        yield name, arguments.strip()


class Ignored:
    """What .dockerignore keeps out of the build; the last pattern that fits decides."""

    def __init__(self, text: str) -> None:
        self._patterns = [line for line in text.splitlines() if line and not line.startswith("#")]

    def __contains__(self, path: Path) -> bool:
        out = False
        for pattern in self._patterns:
            wanted = pattern.removeprefix("!")
            if any(_fits(wanted, part) for part in (path, *path.parents)):
                out = not pattern.startswith("!")
        return out


def _fits(pattern: str, path: Path) -> bool:
    if pattern.startswith("**/"):
        return fnmatch.fnmatch(path.name, pattern.removeprefix("**/"))
    own, wanted = path.parts, Path(pattern).parts
    return len(own) == len(wanted) and all(fnmatch.fnmatch(part, like) for part, like in zip(own, wanted, strict=True))


@dataclass
class Image:
    """The last stage of a build. `env` and the commands are the container's, with paths of this machine."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    folder: Path = Path()
    user: str = "root"
    health: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    stop_signal: str = "SIGTERM"

    def here(self, text: str) -> str:
        """`text` with the container's paths as paths of this machine."""
        return OWN_PATHS.sub(lambda found: str(self.root / found[1]), text)

    def environment(self, given: dict[str, str]) -> dict[str, str]:
        """What the process sees with `given` from an env file, which wins over the image."""
        home = {"PATH": os.environ["PATH"], "HOME": str(self.root / "home" / "pastel")}
        return home | self.env | given

    def becoming_its_user(self) -> list[str]:
        """What to put in front of a command so that the image's user runs it; nothing where this process is not root.

        That user may read whatever lies in the way to the interpreter, and write nothing but what is its own.
        """
        if os.geteuid() != 0 or shutil.which("setpriv") is None:
            return []
        read = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        return ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", *read]


def build(root: Path, stage: int = -1) -> Image:
    """Do what the Dockerfile's stage says; `root` must be readable by everybody."""
    image = Image(root)
    stages: list[list[tuple[str, str]]] = []
    for name, arguments in instructions((ROOT / "Dockerfile").read_text()):
        if name == "FROM":
            stages.append([])
        else:
            stages[-1].append((name, arguments))
    for name, arguments in stages[stage]:
        _STEPS[name](image, arguments)
    return image


def _copy(image: Image, arguments: str) -> None:
    *sources, target = shlex.split(arguments)
    into = Path(image.here(target)) if target.startswith("/") else image.folder / target
    if sources[0].startswith("--from="):
        into.symlink_to(Path(sys.prefix), target_is_directory=True)  # the interpreter of the tests is what pip installed
        return
    ignored = Ignored((ROOT / ".dockerignore").read_text())
    for source in sources:
        assert Path(source) not in ignored, f"{source} never reaches the build"
        if (ROOT / source).is_dir():
            _copy_folder(Path(source), into, ignored)
        else:
            into.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / source, into / source)


def _copy_folder(folder: Path, into: Path, ignored: Ignored) -> None:
    for found in (ROOT / folder).rglob("*"):
        path = found.relative_to(ROOT)
        if found.is_file() and path not in ignored:
            target = into / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, target)


def _run(image: Image, arguments: str) -> None:
    for command in arguments.split(" && "):
        words = shlex.split(image.here(command))
        if words[0] == "useradd":
            (image.root / "home" / "pastel").mkdir(parents=True)
        elif words[0] == "install":
            Path(words[-1]).mkdir()
        elif words[0] == "printf":
            subprocess.run(image.here(command), shell=True, check=True)
        else:
            assert "pip" in words[0] or "venv" in words, f"the test does not know how to do {command}"


def _env(image: Image, arguments: str) -> None:
    image.env |= dict(pair.split("=", 1) for pair in shlex.split(image.here(arguments)))


def _folder(image: Image, arguments: str) -> None:
    image.folder = Path(image.here(arguments))
    image.folder.mkdir(parents=True, exist_ok=True)


def _health(image: Image, arguments: str) -> None:
    image.health = json.loads(image.here(arguments.partition("CMD ")[2]))


def _user(image: Image, arguments: str) -> None:
    image.user = arguments


def _entrypoint(image: Image, arguments: str) -> None:
    image.entrypoint = json.loads(image.here(arguments))


def _command(image: Image, arguments: str) -> None:
    image.command = json.loads(arguments)


def _stop_signal(image: Image, arguments: str) -> None:
    image.stop_signal = arguments


def _is_there(image: Image, arguments: str) -> None:
    assert Path(image.here(arguments)).is_dir()


_STEPS = {
    "COPY": _copy, "RUN": _run, "ENV": _env, "WORKDIR": _folder, "HEALTHCHECK": _health, "USER": _user, "CMD": _command,
    "ENTRYPOINT": _entrypoint, "STOPSIGNAL": _stop_signal, "VOLUME": _is_there, "EXPOSE": lambda image, arguments: None,
}  # fmt: skip
