import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bot.errors import ModelError
from bot.inference.random_models.tiny import build_tiny_sdxl
from bot.training.loop import Schedule
from bot.training.mini.dataset import Bucket, draw_bucket
from bot.training.mini.evaluation import evaluate as command
from bot.training.mini.evaluation import sheets
from bot.training.mini.evaluation.classifier import ATTRIBUTES, ClassifierShape, Plan
from bot.training.mini.evaluation.evaluate import Options, evaluate, parse
from bot.training.mini.evaluation.questions import FORMS, NO_NEGATIVE
from bot.training.mini.evaluation.sampling import Order, Sampler, Settings, default_settings

BUCKET = Bucket(width=32, height=32, count=8)
PLAN = Plan(
    bucket=BUCKET,
    seed=1,
    batch_size=4,
    schedule=Schedule(steps=3, learning_rate=1e-3, warmup=1),
    shape=ClassifierShape(side=32, channels=(8, 8, 16), features=8),
)
SETTINGS = Settings(num_inference_steps=2, guidance_scale=3.0, negative_prompt="blurry", width=64, height=32)
ORDERS = [Order(prompt=f"1girl {i}", seed=i) for i in range(5)]
PROFILE = """
num_inference_steps = 1
guidance_scale = 2.0
negative_prompt = "blurry"
default_size = "square"
[sizes]
square = [64, 64]
"""


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    build_tiny_sdxl(folder, seed=1)
    return folder


@pytest.fixture(scope="module")
def options(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Options:
    """Of a state folder with drawn pictures."""
    root = tmp_path_factory.mktemp("state")
    draw_bucket(root / "pictures", BUCKET, PLAN.seed, 1)
    (root / "tiny.toml").write_text(PROFILE)
    return Options(state=root, model=model, profile=root / "tiny.toml", pictures=3, batch=2)


def run(options: Options) -> dict[str, Any]:
    return evaluate(options, PLAN, [BUCKET]).values()


def test_the_command_measures_a_model_and_writes_sheets(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"SEEDS": 2, "STEPS": (1, 2), "GUIDANCES": (1.0, 4.0)}.items():
        monkeypatch.setattr(sheets, name, value)
    wanted = replace(options, forms=2, sheet=tmp_path / "sheet.png", grids=tmp_path / "grids", out=tmp_path / "out.json")

    report = evaluate(wanted, PLAN, [BUCKET])

    values = json.loads((tmp_path / "out.json").read_text())
    assert values == report.values()
    assert set(values["attributes"]) == set(ATTRIBUTES)
    assert set(values["attributes"]["gender"]) == {"shown", "exact", "drawings", "rebuilt"}
    assert values["attributes"]["gender"]["drawings"]["asked"] == 2 * options.pictures
    assert [*values["forms"]] == [*FORMS, NO_NEGATIVE]
    assert all(distance >= 0 for distance in values["distances"].values())
    for name in ATTRIBUTES:
        assert name in report.text()
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.height > 64 + sheets.LINE
    assert {path.name for path in (tmp_path / "grids").iterdir()} == {"seeds.png", "guidance.png", "forms.png"}
    assert "the same picture to the last bit" in capsys.readouterr().out


def test_drawings_alone_need_no_model(options: Options) -> None:
    values = run(replace(options, model=Path("nowhere"), drawings_only=True))
    assert set(values["attributes"]["outfit"]) == {"drawings"}
    assert [*values["distances"]] == ["two sets of drawings"]


def test_two_runs_give_the_same_numbers_and_the_second_draws_nothing(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(options)
    monkeypatch.setattr(Sampler, "_draw", None)
    assert run(options) == first


def test_a_killed_drawing_goes_on_where_it_was(model: Path, tmp_path: Path) -> None:
    sampler = Sampler(model, SETTINGS, 2)
    whole = np.array(sampler.draw_kept(ORDERS, SETTINGS, tmp_path))
    (done,) = tmp_path.glob("*.done")
    done.write_text("2")
    np.lib.format.open_memmap(done.with_suffix(".npy"), mode="r+")[2:] = 0

    again = sampler.draw_kept(ORDERS, SETTINGS, tmp_path)

    assert whole.shape == (5, 32, 64, 3)
    assert np.array_equal(whole, again)
    assert np.array_equal(whole, sampler.draw(ORDERS, SETTINGS))


def test_other_orders_settings_and_models_are_kept_apart(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    build_tiny_sdxl(other, seed=2)
    for folder, orders, settings in (
        (model, ORDERS[:1], SETTINGS),
        (model, ORDERS[1:2], SETTINGS),
        (model, ORDERS[:1], replace(SETTINGS, negative_prompt=None)),
        (other, ORDERS[:1], SETTINGS),
    ):
        Sampler(folder, settings, 1).draw_kept(orders, settings, tmp_path / "kept")
    pictures = [np.load(path).tobytes() for path in (tmp_path / "kept").glob("*.npy")]
    assert len(set(pictures)) == 4


def test_a_picture_does_not_depend_on_its_batch(model: Path) -> None:
    one, all_at_once = (Sampler(model, SETTINGS, batch).draw(ORDERS, SETTINGS) for batch in (1, 5))
    assert np.abs(one.astype(int) - all_at_once).max() <= 1


def test_the_settings_are_the_shipped_profile_s() -> None:
    settings = default_settings(command.PROFILE)
    assert settings.num_inference_steps > 1
    assert "lowres" in str(settings.negative_prompt)
    assert settings.width % 8 == settings.height % 8 == 0


def test_a_missing_model_or_profile_is_said_in_one_sentence(options: Options, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Give --model"):
        run(replace(options, model=tmp_path))
    with pytest.raises(ModelError, match="Give --profile"):
        run(replace(options, profile=tmp_path / "none.toml"))


def test_the_command_line_ends_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["evaluate", "--state", str(tmp_path), "--drawings-only"])
    with pytest.raises(SystemExit) as end:
        command.main()
    assert end.value.code == 73
    assert capsys.readouterr().err.count("\n") == 1


def test_the_command_line_knows_every_option() -> None:
    given = parse(["--state", "s", "--steps", "7", "--guidance", "3", "--forms", "60", "--sheet", "a.png", "--drawings-only"])
    assert given == Options(state=Path("s"), steps=7, guidance=3.0, forms=60, sheet=Path("a.png"), drawings_only=True)
    assert parse(["--state", "s"]) == Options(state=Path("s"))
