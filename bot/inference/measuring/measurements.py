"""Keeps this machine's measurements in one file of the data folder, so that a start need not repeat them."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from bot.domain.batch_curve import BatchCurve

FILE_NAME = "measurements.json"
MOST = 200  # values; the oldest make room
LASTING = ("device", "model", "mode")  # of a key: a measurement under another driver or version is still a good guess
CURVE = "batch_curve"
PRECISION = "precision"
GRAPHS = "graphs"

logger = logging.getLogger(__name__)

Key = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One measured value: its meaning (`kind`), what it applies to (`key`), and when it was measured (UTC)."""

    kind: str
    key: Key
    value: Any
    measured_at: datetime


class Measurements:
    """The file. `path` None keeps nothing. Reading and writing block; a damaged file counts as empty, and one that cannot be
    written is logged once.

    A value is anything that JSON has. Several processes may keep values in one file: each reads it anew before it replaces it,
    and if two write in the same moment, one value is lost and measured anew.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def find(self, kind: str, key: Key) -> Measurement | None:
        """Returns what was measured for exactly this key, else None."""
        return next((one for one in self._read() if one.kind == kind and one.key == key), None)

    def nearest(self, kind: str, key: Key) -> Measurement | None:
        """Returns the latest measurement for the same device, model and mode, under any driver and versions."""
        alike = [
            one for one in self._read() if one.kind == kind and all(one.key.get(name) == key.get(name) for name in LASTING)
        ]
        return max(alike, key=lambda one: one.measured_at, default=None)

    def keep(self, kind: str, key: Key, value: Any) -> None:
        """Store a value, replacing an older one with this key."""
        if self._path is None:
            return
        others = [one for one in self._read() if (one.kind, one.key) != (kind, key)]
        newest = sorted(others, key=lambda one: one.measured_at)[1 - MOST :]
        kept = [*newest, Measurement(kind=kind, key=key, value=value, measured_at=datetime.now(UTC))]
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _replace(self._path, json.dumps({"measurements": [_to_json(one) for one in kept]}, indent=2) + "\n")
        except OSError as error:
            logger.warning("%s cannot be written (%s); the next start measures again.", self._path, error.strerror)

    def _read(self) -> Sequence[Measurement]:
        if self._path is None:
            return ()
        try:
            entries = json.loads(self._path.read_text(encoding="utf-8"))["measurements"]
            return [_from_json(entry) for entry in entries]
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            logger.warning("%s cannot be used (%s); what it held is measured again.", self._path, type(error).__name__)
            return ()


def kept_curve(measurement: Measurement | None) -> BatchCurve | None:
    """Returns the curve that was kept; None also if the value is not a curve."""
    if measurement is None:
        return None
    try:
        return BatchCurve(tuple((int(pictures), float(seconds)) for pictures, seconds in measurement.value))
    except (TypeError, ValueError, OverflowError):
        return None


def curve_value(curve: BatchCurve) -> list[list[float]]:
    """Returns the curve as `Measurements.keep` takes it."""
    return [[pictures, seconds] for pictures, seconds in curve.points]


def _to_json(one: Measurement) -> dict[str, Any]:
    return {"kind": one.kind, "key": dict(one.key), "value": one.value, "measured_at": one.measured_at.isoformat()}


def _from_json(entry: Mapping[str, Any]) -> Measurement:
    key = cast("Mapping[object, object]", dict(entry["key"]))
    measured_at = datetime.fromisoformat(entry["measured_at"])
    return Measurement(
        kind=str(entry["kind"]),
        key={str(name): str(text) for name, text in key.items()},
        value=entry["value"],
        measured_at=measured_at if measured_at.tzinfo else measured_at.replace(tzinfo=UTC),
    )


def _replace(path: Path, text: str) -> None:
    """Replace the file's text. Raises OSError. A reader sees the old file or the new one, also after a crash."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
