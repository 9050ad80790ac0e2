"""The whole bot with a model whose pictures are looked at: `draw` and `doctor` for real, with a tiny classifier."""

import threading
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from bot.__main__ import main
from bot.background import Background
from bot.bootstrap import open_application
from bot.errors import ModelError
from bot.inference.classifier.classifier import TransformersClassifier
from bot.inference.generator import DiffusersGenerator
from bot.settings import SHIPPED_DATA, Settings
from tests.inference.tiny_vit import build_vit

PROMPT = "1girl, green hair, beanie, night"
CLASSIFIER = """
[classifier]
folder = "judge"
ratings = { drawing = "general", neutral = "general", bare = "explicit" }
thresholds = { sensitive = 1.0, questionable = 1.0, explicit = 1.0 }
licence = { name = "MIT" }
"""


@pytest.fixture(autouse=True)
def judge(monkeypatch, tmp_path) -> Path:
    """The random model, with a classifier that is never quite sure; returns the classifier's folder."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MODEL", "tiny-random")
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.chdir(tmp_path)
    lines = (SHIPPED_DATA / "profiles" / "tiny-random.toml").read_text(encoding="utf-8").splitlines()
    profiles = tmp_path / "data" / "profiles"
    profiles.mkdir(parents=True)
    kept = "\n".join(line for line in lines if not line.startswith("unclassified"))
    (profiles / "tiny-random.toml").write_text(kept + CLASSIFIER, encoding="utf-8")
    return build_vit(tmp_path / "data" / "models" / "judge")


def move_away(judge: Path) -> None:
    judge.rename(judge.with_name("elsewhere"))


def test_a_picture_that_passes_is_drawn_and_the_classifiers_thread_ends(monkeypatch, tmp_path):
    monkeypatch.setattr("bot.inference.classifier.classifier.CLOSE_PATIENCE", 120.0)
    assert main(["draw", PROMPT, "--out", str(tmp_path / "a.png"), "--steps", "2"]) == 0

    with Image.open(tmp_path / "a.png") as picture:
        picture.load()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("pastel-classifier")] == []


def test_a_picture_that_cannot_be_checked_is_not_shown(judge, tmp_path, capsys):
    weights = load_file(judge / "model.safetensors")
    save_file(weights | {"classifier.bias": torch.full((3,), torch.nan)}, judge / "model.safetensors", {"format": "pt"})

    code = main(["draw", PROMPT, "--out", str(tmp_path / "a.png"), "--steps", "2"])

    printed = capsys.readouterr().err
    assert code == 2
    assert "pastel: I couldn't check what this shows (error" in printed
    assert printed.count("could not be checked [error") == 1
    assert PROMPT not in printed
    assert not (tmp_path / "a.png").exists()


async def test_a_missing_classifier_ends_the_start_before_anything_is_opened(judge, tmp_path):
    move_away(judge)

    with pytest.raises(ModelError, match=r"picture classifier .*judge cannot be used: it does not exist"):
        async with open_application(Settings.load(need_token=False)):
            pass
    assert not (tmp_path / "data" / "pastel.db").exists()


async def test_the_classifier_is_loaded_before_anything_that_draws(monkeypatch):
    order = []

    async def note(self):
        order.append(type(self).__name__)

    monkeypatch.setattr("bot.inference.classifier.classifier.TransformersClassifier.load", note)
    monkeypatch.setattr("bot.inference.generator.DiffusersGenerator.load", note)
    async with open_application(Settings.load(need_token=False)) as app:
        app.runtime.background.start()
        await app.runtime.background.stop()

    assert order == ["TransformersClassifier", "DiffusersGenerator"]


async def test_the_classifier_is_closed_when_nobody_can_ask_it_any_more(monkeypatch):
    order = []

    def note(part, method):
        whole = getattr(part, method)

        async def noted(self):
            order.append(part.__name__)
            await whole(self)

        monkeypatch.setattr(part, method, noted)

    note(Background, "stop")
    note(DiffusersGenerator, "close")
    note(TransformersClassifier, "close")

    async with open_application(Settings.load(need_token=False)):
        pass

    assert order[-1] == "TransformersClassifier"
    assert {"Background", "DiffusersGenerator"} <= set(order[:-1])


def test_doctor_says_whether_the_classifier_is_there(judge, capsys):
    main(["doctor"])
    assert f"ok    picture classifier: {judge} (MIT)\n" in capsys.readouterr().out

    move_away(judge)
    main(["doctor"])
    assert "FAIL  picture classifier: The picture classifier" in capsys.readouterr().out


def test_doctor_tells_what_the_first_start_will_download(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MODEL", "animagine-xl")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    main(["doctor"])

    line = "ok    picture classifier: AdamCodd/vit-base-nsfw-detector (Apache License 2.0); not here yet, the first start"
    assert line in capsys.readouterr().out
