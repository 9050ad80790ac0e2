"""`python -m bot bench` from end to end with a tiny SDXL. No duration is asserted: the machine may be busy."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from bot.__main__ import main
from bot.bench.options import BenchOptions
from bot.bench.plot import COLOURS
from bot.bench.setup import open_field
from bot.bench.workload import Workload
from bot.domain.fairness import Share
from bot.settings import Settings
from tests.plots import HAS_PLOTS, pixels_of

LANES = {"stock", "batched", "engine"}


@pytest.fixture(autouse=True)
def fresh_folder(monkeypatch, tmp_path):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.setenv("MAX_BATCH", "3")
    monkeypatch.chdir(tmp_path)


@pytest.mark.timeout(600)  # 20 s of a core, and the machine may have little of one to spare
def test_a_bench_prints_its_tables_and_leaves_json_and_a_plot(tmp_path, capsys):
    code = main(["bench", "--random-weights", "tiny", "--quick", "--steps", "3", "--members", "1,2", "--seconds", "0.1"])

    printed = capsys.readouterr().out
    assert code == 0
    assert "random-sdxl-tiny on CPU" in printed
    assert "too short for figures" in printed
    folder = tmp_path / "data" / "bench"
    values = json.loads((folder / "random-sdxl-tiny.json").read_text())
    assert [one["members"] for one in values["throughput"]] == [1, 2]
    assert all(set(one["lanes"]) == LANES for one in values["throughput"] + values["latency"])
    assert [one["requests"] for one in values["throughput"] + values["latency"]] == [3, 3, 4]
    assert [one["pictures"] for one in values["step_times"]] == [1, 2, 4]
    assert [one["company"] for one in values["cancellation"]] == [0, 2]
    assert set(values["strain"]) == LANES
    assert values["setting"]["batch"] == 3
    assert values["setting"]["steps"] == [3, 2, 5]
    assert values["mlperf"] is None
    if HAS_PLOTS:
        assert pixels_of(COLOURS["engine"], folder / "random-sdxl-tiny.png") > 1000


async def test_stock_and_engine_draw_the_same_picture_so_that_both_do_the_same_work():
    async with open_field(Settings(), BenchOptions(random_weights="tiny")) as opened:
        field = opened.field
        request = Workload.mixed(field.profile, 3).requests(1, seed=1)[0]
        [stock] = field.stock.draw([request])
        result = await field.generator.generate(request, init_image=None, share=Share(1), on_progress=lambda _: None)

    with Image.open(io.BytesIO(result.images[0].data)) as engine:
        assert (np.asarray(stock) == np.asarray(engine.convert("RGB"))).all()


async def test_a_static_batch_draws_what_each_request_asked_for():
    async with open_field(Settings(), BenchOptions(random_weights="tiny")) as opened:
        stock = opened.field.stock
        requests = [one for one in Workload.mixed(opened.field.profile, 3).requests(6, seed=1) if one.num_inference_steps == 3]
        together = stock.draw(requests)
        alone = [stock.draw([request])[0] for request in requests]

    assert len(together) == 2
    for one, other in zip(together, alone, strict=True):
        assert np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).mean() < 1  # rounding of the batch
    assert not (np.asarray(together[0]) == np.asarray(together[1])).all()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--members", "0"], 2, "`--members` must be numbers"),
        (["--steps", "61"], 2, "`--steps` must be between 1 and 60"),
        (["--batch-curve", "--precision"], 2, "measure different things; give one of them"),
        (["--precision", "--random-weights"], 2, "leave `--random-weights` out"),
        (["--model", "nope"], 66, "There is no model profile called 'nope'"),
        (["--random-weights"], 66, "needs a GPU"),
    ],
)
def test_what_cannot_be_measured_is_told_in_one_line(arguments, code, sentence, capsys):
    assert main(["bench", *arguments]) == code
    assert sentence in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_measured(tmp_path, capsys):
    (tmp_path / "file").write_text("")

    assert main(["bench", "--out", str(tmp_path / "file" / "bench")]) == 73
    assert "Give --out another one" in capsys.readouterr().err
