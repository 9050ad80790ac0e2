"""Loading real (tiny) checkpoints with production's code, and the sentence for each way in which that can fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bot.domain.profile import ModelProfile, ModelSource
from bot.errors import ModelError
from bot.inference.loading.model_files import check_weights
from bot.inference.loading.pipelines import LoadedModel, choose_device, load_model
from tests.inference.ldm import write_single_file
from tests.tiny_sdxl import MODEL_REPO, TinyModels, copy_of, hub_folder, plain_pipeline, tiny_profile

UNET = Path("unet") / "diffusion_pytorch_model.safetensors"
VAE = Path("vae") / "diffusion_pytorch_model.safetensors"
TEXT = Path("text_encoder") / "model.safetensors"


def load(profile: ModelProfile, cache_dir: Path | None = None) -> LoadedModel:
    return load_model(profile, device="cpu", cache_dir=cache_dir)


def refusal(profile: ModelProfile, cache_dir: Path | None = None, *, early: bool = True) -> str:
    """The one line, which the check before the start (`early`) tells as well as the load."""
    lines: list[str] = []
    for attempt in (lambda: check_weights(profile, cache_dir, offline=True), lambda: load(profile, cache_dir))[not early :]:
        with pytest.raises(ModelError) as caught:
            attempt()
        lines += caught.value.lines
    assert len(set(lines)) == 1
    assert "\n" not in lines[0]
    return lines[0]


def weights_of(model: LoadedModel) -> dict[str, torch.Tensor]:
    parts = ("unet", "vae", "text_encoder", "text_encoder_2")
    return {f"{part}.{key}": tensor for part in parts for key, tensor in getattr(model.text2img, part).state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture
def folder(models: TinyModels, tmp_path: Path) -> Path:
    """A copy to damage."""
    return copy_of(models.folder, tmp_path / "model")


def test_a_hub_model_loads_its_fp16_variant_from_the_cache(models: TinyModels) -> None:
    profile = tiny_profile(ModelSource(repo=MODEL_REPO))
    check_weights(profile, models.cache_dir, offline=True)
    model = load(profile, models.cache_dir)

    stored = load_file(hub_folder(models.cache_dir, MODEL_REPO) / "unet" / "diffusion_pytorch_model.fp16.safetensors")
    assert stored["conv_in.weight"].dtype == torch.float16
    assert torch.equal(model.text2img.unet.conv_in.weight, stored["conv_in.weight"].float())
    assert model.text2img.unet.dtype == torch.float32


def test_a_model_without_the_variant_loads_its_plain_files(models: TinyModels, tmp_path: Path) -> None:
    copy_of(models.folder, hub_folder(tmp_path, "someone/else") / "x").rename(tmp_path / "x")
    snapshot = hub_folder(tmp_path, "someone/else")
    snapshot.rmdir()
    (tmp_path / "x").rename(snapshot)

    model = load(tiny_profile(ModelSource(repo="someone/else"), variant="fp16"), tmp_path)
    wanted = load(tiny_profile(ModelSource(folder=models.folder), variant=None))

    assert same(weights_of(model), weights_of(wanted))


def test_a_single_file_loads_the_same_weights_as_the_folder_and_knows_its_hash(models: TinyModels) -> None:
    profile = tiny_profile(ModelSource(file=models.file, config=models.folder))
    check_weights(profile, offline=True)
    model = load(profile)

    assert same(weights_of(model), weights_of(load(tiny_profile(ModelSource(folder=models.folder)))))
    assert model.model_hash is not None
    assert len(model.model_hash) == 10


@pytest.mark.parametrize(
    ("marks", "metadata", "prediction", "zero_snr"),
    [
        ((), None, "epsilon", False),
        (("v_pred",), None, "v_prediction", False),
        (("v_pred", "ztsnr"), None, "v_prediction", True),
        ((), {"modelspec.prediction_type": "v"}, "v_prediction", False),
        ((), {"ss_v_parameterization": "True", "ss_zero_terminal_snr": "True"}, "v_prediction", True),
    ],
)
def test_a_v_prediction_file_is_recognised_by_its_marks(
    models: TinyModels, tmp_path: Path, marks: tuple[str, ...], metadata: dict[str, str] | None, prediction: str, zero_snr: bool
) -> None:
    file = tmp_path / "noob.safetensors"
    write_single_file(plain_pipeline(models.folder), file, marks=marks, metadata=metadata)
    config = load(tiny_profile(ModelSource(file=file, config=models.folder))).text2img.scheduler.config

    assert (config.prediction_type, config.rescale_betas_zero_snr) == (prediction, zero_snr)


def test_the_profiles_scheduler_is_used_on_the_models_own_settings(models: TinyModels) -> None:
    profile = tiny_profile(
        ModelSource(folder=models.folder),
        scheduler="EulerDiscreteScheduler",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
    )
    scheduler = load(profile).text2img.scheduler

    assert type(scheduler).__name__ == "EulerDiscreteScheduler"
    assert (scheduler.config.prediction_type, scheduler.config.timestep_spacing) == ("v_prediction", "trailing")
    assert scheduler.config.beta_end == 0.012


def test_a_separate_vae_replaces_the_models_own(models: TinyModels, tmp_path: Path) -> None:
    vae = copy_of(models.folder / "vae", tmp_path / "vae")
    tensors = load_file(vae / VAE.name)
    tensors["decoder.conv_out.bias"] += 1
    save_file(tensors, vae / VAE.name, metadata={"format": "pt"})
    profile = tiny_profile(ModelSource(folder=models.folder), vae=ModelSource(folder=vae))
    check_weights(profile, offline=True)

    assert torch.equal(load(profile).text2img.vae.decoder.conv_out.bias, tensors["decoder.conv_out.bias"])
    (vae / VAE.name).unlink()
    assert "its VAE folder" in refusal(profile)


def test_img2img_shares_the_modules_but_not_the_scheduler_and_nothing_was_cast_or_watermarked(models: TinyModels) -> None:
    model = load(tiny_profile(ModelSource(folder=models.folder)))

    assert model.img2img.unet is model.text2img.unet
    assert model.img2img.scheduler is not model.text2img.scheduler
    assert type(model.img2img.scheduler) is type(model.text2img.scheduler)
    assert model.text2img.watermark is None
    assert model.img2img.watermark is None


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def pointer(file: Path) -> None:
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")


def only_pickle(file: Path) -> None:
    file.rename(file.with_suffix(".bin"))


def no_json(file: Path) -> None:
    (file.parent / "config.json").write_text("{")


def other_class(file: Path) -> None:
    edit_index(file.parents[1], "_class_name", "FluxPipeline")


def own_code(file: Path) -> None:
    edit_index(file.parents[1], "unet", ["my_unet", "MyUNet"])
    (file.parent / "my_unet.py").write_text("raise SystemExit('foreign code ran')")


def edit_index(folder: Path, key: str, value: object) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {key: value}))


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (cut, "unet/diffusion_pytorch_model.safetensors is damaged or was cut off"),
        (lambda file: file.write_bytes(b""), "is damaged or was cut off"),
        (pointer, "is a Git LFS pointer, not the weights; run `git lfs pull`"),
        (only_pickle, "has only pickle files in unet, which can run code; get the .safetensors version"),
        (lambda file: file.unlink(), "has no .safetensors file in unet; download the model again"),
        (no_json, "has a damaged config.json (in unet)"),
        (lambda file: (file.parents[1] / "model_index.json").unlink(), "lacks model_index.json"),
        (lambda file: (file.parents[1] / "model_index.json").write_text("[]"), "has a damaged model_index.json"),
        (lambda file: (file.parents[1] / "scheduler" / "scheduler_config.json").unlink(), "lacks scheduler_config.json"),
        (other_class, "is not an SDXL model: model_index.json names 'FluxPipeline'"),
        (own_code, "wants code of its own for unet ('my_unet')"),
    ],
)
def test_a_broken_folder_is_refused_before_the_start_with_its_cure(
    folder: Path, damage: Callable[[Path], None], complaint: str
) -> None:
    damage(folder / UNET)

    assert complaint in refusal(tiny_profile(ModelSource(folder=folder)))


@pytest.mark.parametrize(
    ("file", "name"), [(UNET, "conv_in.bias"), (VAE, "decoder.conv_in.bias"), (TEXT, "final_layer_norm.bias")]
)
def test_weights_that_lack_a_tensor_are_refused_instead_of_filled_with_noise(folder: Path, file: Path, name: str) -> None:
    tensors = load_file(folder / file)
    key = next(key for key in tensors if key.endswith(name))
    del tensors[key]
    save_file(tensors, folder / file, metadata={"format": "pt"})

    assert f"its {file.parent} lacks 1 tensors" in refusal(tiny_profile(ModelSource(folder=folder)), early=False)


def test_weights_of_another_shape_are_refused_in_one_line(folder: Path) -> None:
    tensors = load_file(folder / UNET)
    tensors["conv_out.weight"] = torch.zeros(1, 2, 3, 3)
    save_file(tensors, folder / UNET, metadata={"format": "pt"})

    assert "could not be loaded" in refusal(tiny_profile(ModelSource(folder=folder)), early=False)


def test_a_missing_folder_file_and_cache_each_name_their_cure(tmp_path: Path, models: TinyModels) -> None:
    gone = tmp_path / "gone"

    assert f"the folder {gone} does not exist. Put the model there, or set MODEL" in refusal(
        tiny_profile(ModelSource(folder=gone))
    )
    file = ModelSource(file=gone / "x.safetensors", config=models.folder)
    assert "x.safetensors does not exist. Put the file there, or set MODEL" in refusal(tiny_profile(file))
    assert "Linaqruf/animagine-xl is not on this machine and cannot be downloaded offline" in refusal(
        tiny_profile(ModelSource(repo=MODEL_REPO)), tmp_path
    )


def test_a_damaged_snapshot_in_the_hubs_cache_is_refused_offline_but_not_online(models: TinyModels, tmp_path: Path) -> None:
    cache = copy_of(models.cache_dir, tmp_path / "hub")
    cut(hub_folder(cache, MODEL_REPO) / "unet" / "diffusion_pytorch_model.fp16.safetensors")
    profile = tiny_profile(ModelSource(repo=MODEL_REPO))

    assert "is damaged or was cut off" in refusal(profile, cache)
    check_weights(profile, cache, offline=False)


def test_a_damaged_single_file_and_one_without_configuration_are_refused(models: TinyModels, tmp_path: Path) -> None:
    file = tmp_path / "cut.safetensors"
    file.write_bytes(models.file.read_bytes()[:-1])

    assert "is damaged or was cut off" in refusal(tiny_profile(ModelSource(file=file, config=models.folder)))
    tensors = load_file(models.file)
    wide = {key: torch.zeros(64, 2048) for key in tensors if key.endswith("attn2.to_k.weight")}  # as SDXL's
    save_file(tensors | wide, tmp_path / "wide.safetensors")
    line = refusal(tiny_profile(ModelSource(file=tmp_path / "wide.safetensors")), tmp_path)
    assert "needs SDXL's configuration" in line
    assert "set `config` in the profile's [source]" in line


def test_a_device_that_is_not_there_is_refused_and_the_cpu_computes_in_float32() -> None:
    assert choose_device("cpu") == (torch.device("cpu"), torch.float32)
    if not torch.cuda.is_available():
        assert choose_device("auto")[1] == torch.float32
    with pytest.raises(ModelError, match="DEVICE is 'cuda:99'"):
        choose_device("cuda:99")


def test_a_single_file_profile_with_a_scheduler_unknown_to_pastel_is_refused(models: TinyModels) -> None:
    profile = replace(tiny_profile(ModelSource(folder=models.folder)), scheduler="MagicScheduler")

    assert "which Pastel does not know" in refusal(profile, early=False)
