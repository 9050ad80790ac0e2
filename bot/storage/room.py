"""How much the disk still takes."""

from __future__ import annotations

import shutil
from pathlib import Path


def free_bytes(folder: Path) -> int:
    """What this process may still write in `folder`, which need not be there yet."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(there).free


def mebibytes(size: int) -> str:
    """For a sentence."""
    return f"{size / 2**20:,.0f}"
