"""When the generator measures the machine: in pauses, never while somebody waits, and only what is not known."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from pathlib import Path

import pytest

from bot.domain.fairness import Share
from bot.inference.engine.step_times import SETTLED
from bot.inference.engine_settings import EngineSettings
from bot.inference.generator import DiffusersGenerator
from bot.inference.loading.pipelines import LoadedModel
from bot.inference.measuring.machine import measuring_key
from bot.inference.measuring.measurements import CURVE, PRECISION, Measurements
from bot.inference.measuring.step_probe import StepProbe
from tests.inference.conftest import make_generator, make_request
from tests.inference.engines import open_tiny_session
from tests.services.harness import until
from tests.tiny_sdxl import TinyModels

PAYS = {1: 0.04, 2: 0.05, 4: 0.07, 8: 0.11, 16: 0.19}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What is timed, in place of the clock; the generator does not wait for quiet."""
    sizes: list[int] = []

    def seconds(self: StepProbe, size: int) -> float:
        sizes.append(size)
        return PAYS[size]

    monkeypatch.setattr(StepProbe, "seconds", seconds)
    monkeypatch.setattr("bot.inference.generator.QUIET_SECONDS", 0.01)
    return sizes


def generator_with(models: TinyModels, path: Path | None, **settings: object) -> DiffusersGenerator:
    return make_generator(models, engine=EngineSettings(measurements=path, **settings))


async def test_the_first_pause_tells_how_many_pictures_share_a_step(models, tmp_path, calls):
    path = tmp_path / "measurements.json"
    generator = generator_with(models, path)
    try:
        await generator.load()
        await until(lambda: generator.batch == 16)
        await until(path.exists)
    finally:
        await generator.close()

    assert generator.speed is None  # closed
    assert [entry["kind"] for entry in json.loads(path.read_text())["measurements"]] == [CURVE]


async def test_the_next_start_takes_what_was_kept_and_measures_nothing(models, tmp_path, calls):
    path, taken = tmp_path / "measurements.json", []
    for _ in range(2):
        generator = generator_with(models, path)
        try:
            await generator.load()
            first = generator.batch
            await until(lambda generator=generator: generator.batch == 16)
            await until(path.exists)
        finally:
            await generator.close()
        taken.append(len(calls))

    assert first == 16
    assert taken[0] == taken[1] > 0


async def test_nothing_is_measured_while_pictures_are_drawn_or_wanted(models, tmp_path, calls, monkeypatch):
    generator = generator_with(models, tmp_path / "measurements.json")
    monkeypatch.setattr("bot.inference.generator.QUIET_SECONDS", 0.2)
    try:
        await generator.load()
        for _ in range(5):
            await generator.generate(make_request(), init_image=None, share=Share(1), on_progress=lambda _: None)
            assert calls == []
        await until(lambda: bool(calls))
    finally:
        await generator.close()


async def test_a_request_that_comes_while_measuring_waits_for_one_call_only(models, tmp_path, calls, monkeypatch):
    generator = generator_with(models, tmp_path / "measurements.json")
    under_way, go_on = threading.Event(), threading.Event()
    measured = StepProbe.seconds

    def seconds(self: StepProbe, size: int) -> float:
        if len(calls) == 20:
            under_way.set()
            go_on.wait(60)
        return measured(self, size)

    monkeypatch.setattr(StepProbe, "seconds", seconds)
    begun: list[int] = []
    try:
        await generator.load()
        await asyncio.to_thread(under_way.wait, 60)
        drawing = asyncio.create_task(
            generator.generate(make_request(), init_image=None, share=Share(1), on_progress=lambda _: begun.append(len(calls)))
        )
        await asyncio.sleep(0.05)
        go_on.set()
        await drawing
        await until(lambda: generator.batch == 16)
    finally:
        go_on.set()
        await generator.close()

    assert begun[0] == 21
    assert len(calls) > 21


async def test_what_the_operator_says_stands_whatever_is_measured(models, tmp_path, calls):
    generator = generator_with(models, tmp_path / "measurements.json", batch=3)
    try:
        await generator.load()
        await until(lambda: generator.speed is not None)
        assert generator.batch == 3
    finally:
        await generator.close()


async def test_where_every_call_is_filled_up_nothing_larger_is_tried(models, tmp_path, calls):
    generator = generator_with(models, tmp_path / "measurements.json", batch=4, reproducible=True)
    try:
        await generator.load()
        await until(lambda: generator.speed is not None)
    finally:
        await generator.close()

    assert max(calls) == 4


