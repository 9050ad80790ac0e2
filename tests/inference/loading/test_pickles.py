"""No pickle is opened, wherever it lies: opening one runs what it says."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from bot.domain.profile import ModelSource
from tests.inference.loading.test_model_files import TEXT, UNET, VAE, load, refusal
from tests.tiny_sdxl import TinyModels, copy_of, tiny_profile


class Canary:
    """Pickled, it creates a file as soon as somebody unpickles it."""

    def __init__(self, nest: Path) -> None:
        self.nest = nest

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.nest,)


@pytest.fixture
def folder(models: TinyModels, tmp_path: Path) -> Path:
    """A copy to put pickles into."""
    return copy_of(models.folder, tmp_path / "model")


def test_no_pickle_is_ever_opened(models: TinyModels, folder: Path, tmp_path: Path) -> None:
    nest = tmp_path / "canary-was-here"
    canary = pickle.dumps(Canary(nest))
    checkpoint = tmp_path / "model.ckpt"
    checkpoint.write_bytes(canary)
    for file in (UNET, VAE, TEXT):
        (folder / file).unlink()
        (folder / file).with_suffix(".bin").write_bytes(canary)

    refusal(tiny_profile(ModelSource(folder=folder)))
    assert "is a pickle file" in refusal(tiny_profile(ModelSource(file=checkpoint, config=models.folder)))
    assert "holds pickle files" in refusal(tiny_profile(ModelSource(file=models.file, config=folder)))
    assert not nest.exists()
    pickle.loads(canary)  # the canary does sing
    assert nest.exists()


def test_pickles_beside_sound_weights_are_left_alone(models: TinyModels, folder: Path, tmp_path: Path) -> None:
    nest = tmp_path / "canary-was-here"
    (folder / UNET).with_suffix(".bin").write_bytes(pickle.dumps(Canary(nest)))
    load(tiny_profile(ModelSource(folder=folder)))

    assert not nest.exists()
