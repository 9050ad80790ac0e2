"""Logging: one line an event, for people or for collectors; secrets never pass."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Literal

# Bot tokens, and interaction tokens as they stand in webhook URLs that libraries log on failures.
SECRETS = re.compile(r"[\w-]{20,}\.[\w-]{4,}\.[\w-]{20,}|(?<=/webhooks/)(\d+)/[\w-]{20,}|(?<=/interactions/)(\d+)/[\w-]{20,}")
QUIET = ("discord", "diffusers", "transformers", "huggingface_hub", "httpx", "httpx2", "PIL", "aiohttp.access", "asyncio")


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


def set_up_logging(level: str, style: Literal["text", "json"]) -> None:
    """Send everything to stderr. Libraries speak from WARNING on, unless DEBUG was asked for."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _JsonFormatter() if style == "json" else _TextFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "DEBUG" and name == "discord" else logging.WARNING)
    logging.captureWarnings(capture=True)
