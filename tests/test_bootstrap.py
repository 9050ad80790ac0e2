"""The composition root: what a start checks and clears, and what it leaves behind."""

import os
import threading

import pytest

from bot.bootstrap import open_application
from bot.domain.profile import Catalog
from bot.errors import FolderError, ModelError
from bot.ground import default_model, open_ground
from bot.settings import Settings


@pytest.fixture
def settings(monkeypatch, tmp_path) -> Settings:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MODEL", "tiny-random")
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.chdir(tmp_path)
    return Settings.load(need_token=False)


async def test_a_start_removes_pictures_that_a_crash_left_without_a_job(settings):
    async with open_ground(settings) as ground:
        orphan = await ground.images.save("0123456789abcdef", 1, 0, b"png")

    async with open_ground(settings) as ground:
        assert not (settings.data_dir / "images" / orphan).exists()


async def test_an_application_that_never_logs_in_leaves_no_thread_behind(settings):
    before = set(threading.enumerate())

    async with open_application(settings) as app:
        assert await app.ground.database.answers()
        assert not await app.works.background.draws()

    left = [thread for thread in threading.enumerate() if thread not in before and not thread.name.startswith("asyncio")]
    for thread in left:
        thread.join(5)
    assert [thread.name for thread in left if thread.is_alive()] == []


async def test_a_second_application_on_the_same_folder_is_refused(settings):
    async with open_ground(settings):
        with pytest.raises(FolderError, match="Another Pastel"):
            async with open_ground(settings):
                pass


async def test_nobody_else_on_the_machine_reads_what_is_stored(settings):
    """New files, and those that an earlier version left readable."""
    before = os.umask(0o022)
    try:
        async with open_ground(settings) as ground:
            await ground.images.save("0123456789abcdef", 1, 0, b"a picture")
        images = settings.data_dir / "images"
        for path in (settings.data_dir / "pastel.db", images):
            path.chmod(0o755)
        async with open_ground(settings) as ground:
            stored = [settings.data_dir / "pastel.db", settings.data_dir / "pastel.db-wal", images, *images.rglob("*")]
            assert {path: path.stat().st_mode & 0o077 for path in stored} == dict.fromkeys(stored, 0)
    finally:
        os.umask(before)


async def test_state_may_lie_apart_from_the_models(settings, tmp_path):
    async with open_ground(settings, state_dir=tmp_path / "demo") as ground:
        assert ground.database.path == tmp_path / "demo" / "pastel.db"
        assert ground.profile.source.folder.is_dir()

    assert not (settings.data_dir / "pastel.db").exists()


async def test_missing_weights_end_the_start_before_anything_is_opened(settings, tmp_path):
    (settings.data_dir / "profiles").mkdir(parents=True)
    (settings.data_dir / "profiles" / "tiny-random.toml").write_text(
        'title = "x"\nfamily = "x"\nnum_inference_steps = 2\nguidance_scale = 5.0\ndefault_size = "square"\n'
        'unclassified = "nothing to see"\n'
        '[source]\nfile = "nowhere.safetensors"\n[licence]\nname = "MIT"\n[sizes]\nsquare = [64, 64]\n'
    )

    with pytest.raises(ModelError, match=r"nowhere\.safetensors"):
        async with open_ground(settings):
            pass
    assert not (settings.data_dir / "pastel.db").exists()


def test_without_the_small_model_random_weights_show_the_way(monkeypatch):
    monkeypatch.setattr("bot.ground.cuda_device_count", lambda: 0)

    assert default_model(Catalog()) == "tiny-random"


def test_a_gpu_means_the_seed_model(monkeypatch):
    monkeypatch.setattr("bot.ground.cuda_device_count", lambda: 1)

    assert default_model(Catalog()) == "animagine-xl"
