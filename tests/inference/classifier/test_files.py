"""Which classifiers are refused, with which words, and how one comes from the hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import ViTForImageClassification

from bot.domain.downloads import DownloadError
from bot.domain.profile import ClassifierProfile
from bot.domain.rating_scale import RatingScale
from bot.domain.safety import Rating
from bot.errors import ModelError
from bot.inference.classifier.files import check_classifier, lacking
from bot.inference.hub_fetch import fetch
from tests.inference.conftest import noise_png
from tests.inference.fake_hub import FakeHub, fake_hub
from tests.inference.tiny_vit import profile_of, rate
from tests.tiny_sdxl import copy_of

REPO = "someone/judge"
FROM_HUB = profile_of(REPO)


@pytest.fixture
def folder(vit: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return copy_of(vit, tmp_path / "judge")


async def refused(profile: ClassifierProfile, complaint: str, *, early: bool = True) -> None:
    """Loading refuses it in one line, and so does the check at the start if it can be known that early."""
    if early:
        with pytest.raises(ModelError, match=complaint):
            check_classifier(profile, offline=True)
    with pytest.raises(ModelError, match=complaint) as caught:
        await rate(profile, noise_png())
    assert "\n" not in str(caught.value)
    assert str(profile.source.folder) in str(caught.value)


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    await refused(profile_of(tmp_path / "nowhere"), "does not exist")


async def test_labels_that_the_profile_does_not_rate_are_refused(vit: Path) -> None:
    scale = RatingScale(labels={"sfw": Rating.GENERAL, "nsfw": Rating.EXPLICIT})

    await refused(profile_of(vit, scale), "has the labels bare, drawing, neutral, but `ratings` rates nsfw, sfw")


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json"])
async def test_a_file_that_is_missing_or_asks_for_code_is_refused(folder: Path, file: str) -> None:
    settings = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(settings | {"auto_map": {"AutoModel": "evil--code"}}))
    await refused(profile_of(folder), "wants code of its own")

    (folder / file).unlink()
    await refused(profile_of(folder), f"lacks {file}")


async def test_a_classifier_of_several_labels_a_picture_is_refused(folder: Path) -> None:
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | {"problem_type": "multi_label_classification"}))

    await refused(profile_of(folder), "only classifiers that choose one label")


async def test_pickles_are_not_opened(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")

    await refused(profile_of(folder), r"has no model\.safetensors")


async def test_weights_that_were_cut_off_are_refused(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-100])

    await refused(profile_of(folder), "is damaged or was cut off")


async def test_weights_without_their_last_layer_are_not_filled_with_random_numbers(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["classifier.bias"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    await refused(profile_of(folder), r"lacks 1 tensors, such as classifier\.bias", early=False)

    del weights["classifier.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    await refused(profile_of(folder), "has no layer that chooses among its 3 labels")


async def test_a_lora_is_no_classifier(folder: Path) -> None:
    tensors = {"lora_unet_a.lora_down.weight": torch.zeros(4, 8), "lora_unet_a.lora_up.weight": torch.zeros(8, 4)}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    await refused(profile_of(folder), r"has a bad file: model\.safetensors is a LoRA or the like \(LoRA\), not a classifier")


async def test_weights_in_several_files_are_read_whole(vit: Path, tmp_path: Path) -> None:
    folder = copy_of(vit, tmp_path / "sharded")
    (folder / "model.safetensors").unlink()
    ViTForImageClassification.from_pretrained(vit).save_pretrained(folder, max_shard_size="10KB")
    pictures = [noise_png(seed) for seed in range(4)]

    assert len(list(folder.glob("model-*.safetensors"))) > 1
    assert await rate(profile_of(folder), *pictures) == await rate(profile_of(vit), *pictures)
    next(folder.glob("model-*.safetensors")).unlink()
    await refused(profile_of(folder), "has a bad file: model-.* does not exist")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, vit: Path, tmp_path: Path) -> Iterator[FakeHub]:
    """Serves the classifier, with a pickle and another program's weights beside it."""
    served = copy_of(vit, tmp_path / "served")
    for other in ("pytorch_model.bin", "onnx/model.onnx"):
        (served / other).parent.mkdir(exist_ok=True)
        (served / other).write_bytes(b"never fetched")
    with fake_hub(monkeypatch) as server:
        server.repos = {REPO: served}
        yield server


async def test_the_first_start_fetches_what_is_needed_and_the_next_asks_nobody(hub: FakeHub, tmp_path: Path) -> None:
    cache = tmp_path / "hub"
    assert not check_classifier(FROM_HUB, cache)
    fetch_for(FROM_HUB, cache)
    first = await rate(FROM_HUB, noise_png(), cache_dir=cache)

    assert sorted(set(hub.downloads())) == ["config.json", "model.safetensors", "preprocessor_config.json"]
    hub.requests.clear()
    assert check_classifier(FROM_HUB, cache)
    fetch_for(FROM_HUB, cache)
    assert await rate(FROM_HUB, noise_png(), cache_dir=cache) == first
    assert hub.requests == []


def remove(cached: Path) -> None:
    """The link and what it points to."""
    cached.resolve().unlink()
    cached.unlink()


async def test_a_download_that_was_interrupted_is_completed(hub: FakeHub, tmp_path: Path) -> None:
    fetch_for(FROM_HUB, tmp_path)
    remove(next(tmp_path.rglob("snapshots/*/model.safetensors")))  # noqa: ASYNC240
    hub.requests.clear()

    assert not check_classifier(FROM_HUB, tmp_path)
    with pytest.raises(ModelError, match=r"has no model\.safetensors"):
        check_classifier(FROM_HUB, tmp_path, offline=True)
    fetch_for(FROM_HUB, tmp_path)
    await rate(FROM_HUB, noise_png(), cache_dir=tmp_path)
    assert hub.downloads() == ["model.safetensors"]


async def test_offline_an_absent_classifier_is_known_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"someone/judge cannot be used: it is not on this machine .* Start once with a network"
    ):
        check_classifier(FROM_HUB, tmp_path, offline=True)
    with pytest.raises(ModelError, match="cannot be downloaded offline"):
        await rate(FROM_HUB, noise_png(), cache_dir=tmp_path)


def test_a_repo_that_does_not_exist_is_named(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="is not on the hub"):
        fetch_for(profile_of("someone/unknown"), tmp_path)


def fetch_for(classifier: ClassifierProfile, cache_dir: Path) -> None:
    """As a start does."""
    for download in lacking(classifier, cache_dir):
        fetch(download, cache_dir, lambda _: None)
