"""`python -m bot train-lora` from the command line to the file, and how its faults are told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bot.__main__ import main
from bot.settings import Settings
from tests.training.lora_examples import build_model, tensors_of, write_pictures


@pytest.fixture(autouse=True)
def _fresh_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)


def test_the_command_trains_tells_its_progress_and_shows_the_style_to_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_model(tmp_path / "data" / "models" / "tiny")
    write_pictures(tmp_path / "pictures")
    arguments = "train-lora --model tiny --pictures pictures --out soft.safetensors --rank 2 --steps 2 --batch-size 2"
    code = main([*arguments.split(), "--resolution", "64", "--target", "attention", "--log-every", "1", "--threads", "1"])

    printed = capsys.readouterr().out
    assert code == 0
    assert tensors_of(tmp_path / "soft.safetensors")
    assert "6 pictures; an epoch has 4 steps; sizes 48×80: 3, 64×64: 3" in printed
    assert "step 2 of 2: loss " in printed
    assert "Done: soft.safetensors." in printed
    assert 'title = "Soft"' in printed
    assert f'file = "{tmp_path / "soft.safetensors"}"' in printed


@pytest.mark.parametrize(
    ("change", "code", "sentence"),
    [
        ({"--pictures": "nowhere"}, 73, "The folder nowhere does not exist"),
        ({"--model": "nope"}, 66, "There is no model 'nope'"),
        ({"--rank": "0"}, 2, "start at 1"),
        ({"--out": "nowhere/a.safetensors"}, 73, "nowhere does not exist"),
    ],
)
def test_a_fault_is_one_line_with_a_cure(
    change: dict[str, str], code: int, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(tmp_path / "pictures")
    given = {"--model": "mini", "--pictures": "pictures", "--out": "a.safetensors"} | change

    assert main(["train-lora", *(word for pair in given.items() for word in pair)]) == code
    told = capsys.readouterr().err
    assert sentence in told
    assert told.startswith("pastel: ")
    assert told.count("\n") == 1
