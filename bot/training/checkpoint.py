"""Training state on disk: written to a second file and renamed, so that a kill at any moment leaves a whole file."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import torch


def save_state(path: Path, state: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load_state(path: Path) -> dict[str, Any] | None:
    """Returns the state; None when there is none yet. Only tensors and plain values are read, never pickled code."""
    if not path.exists():
        return None
    return torch.load(path, map_location="cpu", weights_only=True)


class LossLog:
    """A CSV of mean losses; rows past the step that training resumes from are dropped."""

    def __init__(self, path: Path, resumed_at: int) -> None:
        self._path = path
        rows = [row for row in read_log(path) if row[0] <= resumed_at]
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("step", "loss", "samples_per_second"))
            writer.writerows(rows)

    def add(self, step: int, loss: float, rate: float) -> None:
        with self._path.open("a", newline="") as file:
            csv.writer(file).writerow((step, f"{loss:.5f}", f"{rate:.2f}"))


def read_log(path: Path) -> list[tuple[int, float, float]]:
    """Returns steps, losses, samples a second; nothing when there is no log."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [(int(row["step"]), float(row["loss"]), float(row["samples_per_second"])) for row in csv.DictReader(file)]
