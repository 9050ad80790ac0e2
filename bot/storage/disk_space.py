"""Tells how much space is free on the disk."""

from __future__ import annotations

import shutil
from pathlib import Path


def free_bytes(folder: Path) -> int:
    """Returns how many bytes this process may still write in `folder`, which need not exist yet."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(there).free


def mebibytes(size: int) -> str:
    """Returns mebibytes for a sentence; with tenths below 10, so that a small file is not 0."""
    return f"{size / 2**20:,.{0 if size >= 10 * 2**20 else 1}f}"
