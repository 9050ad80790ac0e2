"""`python -m bot bench --stages` from end to end on a CPU. No duration is asserted: the machine may be busy."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from bot.__main__ import main
from bot.bench.options import STAGE_MEMBERS, BenchOptions
from bot.bench.plot import COLOURS
from bot.bench.setup import TOKENIZERS, open_field, open_model, random_profile
from bot.bench.stages.course import NEEDS_CUDA, NO_TIME, LateError
from bot.bench.stages.pictures import PictureSetting, PictureStages
from bot.bench.stages.plot import INCHES, draw_stages
from bot.bench.stages.tables import COLUMNS, stage_lines
from bot.bench.torch_side.linear_shapes import LinearShape, linear_shapes
from bot.bench.torch_side.stages.device_stages import DeviceStages
from bot.bench.torch_side.stages.engine_stages import EngineStages
from bot.bench.torch_side.stages.stopwatch import Stopwatch
from bot.bench.torch_side.stages.unet_stages import ROWS, UnetStages
from bot.bench.workload import Workload
from bot.inference.engine_settings import EngineSettings
from bot.inference.loading.latent_preview import LatentPreview
from bot.inference.loading.pipelines import LoadedModel
from bot.inference.random_models.sdxl import SDXL_BASE, random_pipeline
from bot.inference.torch_import import import_libraries
from bot.plots import save_plot
from bot.settings import Settings
from tests.plots import HAS_PLOTS, needs_plots, pixels_of

CUDA_STAGES = {"graphs", "attention", "kernels", "fp8", "compiled", "graphed_company", "compiled_company"}


@pytest.fixture(autouse=True)
def fresh_folder(monkeypatch, tmp_path):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.chdir(tmp_path)


def by_stage(path: Path):
    found = {}
    for line in map(json.loads, path.read_text().splitlines()):
        found.setdefault(line["stage"], []).append(line)
    return found


@pytest.mark.timeout(600)  # 8 s of a core, and the machine may have little of one to spare
def test_every_stage_runs_on_a_cpu_or_says_that_it_needs_a_gpu(tmp_path, capsys):
    code = main(["bench", "--stages", "--random-weights", "tiny", "--quick", "--steps", "3", "--members", "1,2"])

    printed = capsys.readouterr().out
    assert code == 0
    lines = by_stage(tmp_path / "data" / "bench" / "random-sdxl-tiny.stages.jsonl")
    assert set(lines) == set(COLUMNS) | {"model", "end"}
    for name in COLUMNS:
        assert lines[name][-1].get("skipped" if name in CUDA_STAGES else "done") in {NEEDS_CUDA, True}, lines[name][-1]
    assert {line["rows"] for line in lines["eager"] if "rows" in line} == set(ROWS)
    assert [line["members"] for line in lines["company"] if "members" in line] == [1, 2]
    assert [line["same_picture"] for line in lines["alone"] if "same_picture" in line] == [True]
    assert all(line["decode_share"] > 0 for line in lines["company"] if "members" in line)
    assert "Members who ask anew when served" in printed
    assert f"fp8: {NEEDS_CUDA}" in printed
    if HAS_PLOTS:
        assert pixels_of(COLOURS["stock"], tmp_path / "data" / "bench" / "random-sdxl-tiny.stages.png") > 100


def test_without_time_nothing_is_measured_and_every_stage_says_so(tmp_path):
    assert main(["bench", "--stages", "--random-weights", "tiny", "--limit", "1"]) == 0

    lines = by_stage(tmp_path / "data" / "bench" / "random-sdxl-tiny.stages.jsonl")
    assert {lines[name][-1]["skipped"] for name in COLUMNS} == {NEEDS_CUDA, NO_TIME}


def test_matrix_products_in_8_bit_stand_beside_those_of_the_model():
    _, engine, _ = tiny_stages()
    device = DeviceStages(engine._model, Stopwatch(torch.device("cpu"), 1))

    line = device._compared(LinearShape(16, 32, 64, 5), rows=2)

    assert (line["m"], line["k"], line["n"], line["count"]) == (32, 32, 64, 5)
    assert min(line["us"], line["fp8_tensor_us"], line["fp8_row_us"]) > 0


def test_the_stages_ask_for_crowds_that_padded_calls_would_be_slow_for():
    assert sorted(STAGE_MEMBERS) == [1, 3, 4, 5, 8, 16]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--limit", "60"], "`--limit` is the time for `--stages`"),
        (["--stages", "--batch-curve"], "measure different things"),
        (["--stages", "--limit", "0.5"], "`--limit` must be between 1 and"),
    ],
)
def test_arguments_that_make_no_sense_are_told_in_one_line(arguments, sentence, capsys):
    assert main(["bench", *arguments]) == 2
    assert sentence in capsys.readouterr().err


def tiny_stages():
    model = open_model(Settings(), BenchOptions(random_weights="tiny"))
    stopwatch = Stopwatch(model.device, 1)
    setting = PictureSetting(workload=Workload.mixed(model.profile, 3), members=(1,), waves=1, turns=1, engine=EngineSettings())
    unet = UnetStages(model, stopwatch)
    engine = EngineStages(model, stopwatch, setting.workload.requests(1, seed=0)[0])
    return unet, engine, PictureStages(model, stopwatch, setting, unet, engine)


def test_pictures_that_take_too_long_are_late_and_leave_the_model_as_it_was():
    _, engine, pictures = tiny_stages()

    with pytest.raises(LateError):
        list(pictures.company(0.0))

    assert [line["switch"] for line in engine.loras(60.0)][-1] == "bare"


def test_the_stage_tries_types_and_layouts_on_copies_and_leaves_the_vae_as_it_is():
    _, engine, _ = tiny_stages()
    vae = engine._model.text2img.vae
    before = [(weights.data_ptr(), weights.dtype, weights.stride()) for weights in vae.parameters()]
    tried = [line["dtype"] for line in engine.decoding(60.0) if line["what"] == "vae"]

    assert set(tried) == {"float32", "bfloat16"}
    assert [(weights.data_ptr(), weights.dtype, weights.stride()) for weights in vae.parameters()] == before


def test_the_curve_of_the_stages_never_falls():
    unet, _, _ = tiny_stages()
    assert unet.curve() is None
    unet._seconds = {2: 1.0, 1: 0.6, 8: 2.0, 4: 2.5}

    assert unet.curve().points == ((1, 1.0), (2, 2.5), (4, 2.5))


async def test_compile_reaches_the_engine_that_is_measured(monkeypatch, tmp_path):
    monkeypatch.setenv("COMPILE", "true")
    monkeypatch.setenv("DEVICE", "auto")
    monkeypatch.setenv("MAX_BATCH", "2")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    async with open_field(Settings(), BenchOptions(random_weights="tiny")) as opened:
        assert opened.field.generator._engine.compile_cache == tmp_path / "data" / "compiled"


def test_the_matrix_products_of_sdxl_are_found_without_its_weights():
    import_libraries()
    pipeline = random_pipeline(SDXL_BASE, TOKENIZERS, device=torch.device("meta"), dtype=torch.float16)
    model = LoadedModel(profile=random_profile("base"), text2img=pipeline, img2img=None, preview=LatentPreview.for_sdxl())

    first, *_ = shapes = linear_shapes(model)

    # 60 blocks of 1,280 channels on 32 x 32 places; GEGLU widens them eightfold, which is most of a row's 6.76 TFLOPs
    assert (first.tokens, first.inputs, first.outputs, first.count) == (1024, 1280, 10240, 60)
    assert sum(shape.flops for shape in shapes) == pytest.approx(4.4e12, rel=0.05)


def test_a_run_that_was_cut_off_has_tables_of_what_there_is():
    lines = [
        {"stage": "eager", "at": 1, "rows": 2, "device_ms": 10.0, "host_ms": 9.0},
        {"stage": "eager", "at": 1, "rows": 4, "error": "does not fit into memory"},
        {"stage": "syncs", "at": 2, "step": "EulerDiscreteScheduler", "syncs": 3, "lines": {"a.py:7": 3}, "host_ms": 1.0},
        {"stage": "eager", "at": 3, "seconds": 1, "done": False, "late": "stopped after 90 s"},
        {"stage": "fp8", "at": 4, "skipped": "no time was left"},
    ]

    text = "\n".join(stage_lines(lines))

    assert "rows device_ms host_ms error 2 10.0 9.00 -" in " ".join(text.split())
    assert "does not fit into memory" in text
    assert "EulerDiscreteScheduler: a.py:7 (3)" in text
    assert "eager: stopped after 90 s" in text
    assert "fp8: no time was left" in text


@needs_plots
def test_a_plot_of_stages_shows_what_was_measured_and_is_empty_where_nothing_was(tmp_path):
    eager = [{"stage": "eager", "rows": rows, "device_ms": 10.0} for rows in (1, 2, 4)]

    for name, lines in (("some", eager), ("none", [])):
        assert save_plot(partial(draw_stages, lines=lines), tmp_path / f"{name}.png", inches=INCHES)

    assert pixels_of(COLOURS["stock"], tmp_path / "some.png") > 100
    assert pixels_of(COLOURS["stock"], tmp_path / "none.png") == 0
