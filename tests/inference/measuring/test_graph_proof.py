"""GRAPHS=auto: found out once for a device, driver and versions whether graphs give the same bits and are quicker, and kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bot.inference.measuring import graph_proof, machine
from bot.inference.measuring.graph_proof import CALLS, PASSES, ROUNDS
from bot.inference.measuring.measurements import GRAPHS
from tests.inference.denoising.test_graphs import CAPTURE_FAULT, opened
from tests.inference.fake_graphs import FakeGraphs
from tests.tiny_sdxl import TinyModels


class Timer:
    """In place of the clock: calls come by turns, eager first, and replayed ones are `gains` times as quick, one for a pass."""

    def __init__(self, *gains: float) -> None:
        self.calls = 0
        self._gains = gains

    def __call__(self, device: torch.device, work: Callable[[], object]) -> float:
        del device, work
        self.calls += 1
        return self._gains[(self.calls - 1) // (2 * ROUNDS) % len(self._gains)] if self.calls % 2 else 1.0


def never(device: torch.device, work: Callable[[], object]) -> float:
    raise AssertionError("nothing was to be measured")


def is_used(models: TinyModels, path: Path | None, backend: FakeGraphs | None = None) -> bool:
    with opened(models, backend or FakeGraphs(), graphs="auto", measurements=path) as session:
        return session.model.graphs is not None


@pytest.mark.parametrize(
    ("gains", "used"), [((1.031, 1.04), True), ((1.05, 1.029), False), ((1.029, 1.05), False), ((0.8, 0.8), False)]
)
def test_graphs_are_used_where_both_passes_show_3_percent_more_and_that_is_kept(
    models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gains: tuple[float, ...], used: bool
) -> None:
    path, timer = tmp_path / "measurements.json", Timer(*gains)
    monkeypatch.setattr(graph_proof, "timed", timer)
    assert is_used(models, path) is used
    [kept] = json.loads(path.read_text())["measurements"]
    assert (kept["kind"], kept["value"]) == (GRAPHS, {"same_bits": True, "gain": min(gains)})
    assert timer.calls == 2 * ROUNDS * PASSES

    monkeypatch.setattr(graph_proof, "timed", never)
    assert is_used(models, path) is used


@pytest.mark.parametrize("part", ["device", "driver", "model", "versions"])
def test_what_was_kept_for_another_driver_or_torch_is_found_out_anew(
    models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    path = tmp_path / "measurements.json"
    monkeypatch.setattr(graph_proof, "timed", Timer(1.5))
    assert is_used(models, path)
    text = json.loads(path.read_text())
    text["measurements"][0]["key"][part] += ", another"
    path.write_text(json.dumps(text))

    monkeypatch.setattr(graph_proof, "timed", Timer(0.9))
    assert not is_used(models, path)
    assert [one["value"]["gain"] for one in json.loads(path.read_text())["measurements"]] == [1.5, 0.9]


def test_the_key_names_driver_and_torch(models: TinyModels) -> None:
    with opened(models) as session:
        key = machine.measuring_key(session.model, mode=GRAPHS)

    assert "driver" in key
    assert f"torch {torch.__version__}" in key["versions"]


def test_graphs_with_other_bits_are_left_out_however_quick_they_are(
    models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, backend = tmp_path / "measurements.json", FakeGraphs(changed=1e-6)
    monkeypatch.setattr(graph_proof, "timed", Timer(2.0))

    assert not is_used(models, path, backend)
    assert json.loads(path.read_text())["measurements"][0]["value"]["same_bits"] is False
    assert all(graph.released for graph in backend.graphs)
    assert not is_used(models, path)


def test_where_nothing_can_be_captured_nothing_is_kept(models: TinyModels, tmp_path: Path) -> None:
    path = tmp_path / "measurements.json"

    assert not is_used(models, path, FakeGraphs(faults=[RuntimeError(CAPTURE_FAULT)]))
    assert not path.exists()


@pytest.mark.parametrize(
    "value", [None, 1.5, {"gain": 1.5}, {"same_bits": "yes", "gain": 2.0}, {"same_bits": True, "gain": "x"}]
)
def test_a_kept_value_that_says_nothing_is_found_out_anew(
    models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: object
) -> None:
    path, timer = tmp_path / "measurements.json", Timer(1.5)
    monkeypatch.setattr(graph_proof, "timed", timer)
    assert is_used(models, path)
    text = json.loads(path.read_text())
    text["measurements"][0]["value"] = value
    path.write_text(json.dumps(text))

    assert is_used(models, path)
    assert timer.calls == 2 * 2 * ROUNDS * PASSES


def test_several_calls_are_timed_together(monkeypatch: pytest.MonkeyPatch, models: TinyModels) -> None:
    backend, done = FakeGraphs(), list[int]()

    def timer(device: torch.device, work: Callable[[], object]) -> float:
        before = backend.replays
        work()
        done.append(backend.replays - before)
        return 1.5 if len(done) % 2 else 1.0

    monkeypatch.setattr(graph_proof, "timed", timer)
    assert is_used(models, None, backend)
    assert done == [0, CALLS] * ROUNDS * PASSES
