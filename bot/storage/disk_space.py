"""How much the disk still takes."""

from __future__ import annotations

import shutil
from pathlib import Path


def free_bytes(folder: Path) -> int:
    """What this process may still write in `folder`, which need not be there yet."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(there).free


def mebibytes(size: int) -> str:
    """For a sentence; with tenths below 10, so that a small file is not 0."""
    return f"{size / 2**20:,.{0 if size >= 10 * 2**20 else 1}f}"
