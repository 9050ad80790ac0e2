"""Reads settings from `.env` or from `docker run --env-file`: the same value either way, or one sentence.

Docker passes everything after the `=`: quotes, a comment, and nothing at all as an empty variable.
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

FREE_TEXT = ("data_dir",)  # a path may contain a #
# Variables that libraries read from the environment only: the model hub's, and those about proxies.
OF_LIBRARIES = ("HF_TOKEN", "HF_HOME", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


class Unclear(str):
    """A value that is ambiguous; the text says what to do, and never contains the value."""

    __slots__ = ()


class Environment(EnvSettingsSource):
    """The environment; its values are read like those in `.env`, and an empty one counts as not set."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the value, its key, and whether it is JSON; a value of None: ask the next source."""
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
    """Puts the file's variables for libraries into the environment, as Docker does; existing ones win.

    Call before they are loaded, since some read them once. Raises OSError, UnicodeDecodeError.
    """
    said = dotenv_values(path) if path.is_file() else {}
    for name in OF_LIBRARIES:
        if (value := said.get(name)) and name.lower() not in os.environ:
            os.environ.setdefault(name, value)


def unreadable_lines(path: Path) -> list[str]:
    """Returns a sentence for each line of the file that is no setting. Raises OSError, UnicodeDecodeError."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as file:
        broken = [line.original for line in parse_stream(file) if line.error]
    numbers = [place.line + _blank_lines(place.string) for place in broken]
    return [f"Line {number} of {path} is no setting. Write NAME=value, with quotes at both ends or none." for number in numbers]


def _blank_lines(text: str) -> int:
    return len(text[: len(text) - len(text.lstrip())].splitlines())
