"""The file that a test's bot begins with: empty, at the newest schema."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.storage.connection import connect_writer
from bot.storage.migrator import load_migrations


def begin_at(path: Path) -> Path:
    """Lay an empty database there, unless there is one; returns `path`. Running all migrations takes four times as long."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_empty())
    return path


@cache
def _empty() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "pastel.db"
        connect_writer(path, load_migrations()).close()
        return path.read_bytes()