async def test_a_call_that_breaks_ends_the_measuring_and_not_the_generator(models, tmp_path, calls, monkeypatch, caplog):
    def broken(self: StepProbe, size: int) -> float:
        calls.append(size)
        raise RuntimeError("no kernel for this")

    monkeypatch.setattr(StepProbe, "seconds", broken)
    generator = generator_with(models, tmp_path / "measurements.json")
    try:
        await generator.load()
        await until(lambda: "no kernel for this" in caplog.text)
        result = await generator.generate(make_request(), init_image=None, share=Share(1), on_progress=lambda _: None)
    finally:
        await generator.close()

    assert result.images
    assert calls == [1]


def test_until_then_the_last_steps_of_single_pictures_tell_how_quick_they_are(models):
    session = open_tiny_session(models, curve=None)
    size = session.model.profile.size(None)
    area = size.width * size.height // session.model.text2img.vae_scale_factor**2
    assert session.speed is None
    for _ in range(SETTLED):
        session.engine.times.add(2, area, 0.25)
    speed = session.speed
    session.close(RuntimeError("the test is over"))

    assert speed is not None
    assert speed.rate(1) == pytest.approx(size.width * size.height / 1e6 / 0.25)


async def test_without_a_file_nothing_is_measured(models, calls):
    generator = generator_with(models, None)
    try:
        await generator.load()
        await asyncio.sleep(0.1)
        assert (generator.batch, generator.speed, calls) == (1, None, [])
    finally:
        await generator.close()


def test_measuring_changes_nothing_that_is_drawn(models, tmp_path):
    async def drawn(path: Path | None) -> bytes:
        generator = generator_with(models, path, batch=1)
        try:
            await generator.load()
            if path is not None:
                await until(lambda: generator.speed is not None, seconds=120)
            result = await generator.generate(make_request(), init_image=None, share=Share(1), on_progress=lambda _: None)
            return result.images[0].data
        finally:
            await generator.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bot.inference.generator.QUIET_SECONDS", 0.0)
        patch.setattr("bot.inference.session.SIZES", (1, 2))
        assert asyncio.run(drawn(tmp_path / "measurements.json")) == asyncio.run(drawn(None))


def test_a_real_call_is_timed_and_the_key_names_what_it_depends_on(models, tmp_path):
    session = open_tiny_session(models)
    model: LoadedModel = session.model
    took = StepProbe(model, width=64, height=64).seconds(2)
    key = measuring_key(model, mode="eager")
    session.close(RuntimeError())

    assert took is not None
    assert took > 0
    assert key["device"].startswith("CPU, ")
    assert "torch 2" in key["versions"]
    assert "animagine-xl" in key["model"]
    assert key["mode"] == "eager, float32"


def test_who_asks_has_it_measured_anew_and_kept(tmp_path, monkeypatch, capsys, calls):
    from bot.__main__ import main
    from bot.inference.random_models.tiny import build_tiny_sdxl
    from bot.settings import Settings

    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MODEL", "tiny-random")
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.chdir(tmp_path)
    build_tiny_sdxl(tmp_path / "data" / "models" / "tiny-random", seed=0)

    for _ in range(2):
        assert main(["bench", "--batch-curve"]) == 0
        assert "With MAX_BATCH=0, 16 pictures share a step." in capsys.readouterr().out

    [kept] = [one for one in Measurements(tmp_path / "data" / "measurements.json")._read() if one.kind == CURVE]
    assert {pictures: seconds for pictures, seconds in kept.value} == pytest.approx(PAYS)
    assert calls.count(16) > 10


def test_who_asks_has_the_precision_chosen_anew_and_kept(tmp_path, monkeypatch, capsys):
    from bot.__main__ import main
    from bot.inference.measuring import precision_measurement
    from bot.inference.random_models.tiny import build_tiny_sdxl
    from bot.settings import Settings

    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MODEL", "tiny-random")
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.chdir(tmp_path)
    build_tiny_sdxl(tmp_path / "data" / "models" / "tiny-random", seed=0)

    for gain, chosen in ((2.0, "bfloat16"), (1.0, "float32")):
        ticks = itertools.cycle((gain, 1.0))
        monkeypatch.setattr(precision_measurement, "timed", lambda _, ticks=ticks: next(ticks))
        assert main(["bench", "--precision"]) == 0
        assert f"Pictures are drawn in {chosen} from the next start on." in capsys.readouterr().out
        [kept] = Measurements(tmp_path / "data" / "measurements.json")._read()
        assert (kept.kind, kept.value) == (PRECISION, chosen)

    monkeypatch.setenv("PRECISION", "exact")
    assert main(["bench", "--precision"]) == 0
    assert "with it, in float32" in capsys.readouterr().out
