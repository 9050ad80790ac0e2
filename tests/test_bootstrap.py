"""The composition root: what a start checks and clears, and what it leaves behind."""

import asyncio
import errno
import os
import threading
from pathlib import Path

import pytest

from bot.bootstrap import open_application, operator_rules
from bot.domain import prompt_rules
from bot.domain.audience import Audience
from bot.domain.operator_rules import OperatorRules
from bot.domain.privacy import KeepingTimes
from bot.domain.profile import Catalog
from bot.errors import DiskFullError, FolderError, ModelError
from bot.resources import default_model, open_resources
from bot.settings import Settings
from bot.storage.private_files import keep_private
from tests.services.harness import until


@pytest.fixture
def settings(monkeypatch, tmp_path) -> Settings:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MODEL", "tiny-random")
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.chdir(tmp_path)
    return Settings.load(need_token=False)


async def test_pictures_that_a_crash_left_without_a_job_are_removed_beside_everything_else(settings, monkeypatch):
    async with open_resources(settings) as resources:
        orphan = settings.data_dir / "images" / await resources.images.save("0123456789abcdef", 1, 0, b"png")

    async with open_application(settings) as app:
        assert orphan.exists(), "no start waits for a look at every file there is"
        sweeping = asyncio.create_task(app.runtime.services.sweeping.run())
        await until(lambda: not orphan.exists())
        app.runtime.services.sweeping.stop()
        await sweeping


async def test_an_application_that_never_logs_in_leaves_no_thread_behind(settings):
    before = set(threading.enumerate())

    async with open_application(settings) as app:
        assert await app.resources.database.answers()
        assert not await app.runtime.background.draws()

    left = [thread for thread in threading.enumerate() if thread not in before and not thread.name.startswith("asyncio")]
    for thread in left:
        thread.join(5)
    assert [thread.name for thread in left if thread.is_alive()] == []


async def test_the_word_lists_are_read_before_anybody_asks_for_anything(settings):
    prompt_rules._terms.cache_clear()

    async with open_application(settings):
        assert prompt_rules._terms.cache_info().currsize == 1


async def test_a_second_application_on_the_same_folder_is_refused(settings):
    async with open_resources(settings):
        with pytest.raises(FolderError, match="Another Pastel"):
            async with open_resources(settings):
                pass


@pytest.fixture
def careless(monkeypatch):
    """A process in which nothing keeps files private but our own care."""
    before = os.umask(0)
    monkeypatch.setattr(os, "umask", lambda mask: 0)
    yield
    monkeypatch.undo()
    os.umask(before)


async def stored_in(settings) -> dict[str, str]:
    """Everything that a bot has which stored something, with its mode. The models are no secret."""
    async with open_resources(settings) as resources:
        await resources.database.transaction(lambda connection: connection.execute("INSERT INTO meta VALUES ('a', 'b')"))
        await resources.images.save("0123456789abcdef", 1, 0, b"a picture")
        await resources.images.save_upload(b"a file", interaction_id=1)
        await resources.database.transaction(lambda connection: connection.execute("DELETE FROM meta"))
        return modes_in(settings.data_dir)


def modes_in(folder) -> dict[str, str]:
    found = [folder, *(path for path in folder.rglob("*") if "models" not in path.relative_to(folder).parts)]
    return {path.relative_to(folder).as_posix(): f"{path.stat().st_mode & 0o777:o}" for path in found}


@pytest.mark.usefixtures("careless")
async def test_nobody_else_on_the_machine_reads_what_is_stored(settings):
    modes = await stored_in(settings)

    assert {"pastel.db", "pastel.db-wal", "pastel.db-shm", "pastel.lock", "uploads"} <= {name.split("/")[-1] for name in modes}
    assert set(modes.values()) == {"600", "700"}


@pytest.mark.usefixtures("careless")
async def test_what_an_earlier_version_left_readable_is_tightened_at_the_start(settings):
    await stored_in(settings)
    paths = [settings.data_dir, *settings.data_dir.glob("pastel.*"), settings.data_dir / "images"]
    for path in paths:
        path.chmod(0o755 if path.is_dir() else 0o644)

    modes = await stored_in(settings)

    assert [mode for mode in modes.values() if mode not in {"600", "700"}] == []


def test_a_folder_that_everybody_shares_stays_as_it_is_and_the_operator_reads_why(tmp_path, caplog):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)

    keep_private(shared)

    assert shared.stat().st_mode & 0o7777 == 0o1777
    assert "set DATA_DIR to a folder of Pastel's own" in caplog.text


async def test_the_disk_is_measured_when_somebody_asks(settings):
    async with open_resources(settings) as resources:
        await resources.repositories.meta.set("a", "b")
        value = resources.metrics.registry.get_sample_value
        assert value("pastel_free_bytes") > 0
        assert value("pastel_database_bytes") == (settings.data_dir / "pastel.db").stat().st_size
        assert value("pastel_database_log_bytes") == (settings.data_dir / "pastel.db-wal").stat().st_size > 0


async def test_a_start_on_a_full_disk_says_so_and_not_that_rights_are_missing(settings, monkeypatch):
    def refuse(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)

    with pytest.raises(DiskFullError, match=r"^The disk that holds .*data is full\. Free some space"):
        async with open_resources(settings):
            pass


def test_what_the_settings_say_holds_for_all_servers(settings, monkeypatch):
    assert operator_rules(settings) == OperatorRules(min_free_bytes=500 * 1024 * 1024)
    for name, value in {
        "PICTURE_DAYS": "7",
        "PROMPT_DAYS": "30",
        "MIN_FREE_MB": "0",
        "BLOCKED_USERS": "5",
        "SERVED_SERVERS": "6,7",
    }.items():
        monkeypatch.setenv(name, value)

    assert operator_rules(Settings.load(need_token=False)) == OperatorRules(
        audience=Audience(served_servers=frozenset({6, 7}), blocked_users=frozenset({5})),
        keeping=KeepingTimes(picture_days=7, word_days=30),
    )


async def test_state_may_lie_apart_from_the_models(settings, tmp_path):
    async with open_resources(settings, state_dir=tmp_path / "demo") as resources:
        assert resources.database.path == tmp_path / "demo" / "pastel.db"
        assert resources.profile.source.folder.is_dir()

    assert not (settings.data_dir / "pastel.db").exists()


async def test_missing_weights_end_the_start_before_anything_is_opened(settings, tmp_path):
    (settings.data_dir / "profiles").mkdir(parents=True)
    (settings.data_dir / "profiles" / "tiny-random.toml").write_text(
        'title = "x"\nfamily = "x"\nnum_inference_steps = 2\nguidance_scale = 5.0\ndefault_size = "square"\n'
        'unclassified = "nothing to see"\n'
        '[source]\nfile = "nowhere.safetensors"\n[licence]\nname = "MIT"\n[sizes]\nsquare = [64, 64]\n'
    )

    with pytest.raises(ModelError, match=r"nowhere\.safetensors"):
        async with open_resources(settings):
            pass
    assert not (settings.data_dir / "pastel.db").exists()


def test_without_the_small_model_random_weights_show_the_way(monkeypatch):
    monkeypatch.setattr("bot.resources.cuda_device_count", lambda: 0)

    assert default_model(Catalog()) == "tiny-random"


def test_a_gpu_means_the_seed_model(monkeypatch):
    monkeypatch.setattr("bot.resources.cuda_device_count", lambda: 1)

    assert default_model(Catalog()) == "animagine-xl"
