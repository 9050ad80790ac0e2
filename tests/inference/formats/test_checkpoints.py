"""What a model's file is told to be by its header, and weights in fp8 that are read with their scales."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from bot.domain.profile import ModelSource
from bot.errors import ModelError
from bot.inference.loading.model_files import check_weights
from bot.inference.loading.pipelines import load_model
from tests.tiny_sdxl import TinyModels, copy_of, kohya_lora, plain_pipeline, tiny_profile

Tensors = dict[str, torch.Tensor]
UNET = "model.diffusion_model."
ATTENTION = f"{UNET}middle_block.1.transformer_blocks.0.attn1.to_q"
PLACE = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"


@pytest.fixture(scope="module")
def sound(models: TinyModels) -> Tensors:
    return load_file(models.file)


def refusal(models: TinyModels, file: Path, **changes: Any) -> str:
    """The same sentence at the check before the start and at the load."""
    profile = tiny_profile(ModelSource(file=file, config=models.folder), **changes)
    lines = set[str]()
    for attempt in (lambda: check_weights(profile, offline=True), lambda: load_model(profile, device="cpu")):
        with pytest.raises(ModelError) as caught:
            attempt()
        lines |= {*caught.value.lines}
    assert len(lines) == 1
    return lines.pop()


def without(*starts: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {key: value for key, value in tensors.items() if not key.startswith(starts)}


def instead(**named: torch.Tensor) -> Callable[[Tensors], Tensors]:
    return lambda _: {key.replace("__", "."): value for key, value in named.items()}


def wide(width: int) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {
        key: torch.zeros(value.shape[0], width) if key.endswith("attn2.to_k.weight") else value
        for key, value in tensors.items()
    }


def beside(ending: str, dtype: torch.dtype = torch.uint8) -> Callable[[Tensors], Tensors]:
    """One layer with something that a program which quantises puts beside it."""
    return lambda tensors: tensors | {f"{ATTENTION}.{ending}": torch.zeros(4, dtype=dtype)}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda tensors: without("conditioner.")(tensors) | {"cond_stage_model.transformer.text_model.x": torch.zeros(1)},
            "is a Stable Diffusion 1.x model",
        ),
        (
            lambda tensors: without("conditioner.")(tensors) | {"cond_stage_model.model.x": torch.zeros(1)},
            "is a Stable Diffusion 2.x model",
        ),
        (wide(768), "is a Stable Diffusion 1.x model: its text has a width of 768, not"),
        (instead(double_blocks__0__img_attn__qkv__weight=torch.zeros(8, 8)), "is a Flux model, or one built like it"),
        (instead(model__diffusion_model__joint_blocks__0__x__weight=torch.zeros(8, 8)), "is a Stable Diffusion 3 model"),
        (
            instead(model__diffusion_model__blocks__0__x__weight=torch.zeros(8, 8)),
            "is a model of another architecture than SDXL's",
        ),
        (
            instead(lora_unet_a__lora_down__weight=torch.zeros(4, 8), lora_unet_a__lora_up__weight=torch.zeros(8, 4)),
            "is a LoRA, not a model",
        ),
        (instead(lora_unet_a__lokr_w1=torch.zeros(4, 4)), "is in the format LoKr (LyCORIS), not a model"),
        (instead(clip_l=torch.zeros(4, 8), clip_g=torch.zeros(4, 8)), "is in the format textual inversion, not a model"),
        (instead(down_blocks__0__resnets__0__conv1__weight=torch.zeros(4, 4, 3, 3)), "is the UNet of a diffusers folder"),
        (instead(decoder__conv_in__weight=torch.zeros(4, 4, 3, 3)), "is a VAE, not a model; name it under [vae]"),
        (instead(input_hint_block__0__weight=torch.zeros(4, 4)), "is a ControlNet, not an SDXL model"),
        (instead(something=torch.zeros(4)), "is not an SDXL model: it holds nothing of its UNet"),
        (without("conditioner.embedders.1."), "has no text encoders of SDXL"),
        (
            lambda tensors: without("conditioner.")(tensors) | {"conditioner.embedders.0.model.x": torch.zeros(1)},
            "is SDXL's refiner",
        ),
        (without("first_stage_model."), "has no VAE; name one under [vae] in the profile"),
        (
            lambda tensors: tensors | {f"{UNET}input_blocks.0.0.weight": torch.zeros(32, 9, 3, 3)},
            "is an inpainting model: its UNet takes 9 channels, not 4",
        ),
        (beside("weight.quant_state.bitsandbytes__nf4"), "is quantised (bitsandbytes NF4)"),
        (beside("SCB", torch.float32), "is quantised (bitsandbytes int8)"),
        (beside("qweight"), "is quantised (GPTQ, AWQ or Nunchaku)"),
        (beside("weight_scale_2"), "is quantised (NVFP4)"),
        (lambda tensors: tensors | {f"{ATTENTION}.weight": torch.zeros(64, 64, dtype=torch.int8)}, "is quantised (I8)"),
        (beside("scale_weight", torch.float32), "scales no layer in fp8"),
        (
            lambda tensors: (
                tensors
                | {
                    f"{ATTENTION}.weight": torch.zeros(64, 64).to(torch.float8_e4m3fn),
                    f"{ATTENTION}.weight_scale": torch.zeros(64, 4),
                }
            ),
            "with scales for blocks of a row",
        ),
        (
            lambda tensors: (
                tensors
                | {
                    "first_stage_model.decoder.mid.attn_1.q.weight": torch.zeros(8, 8).to(torch.float8_e4m3fn),
                    "first_stage_model.decoder.mid.attn_1.q.scale_weight": torch.ones(()),
                }
            ),
            "scales no layer in fp8",
        ),
    ],
)
def test_a_file_that_is_no_sdxl_model_is_refused_before_the_start_with_what_it_is(
    models: TinyModels, sound: Tensors, tmp_path: Path, change: Callable[[Tensors], Tensors], complaint: str
) -> None:
    save_file({key: value.contiguous().clone() for key, value in change(sound).items()}, tmp_path / "odd.safetensors")

    assert complaint in refusal(models, tmp_path / "odd.safetensors")


def test_tensors_that_a_merge_left_over_beside_a_whole_model_are_no_other_architecture(
    models: TinyModels, sound: Tensors, tmp_path: Path
) -> None:
    stray = {
        "cond_stage_model.transformer.text_model.embeddings.position_ids": torch.arange(77),
        "control_model.note": torch.ones(1),
    }
    save_file(sound | stray, tmp_path / "merged.safetensors")

    model = load_model(
        tiny_profile(ModelSource(file=tmp_path / "merged.safetensors", config=models.folder)), device="cpu"
    ).text2img
    assert torch.equal(model.unet.get_submodule(PLACE).weight, sound[f"{ATTENTION}.weight"].float())


def test_a_gguf_file_is_called_by_its_name(models: TinyModels, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"GGUF" + bytes(100))

    assert "is a GGUF file" in refusal(models, tmp_path / "a.safetensors")


def test_a_checkpoint_without_a_vae_is_sound_where_the_profile_names_one(
    models: TinyModels, sound: Tensors, tmp_path: Path
) -> None:
    save_file(without("first_stage_model.")(sound), tmp_path / "a.safetensors")
    source = ModelSource(file=tmp_path / "a.safetensors", config=models.folder)

    check_weights(tiny_profile(source, vae=ModelSource(folder=models.folder / "vae")), offline=True)


def test_a_vae_that_is_none_is_refused_with_what_it_is(models: TinyModels, tmp_path: Path) -> None:
    save_file(kohya_lora(plain_pipeline(models.folder)), tmp_path / "lora.safetensors")
    profile = tiny_profile(ModelSource(folder=models.folder), vae=ModelSource(file=tmp_path / "lora.safetensors"))

    with pytest.raises(ModelError, match=r"its VAE .*lora\.safetensors is a LoRA, not a VAE"):
        check_weights(profile, offline=True)


def lora_as_unet(folder: Path) -> None:
    save_file(kohya_lora(plain_pipeline(folder)), folder / "unet" / "diffusion_pytorch_model.safetensors")


def quantised_config(folder: Path) -> None:
    file = folder / "unet" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"quantization_config": {"quant_method": "bitsandbytes"}}))


def integers(folder: Path) -> None:
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    save_file(load_file(file) | {f"{PLACE}.weight": torch.zeros(64, 64, dtype=torch.int8)}, file, metadata={"format": "pt"})


def scaled(folder: Path) -> None:
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    save_file(load_file(file) | {f"{PLACE}.weight_scale": torch.ones(())}, file, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lora_as_unet, "unet/diffusion_pytorch_model.safetensors is a LoRA, not a model"),
        (quantised_config, "has a quantised unet (bitsandbytes)"),
        (integers, "is quantised (I8)"),
        (scaled, "is in scaled fp8, which Pastel reads in single files only"),
    ],
)
def test_a_folder_with_other_weights_than_sdxls_is_refused_before_the_start(
    models: TinyModels, tmp_path: Path, damage: Callable[[Path], None], complaint: str
) -> None:
    folder = copy_of(models.folder, tmp_path / "model")
    damage(folder)

    with pytest.raises(ModelError) as caught:
        check_weights(tiny_profile(ModelSource(folder=folder)), offline=True)
    assert complaint in caught.value.lines[0]


def stored_in_fp8(sound: Tensors, *, by_row: bool, ending: str, dtype: torch.dtype) -> tuple[Tensors, Tensors]:
    """The file of a program that quantises, and the weights that it means, by their names in the file."""
    stored, meant = dict(sound), dict(sound)
    for key, value in sound.items():
        is_text = "conditioner.embedders" in key and key.endswith(("fc1.weight", "c_fc.weight"))
        if value.ndim == 2 and (key.startswith(UNET) or is_text):
            most = value.abs().amax(dim=1, keepdim=True) if by_row else value.abs().max()
            scale = most / 448
            stored[key] = (value / scale).to(dtype)
            stored[key.removesuffix("weight") + ending] = scale
            meant[key] = stored[key].float() * scale
    return stored, meant


@pytest.mark.parametrize(
    ("by_row", "ending", "dtype"),
    [
        (False, "scale_weight", torch.float8_e4m3fn),
        (False, "weight_scale", torch.float8_e5m2),
        (True, "weight_scale", torch.float8_e4m3fn),
    ],
)
def test_weights_in_scaled_fp8_are_those_that_the_file_means(
    models: TinyModels, sound: Tensors, tmp_path: Path, by_row: bool, ending: str, dtype: torch.dtype
) -> None:
    stored, meant = stored_in_fp8(sound, by_row=by_row, ending=ending, dtype=dtype)
    marks = {f"{UNET}scaled_fp8": torch.zeros(2).to(dtype), f"{ATTENTION}.input_scale": torch.ones(())}
    save_file(stored | marks, tmp_path / "scaled.safetensors")
    save_file(meant, tmp_path / "meant.safetensors")
    both = [
        load_model(tiny_profile(ModelSource(file=tmp_path / name, config=models.folder)), device="cpu").text2img
        for name in ("scaled.safetensors", "meant.safetensors")
    ]

    assert sum(key.endswith(ending) for key in stored) > 50
    for part in ("unet", "vae", "text_encoder", "text_encoder_2"):
        read, wanted = (getattr(pipeline, part).state_dict() for pipeline in both)
        assert [key for key in wanted if not torch.equal(read[key], wanted[key])] == []


def test_fp8_without_scales_is_read_as_it_is(models: TinyModels, sound: Tensors, tmp_path: Path) -> None:
    plain = {
        key: value.to(torch.float8_e4m3fn) if value.ndim == 2 and key.startswith(UNET) else value
        for key, value in sound.items()
    }
    save_file(plain, tmp_path / "plain.safetensors")
    unet = load_model(
        tiny_profile(ModelSource(file=tmp_path / "plain.safetensors", config=models.folder)), device="cpu"
    ).text2img.unet

    assert torch.equal(unet.get_submodule(PLACE).weight, plain[f"{ATTENTION}.weight"].float())


def test_a_scale_that_is_no_number_is_refused(models: TinyModels, sound: Tensors, tmp_path: Path) -> None:
    stored, _ = stored_in_fp8(sound, by_row=False, ending="scale_weight", dtype=torch.float8_e4m3fn)
    save_file(stored | {f"{ATTENTION}.scale_weight": torch.tensor(float("nan"))}, tmp_path / "nan.safetensors")

    with pytest.raises(ModelError, match="holds what is no number"):
        load_model(tiny_profile(ModelSource(file=tmp_path / "nan.safetensors", config=models.folder)), device="cpu")
