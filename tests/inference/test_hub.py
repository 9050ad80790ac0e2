"""The first start with a network: weights come from the hub, once, and only those that are needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.domain.profile import ModelSource
from bot.errors import GenerationError, ModelError
from bot.inference.adapters import Adapters
from bot.inference.loading import check_weights
from bot.inference.pipelines import load_model
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


def load(cache_dir: Path, profile: Any = PROFILE, *, offline: bool = False) -> Any:
    return load_model(profile, device="cpu", cache_dir=cache_dir, offline=offline)


def test_only_the_variant_is_fetched_and_the_next_start_asks_nobody(hub: FakeHub, tmp_path: Path) -> None:
    check_weights(PROFILE, tmp_path / "hub")
    load(tmp_path / "hub")
    weights = [name for name in hub.downloads() if name.endswith((".safetensors", ".bin"))]
    assert len(weights) == 4
    assert all(name.endswith(".fp16.safetensors") for name in weights)

    hub.requests.clear()
    load(tmp_path / "hub")
    load(tmp_path / "hub", offline=True)
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


def test_no_network_is_named_with_the_cure(
    hub: FakeHub, models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = load(models.cache_dir, offline=True).text2img
    point_at(monkeypatch, "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda _: None)  # the hub's client tries six times, with pauses
    with pytest.raises(GenerationError, match="could not be downloaded") as refused:
        Adapters(pipeline, cache_dir=tmp_path).activate([(pastel_style(), 1.0)])
    assert refused.value.retryable

    with pytest.raises(ModelError, match=r"could not be downloaded .* Check the network") as caught:
        load(tmp_path / "hub")

    assert "\n" not in str(caught.value)


def test_a_lora_is_fetched_once(hub: FakeHub, models: TinyModels, tmp_path: Path) -> None:
    pipeline = load(models.cache_dir, offline=True).text2img
    for _ in range(2):
        assert Adapters(pipeline, cache_dir=tmp_path).activate([(pastel_style(), 1.0)])

    assert hub.downloads() == [LORA_FILE]


def test_a_missing_lora_file_is_refused_with_what_the_hub_lists(hub: FakeHub, models: TinyModels, tmp_path: Path) -> None:
    adapters = Adapters(load(models.cache_dir, offline=True).text2img, cache_dir=tmp_path)
    with pytest.raises(
        GenerationError, match=r"has no file x\.safetensors; it has pastel-anime-xl-latest\.safetensors, pastel-anime"
    ):
        adapters.activate([(pastel_style(weight_name="x.safetensors"), 1.0)])

    hub.repos.clear()
    with pytest.raises(GenerationError, match="the hub has no Linaqruf/pastel-anime-xl-lora"):
        adapters.activate([(pastel_style(weight_name="y.safetensors"), 1.0)])
