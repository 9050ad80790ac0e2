"""How much the disk still takes."""

from __future__ import annotations

import shutil
from pathlib import Path


def free_bytes(folder: Path) -> int:
    """What this process may still write there."""
    return shutil.disk_usage(folder).free


def mebibytes(size: int) -> str:
    """For a sentence."""
    return f"{size / 2**20:,.0f}"
