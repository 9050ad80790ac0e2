"""Sets up logging: one line an event, for people or for collectors, without secrets."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Literal

# Bot tokens; interaction tokens: base64 of "interaction:", or anything in their place in an address; and a proxy's user and
# password, which aiohttp's errors contain and discord.py logs.
SECRETS = re.compile(
    r"[\w-]{20,}\.[\w-]{4,}\.[\w-]{20,}|aW50ZXJhY3Rpb246[\w+/=-]+"
    r"|(?<=/webhooks/)(\d+)/[\w-]{20,}|(?<=/interactions/)(\d+)/[\w-]{20,}"
    r"|(?<=://)[^/\s]+(?=@)|(?<='Basic )[\w+/=-]+"
)
OURS = frozenset({"bot", "cogs"})
QUIET = (
    "discord",
    "diffusers",
    "transformers",
    "huggingface_hub",
    "httpx",
    "httpx2",
    "PIL",
    "aiohttp.access",
    "asyncio",
    "aiosqlite",
)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return SECRETS.sub("[secret]", super().format(record))


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": SECRETS.sub("[secret]", record.getMessage()),
        }
        if record.exc_info:
            entry["exception"] = SECRETS.sub("[secret]", self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)


class _WithoutLibraryChatter(logging.Filter):
    """Passes our own records, and those of libraries that cannot contain members' words.

    At DEBUG discord.py logs whole events and answers, aiosqlite every statement with its values and Pillow what pictures say
    about themselves. A filter, not levels of loggers, because some libraries set those themselves.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        family = record.name.partition(".")[0]
        return family in OURS or record.levelno >= (logging.INFO if family == "discord" else logging.WARNING)


def set_up_logging(level: str, style: Literal["text", "json"]) -> None:
    """Sends everything to stderr. Libraries log from WARNING on; discord.py from INFO where DEBUG was asked for."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _JsonFormatter() if style == "json" else _TextFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    )
    handler.addFilter(_WithoutLibraryChatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.INFO if level == "DEBUG" and name == "discord" else logging.WARNING)
    logging.captureWarnings(capture=True)
