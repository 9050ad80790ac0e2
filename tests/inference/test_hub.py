"""The first start with a network: weights come from the hub, once, and only those that are needed."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.domain.downloads import DownloadError, Transfer
from bot.domain.profile import ModelProfile, ModelSource, Style
from bot.errors import ModelError
from bot.inference import hub as inference_hub
from bot.inference.hub import HuggingFaceHub, fetch_model
from bot.inference.loading.model_files import check_weights
from bot.inference.loading.pipelines import load_model
from bot.inference.loras.loader import LoraLoader, UnusableStyleError
from tests.inference.fake_hub import FakeHub, fake_hub, point_at
from tests.tiny_sdxl import LORA_FILE, LORA_REPO, MODEL_REPO, TinyModels, copy_of, hub_folder, pastel_style, tiny_profile

PROFILE = tiny_profile(ModelSource(repo=MODEL_REPO))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, models: TinyModels, tmp_path: Path) -> Iterator[FakeHub]:
    """Serves the model with fp16 and plain weights and pickles, and the LoRA with a second file beside it."""
    model = copy_of(models.folder, tmp_path / "served")
    for file in hub_folder(models.cache_dir, MODEL_REPO).rglob("*.fp16.safetensors"):
        target = model / file.parent.name / file.name
        target.write_bytes(file.read_bytes())
        target.with_name(file.name.replace(".fp16.safetensors", ".bin")).write_bytes(b"never fetched")
    lora = copy_of(hub_folder(models.cache_dir, LORA_REPO), tmp_path / "served-lora")
    (lora / "pastel-anime-xl-latest.safetensors").write_bytes((lora / LORA_FILE).read_bytes())
    with fake_hub(monkeypatch) as server:
        server.repos = {MODEL_REPO: model, LORA_REPO: lora}
        yield server


def load(cache_dir: Path, profile: ModelProfile = PROFILE) -> Any:
    """As a start does: what is missing is fetched, then everything is read from the disk."""
    fetch_model(profile, cache_dir)
    return load_model(profile, device="cpu", cache_dir=cache_dir)


def fetch_style(hub: HuggingFaceHub, style: Style) -> list[Transfer]:
    """Fetches a style in a process of its own; returns what that reported."""
    transfers: list[Transfer] = []

    async def go() -> None:
        download = await hub.lacks(style)
        if download is not None:
            await hub.fetch(download, transfers.append)

    asyncio.run(go())
    return transfers


def test_only_the_variant_is_fetched_and_the_next_start_asks_nobody(hub: FakeHub, tmp_path: Path) -> None:
    check_weights(PROFILE, tmp_path / "hub")
    load(tmp_path / "hub")
    weights = [name for name in hub.downloads() if name.endswith((".safetensors", ".bin"))]
    assert len(weights) == 4
    assert all(name.endswith(".fp16.safetensors") for name in weights)

    hub.requests.clear()
    load(tmp_path / "hub")
    assert hub.requests == []


def test_reading_weights_asks_nobody_even_where_they_are_missing(hub: FakeHub, models: TinyModels, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not on this machine"):
        load_model(PROFILE, device="cpu", cache_dir=tmp_path)
    pipeline = load_model(PROFILE, device="cpu", cache_dir=models.cache_dir).text2img
    with pytest.raises(UnusableStyleError) as caught:
        LoraLoader(pipeline, cache_dir=tmp_path).activate([(pastel_style(), 1.0)])
    assert "is not on this machine" in caught.value.reason

    assert hub.requests == []


def test_without_that_variant_the_plain_safetensors_are_fetched(hub: FakeHub, tmp_path: Path) -> None:
    for file in hub.repos[MODEL_REPO].rglob("*.fp16.safetensors"):
        file.unlink()
    load(tmp_path / "hub")

    weights = [name for name in hub.downloads() if name.endswith((".safetensors", ".bin"))]
    assert sorted(set(weights)) == [
        "text_encoder/model.safetensors",
        "text_encoder_2/model.safetensors",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    ]


def test_a_download_that_was_interrupted_is_completed(hub: FakeHub, tmp_path: Path) -> None:
    load(tmp_path / "hub")
    unet = next((tmp_path / "hub").rglob("snapshots/*/unet/*.safetensors"))
    unet.resolve().unlink()
    unet.unlink()
    hub.requests.clear()
    load(tmp_path / "hub")

    assert [name for name in hub.downloads() if name.endswith(".safetensors")] == ["unet/" + unet.name]


def test_a_repo_that_does_not_exist_is_named_with_the_cure(hub: FakeHub, tmp_path: Path) -> None:
    hub.repos.clear()
    with pytest.raises(ModelError, match=r"Linaqruf/animagine-xl is not on the hub\. Check its name; .* HF_TOKEN") as caught:
        load(tmp_path / "hub")

    assert "\n" not in str(caught.value)


def test_no_network_is_named_with_the_cure(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(monkeypatch, "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda _: None)  # the hub's client tries six times, with pauses
    with pytest.raises(ModelError, match=r"could not be downloaded .* Check the network") as caught:
        load(tmp_path / "hub")

    assert "\n" not in str(caught.value)


def test_a_disk_without_room_for_the_files_is_named_with_the_cure(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_up(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fill_up)

    with pytest.raises(ModelError, match=r"does not fit on the disk\. Free some space, or set HF_HOME to a larger disk\.$"):
        load(tmp_path / "hub")


def test_a_lora_is_fetched_once_by_a_process_of_its_own_that_says_how_far_it_is(
    hub: FakeHub, models: TinyModels, tmp_path: Path
) -> None:
    style, store = pastel_style(), HuggingFaceHub(PROFILE, cache_dir=tmp_path)
    size = (hub.repos[LORA_REPO] / LORA_FILE).stat().st_size
    transfers = fetch_style(store, style)
    assert (transfers[-1].title, transfers[-1].done, transfers[-1].total) == (style.title, size, size)
    assert hub.downloads() == [LORA_FILE]

    assert fetch_style(store, style) == []
    pipeline = load_model(PROFILE, device="cpu", cache_dir=models.cache_dir).text2img
    assert LoraLoader(pipeline, cache_dir=tmp_path).activate([(style, 1.0)])
    assert hub.downloads() == [LORA_FILE]


def test_a_missing_lora_file_is_refused_with_what_the_hub_lists(hub: FakeHub, tmp_path: Path) -> None:
    store = HuggingFaceHub(PROFILE, cache_dir=tmp_path)
    with pytest.raises(
        DownloadError, match=r"has no file x\.safetensors; it has pastel-anime-xl-latest\.safetensors, pastel-anime"
    ):
        fetch_style(store, pastel_style(weight_name="x.safetensors"))

    hub.repos.clear()
    with pytest.raises(DownloadError, match="is not on the hub"):
        fetch_style(store, pastel_style(weight_name="y.safetensors"))


def test_a_hub_that_accepts_and_says_nothing_is_given_up_and_its_process_ended(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with silent_server() as address:
        point_at(monkeypatch, address)
        monkeypatch.setattr(inference_hub, "SILENCE", 1.0)
        with pytest.raises(DownloadError, match="the hub did not answer"):
            fetch_style(HuggingFaceHub(PROFILE, cache_dir=tmp_path), pastel_style())

    assert children() == set()


def test_a_download_that_is_stopped_ends_its_process_and_leaves_no_half_file(hub: FakeHub, tmp_path: Path) -> None:
    hub.pace = 0.2
    store, begun = HuggingFaceHub(PROFILE, cache_dir=tmp_path), asyncio.Event()

    async def go() -> None:
        download = await store.lacks(pastel_style())
        assert download is not None
        task = asyncio.create_task(store.fetch(download, lambda _: begun.set()))
        await begun.wait()
        while not list(tmp_path.rglob("*.incomplete")):  # noqa: ASYNC110, ASYNC240 - another process makes it
            await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(go())
    assert children() == set()
    assert list(tmp_path.rglob("*.incomplete")) == []


def children() -> set[str]:
    """The process ids of those that this process has started and that still run."""
    return set(Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split())


@contextmanager
def silent_server() -> Iterator[str]:
    """Accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
