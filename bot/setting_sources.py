"""What a setting says, read from `.env` by us or handed over by `docker run --env-file`: the same, or one sentence.

Docker hands over all that stands behind the `=`: quotes, a comment, and nothing at all as an empty variable.
"""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

FREE_TEXT = ("data_dir",)  # a path may hold a # of its own
# What libraries read from the environment alone: the model hub's, and whatever speaks through a proxy.
OF_LIBRARIES = ("HF_TOKEN", "HF_HOME", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


class Unclear(str):
    """A value that cannot be taken as it stands; the text says what to do, and never holds the value."""

    __slots__ = ()


class Environment(EnvSettingsSource):
    """The environment; its values are read as those in `.env`, and one that says nothing counts as not set."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The value, its key, and whether it is JSON; None where the next source is to be asked."""
        value, key, is_complex = super().get_field_value(field, field_name)
        if isinstance(value, str):
            value = _as_in_a_file(value, may_hold_hash=field_name in FREE_TEXT) or None
        return value, key, is_complex


def _as_in_a_file(value: str, *, may_hold_hash: bool) -> str:
    if len(value.splitlines()) > 1:
        return value
    if "${" in value:
        return Unclear("has a ${...} in it, which Docker does not fill in. Write the value itself")
    line = next(parse_stream(io.StringIO(f"NAME={value}")))
    if line.error:
        return Unclear("has quotes that do not enclose all of it. Close them, or leave them out")
    if may_hold_hash and value.lstrip()[:1] not in {"'", '"'} and re.search(r"\S\s+#", value):
        return Unclear("has a # behind a space. Put a comment on a line of its own, and a path with a # in quotes")
    return (line.value or "").strip()


def hand_over(path: Path) -> None:
    """Put what the file says to libraries into the environment, as Docker does; what stands there already wins.

    Before they are loaded, since some look once. Raises OSError, UnicodeDecodeError.
    """
    said = dotenv_values(path) if path.is_file() else {}
    for name in OF_LIBRARIES:
        if (value := said.get(name)) and name.lower() not in os.environ:
            os.environ.setdefault(name, value)


def unreadable_lines(path: Path) -> list[str]:
    """A sentence for each line of the file that is no setting. Raises OSError, UnicodeDecodeError."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as file:
        broken = [line.original for line in parse_stream(file) if line.error]
    numbers = [place.line + _blank_lines(place.string) for place in broken]
    return [f"Line {number} of {path} is no setting. Write NAME=value, with quotes at both ends or none." for number in numbers]


def _blank_lines(text: str) -> int:
    return len(text[: len(text) - len(text.lstrip())].splitlines())
