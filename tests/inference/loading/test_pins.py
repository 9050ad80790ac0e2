"""Weights that are not those which a profile or a style names are refused, with one sentence that names the file."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bot.domain.profile import ClassifierProfile, ModelProfile, ModelSource
from bot.errors import ModelError
from bot.inference.classifier.model import load_classifier
from bot.inference.formats.weights import file_sha256
from bot.inference.loading.model_files import cached_folder
from bot.inference.loading.pins import fetched
from bot.inference.loading.pipelines import load_model
from bot.inference.loras.loader import LoraLoader, UnusableStyleError
from tests.inference.tiny_vit import profile_of
from tests.tiny_sdxl import (
    COMMIT,
    LORA_FILE,
    LORA_REPO,
    MODEL_REPO,
    TinyModels,
    copy_of,
    hub_folder,
    pastel_style,
    tiny_profile,
)

UNET = "unet/diffusion_pytorch_model.safetensors"
FP16_UNET = "unet/diffusion_pytorch_model.fp16.safetensors"
VAE_REPO, VAE_FILE = "somebody/vae", "diffusion_pytorch_model.safetensors"
OTHER = "ab" * 32  # of another file


def refusal(profile: ModelProfile, cache_dir: Path | None = None) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(profile, device="cpu", cache_dir=cache_dir)
    (line,) = caught.value.lines
    assert "\n" not in line
    return line


def pins_of(folder: Path, *names: str) -> Mapping[str, str]:
    return {name: file_sha256(folder / name) for name in names}


@pytest.fixture
def vae(models: TinyModels, tmp_path: Path) -> Path:
    """A hub's cache with the model and a VAE of its own repo; returns the cache."""
    cache = copy_of(models.cache_dir, tmp_path / "hub")
    folder = hub_folder(cache, VAE_REPO)
    for file in (models.folder / "vae").iterdir():
        shutil.copy(file, folder)
    return cache


def test_weights_that_are_what_the_profile_names_are_loaded(models: TinyModels, vae: Path) -> None:
    model = ModelSource(repo=MODEL_REPO, revision=COMMIT, sha256=pins_of(hub_folder(vae, MODEL_REPO), FP16_UNET))
    its_vae = ModelSource(repo=VAE_REPO, revision=COMMIT, sha256=pins_of(hub_folder(vae, VAE_REPO), VAE_FILE))
    file = ModelSource(file=models.file, config=models.folder, sha256={models.file.name: file_sha256(models.file)})

    load_model(tiny_profile(model, vae=its_vae), device="cpu", cache_dir=vae)
    assert load_model(tiny_profile(file), device="cpu").model_hash == file_sha256(models.file)[:10]


def test_other_weights_are_refused_and_the_file_is_named(models: TinyModels, vae: Path) -> None:
    folder = ModelSource(folder=models.folder, sha256={UNET: OTHER})
    its_vae = ModelSource(repo=VAE_REPO, sha256={VAE_FILE: OTHER})
    file = ModelSource(file=models.file, config=models.folder, sha256={models.file.name: OTHER})

    for profile, name in (
        (tiny_profile(folder), UNET),
        (tiny_profile(ModelSource(repo=MODEL_REPO, sha256={FP16_UNET: OTHER})), FP16_UNET),
        (tiny_profile(ModelSource(repo=MODEL_REPO), vae=its_vae), VAE_FILE),
        (tiny_profile(file), models.file.name),
    ):
        line = refusal(profile, vae)
        assert f"is not what the TOML file names: {name} has the sha256 " in line
        assert "Download it again; if you changed it yourself, correct sha256" in line


def test_a_changed_byte_in_the_data_which_the_format_does_not_notice_is_noticed(models: TinyModels, tmp_path: Path) -> None:
    folder = copy_of(models.folder, tmp_path / "model")
    source = ModelSource(folder=folder, sha256=pins_of(folder, UNET))
    with (folder / UNET).open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))

    assert UNET in refusal(tiny_profile(source))


def test_a_pinned_file_cannot_be_left_out_for_another_that_nobody_pinned(models: TinyModels) -> None:
    source = ModelSource(folder=models.folder, sha256={FP16_UNET: OTHER})

    assert f"lacks {FP16_UNET}, whose sha256 the TOML file names" in refusal(tiny_profile(source))


def test_of_a_commit_only_that_commit_is_loaded(models: TinyModels, tmp_path: Path) -> None:
    cache = copy_of(models.cache_dir, tmp_path / "hub")
    wanted = "1" * 40
    assert "is not on this machine" in refusal(tiny_profile(ModelSource(repo=MODEL_REPO, revision=wanted)), cache)

    refs = cache / f"models--{MODEL_REPO.replace('/', '--')}" / "refs"
    (refs / wanted).write_text(COMMIT)  # a name that says it were that commit
    assert "is not on this machine" in refusal(tiny_profile(ModelSource(repo=MODEL_REPO, revision=wanted)), cache)
    found = cached_folder(MODEL_REPO, COMMIT, cache)
    assert found is not None
    assert found == cached_folder(MODEL_REPO, None, cache)


def test_a_lora_that_is_another_is_refused_with_a_sentence_for_the_member(models: TinyModels) -> None:
    pipeline = load_model(tiny_profile(ModelSource(repo=MODEL_REPO)), device="cpu", cache_dir=models.cache_dir).text2img
    adapters = LoraLoader(pipeline, cache_dir=models.cache_dir)
    right = file_sha256(hub_folder(models.cache_dir, LORA_REPO) / LORA_FILE)

    with pytest.raises(UnusableStyleError, match=r"can't use the style \*\*Pastel\*\*") as caught:
        adapters.activate([(pastel_style(sha256=OTHER), 1.0)])
    assert f"{LORA_FILE} has the sha256" in caught.value.reason
    assert not caught.value.retryable
    assert adapters.activate([(pastel_style(sha256=right, revision=COMMIT), 1.0)])


def test_a_picture_classifier_that_is_another_is_refused(vit: Path) -> None:
    classifier: ClassifierProfile = profile_of(vit)
    pinned = replace(classifier, source=replace(classifier.source, sha256={"model.safetensors": OTHER}))

    with pytest.raises(ModelError, match=r"The picture classifier .* model\.safetensors has the sha256"):
        load_classifier(pinned, device="cpu")


def test_what_was_fetched_unpinned_is_told_by_commit_and_sha256(models: TinyModels) -> None:
    profile, style = tiny_profile(ModelSource(repo=MODEL_REPO)), pastel_style()

    model, lora = fetched(profile, [style], models.cache_dir)

    folder = hub_folder(models.cache_dir, MODEL_REPO)
    assert (model.file, model.repo, model.commit, model.has_revision) == (
        "profiles/animagine-xl.toml",
        MODEL_REPO,
        COMMIT,
        False,
    )
    assert len(model.sha256) == 4
    assert model.sha256 == pins_of(folder, *model.sha256)
    assert all(".fp16." in name for name in model.sha256)
    assert (lora.file, lora.sha256) == ("styles/pastel.toml", pins_of(hub_folder(models.cache_dir, LORA_REPO), LORA_FILE))


def test_what_is_pinned_or_was_never_fetched_is_not_told(models: TinyModels, tmp_path: Path) -> None:
    profile = tiny_profile(ModelSource(repo=MODEL_REPO, revision=COMMIT, sha256={FP16_UNET: OTHER}))
    style = pastel_style(revision=COMMIT, sha256=OTHER)

    assert fetched(profile, [style], models.cache_dir) == []
    assert fetched(tiny_profile(ModelSource(repo=MODEL_REPO)), [pastel_style()], tmp_path) == []
