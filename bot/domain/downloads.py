"""Files that must come from the model hub before something can be drawn."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch

MEGABYTE = 1_000_000  # as the hub counts
WEIGHTS = ".safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """What is wanted of a repo: files whose paths match one of `patterns` (`*` matches slashes too).

    `title` is what people are told: the title of the style or the model, or the classifier's repo. `variant` is preferred over
    plain weights in each folder that has it.
    """

    title: str
    repo: str
    revision: str | None = None
    patterns: tuple[str, ...]
    variant: str | None = None

    def chosen(self, names: list[str]) -> list[str]:
        """Those of a repo's files that are wanted."""
        matching = [name for name in names if any(fnmatch(name, pattern) for pattern in self.patterns)]
        weights = [name for name in matching if name.endswith(WEIGHTS)]
        left_out = {name for name in weights if name not in self._preferred(weights, name)}
        return [name for name in matching if name not in left_out]

    def _preferred(self, weights: list[str], name: str) -> list[str]:
        """The weights of the file's folder that are loaded."""
        if len(self.patterns) == 1:  # a file by its name
            return weights
        beside = [other for other in weights if _folder(other) == _folder(name)]
        of_variant = [other for other in beside if self.variant is not None and f".{self.variant}" in _stem(other)]
        return of_variant or [other for other in beside if "." not in _stem(other)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """How far a download is, in bytes; `total` is None where the hub does not say."""

    title: str
    done: int = 0
    total: int | None = None


class DownloadError(Exception):
    """Why files could not be had, as the end of a sentence that starts with what they are for, without a full stop.

    `cure` is what whoever hosts the bot can do.
    """

    def __init__(self, fault: str, cure: str = "") -> None:
        super().__init__(fault)
        self.fault = fault
        self.cure = cure


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _stem(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(WEIGHTS)
