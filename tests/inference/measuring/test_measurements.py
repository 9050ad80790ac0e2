"""The file of measured values: what is kept, what is found again, and what a damaged file does."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from bot.domain.batch_curve import BatchCurve
from bot.inference.measuring.measurements import CURVE, MOST, Measurements, curve_value, kept_curve

KEY = {"device": "H200", "driver": "570", "model": "animagine-xl", "mode": "eager", "versions": "torch 2.13"}
SLOW = BatchCurve(((1, 0.31), (2, 0.61)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "measurements.json"


def test_a_value_is_found_again_by_its_key(path: Path) -> None:
    Measurements(path).keep(CURVE, KEY, curve_value(SLOW))

    assert kept_curve(Measurements(path).find(CURVE, KEY)) == SLOW
    assert Measurements(path).find("decode", KEY) is None
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("part", KEY)
def test_another_machine_driver_model_mode_or_version_is_measured_anew(path: Path, part: str) -> None:
    Measurements(path).keep(CURVE, KEY, curve_value(SLOW))

    assert Measurements(path).find(CURVE, KEY | {part: "another"}) is None


@pytest.mark.parametrize(
    ("part", "known"), [("driver", True), ("versions", True), ("device", False), ("model", False), ("mode", False)]
)
def test_until_then_a_value_of_another_driver_or_version_serves(path: Path, part: str, known: bool) -> None:
    Measurements(path).keep(CURVE, KEY, curve_value(SLOW))

    assert (Measurements(path).nearest(CURVE, KEY | {part: "another"}) is not None) == known


def test_a_newer_value_takes_the_place_of_the_older_one_and_leaves_the_others(path: Path) -> None:
    measurements = Measurements(path)
    measurements.keep("decode", KEY, 0.25)
    measurements.keep(CURVE, KEY, [[1, 9.0]])
    measurements.keep(CURVE, KEY, curve_value(SLOW))

    assert kept_curve(measurements.find(CURVE, KEY)) == SLOW
    assert measurements.find("decode", KEY).value == 0.25
    assert len(json.loads(path.read_text())["measurements"]) == 2


def test_the_file_does_not_grow_for_ever(path: Path) -> None:
    entry = {"kind": CURVE, "value": [[1, 1.0]], "measured_at": "2026-11-30T10:00:00+00:00"}
    path.parent.mkdir()
    path.write_text(json.dumps({"measurements": [entry | {"key": {"device": str(one)}} for one in range(MOST + 50)]}))

    Measurements(path).keep(CURVE, KEY, curve_value(SLOW))

    assert len(json.loads(path.read_text())["measurements"]) == MOST
    assert kept_curve(Measurements(path).find(CURVE, KEY)) == SLOW


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"measurements": 3}',
        '{"measurements": [1]}',
        '{"measurements": [{"kind": "batch_curve"}]}',
        '{"measurements": [{"kind": "batch_curve", "key": [1], "value": [], "measured_at": "2026-11-30"}]}',
        '{"measurements": [{"kind": "batch_curve", "key": {}, "value": [], "measured_at": "yesterday"}]}',
        "[" * 100_000,
        "\x00\xff",
    ],
)
def test_a_damaged_file_is_told_once_and_written_anew(path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_bytes(text.encode("latin-1"))

    with caplog.at_level(logging.WARNING):
        assert Measurements(path).find(CURVE, KEY) is None
    assert "cannot be used" in caplog.text
    Measurements(path).keep(CURVE, KEY, curve_value(SLOW))

    assert kept_curve(Measurements(path).find(CURVE, KEY)) == SLOW


@pytest.mark.parametrize("value", [None, [], [[1]], [["a", 1]], [[2, 1.0]], [[1, "NaN"]], {"1": 2}, [[1, -1]], [[1, 10**400]]])
def test_a_value_that_is_no_curve_counts_as_none(path: Path, value: object) -> None:
    Measurements(path).keep(CURVE, KEY, value)

    assert kept_curve(Measurements(path).find(CURVE, KEY)) is None


def test_a_folder_that_cannot_be_written_is_told_and_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")

    Measurements(tmp_path / "data" / "measurements.json").keep(CURVE, KEY, curve_value(SLOW))

    assert "cannot be written" in caplog.text


def test_without_a_file_nothing_is_kept() -> None:
    Measurements(None).keep(CURVE, KEY, curve_value(SLOW))

    assert Measurements(None).find(CURVE, KEY) is None
