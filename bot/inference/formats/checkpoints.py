"""Identifies a model's file by its header alone, before gigabytes are read. Does not import torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.inference.formats.loras import ARCHITECTURE_OF_WIDTH, adapter_kind
from bot.inference.formats.model_layers import Place, original_places
from bot.inference.formats.original_names import UNET_PREFIX
from bot.inference.formats.weights import (
    MODEL_COMPONENTS,
    Header,
    WeightsError,
    component_files,
    quantised_dtype,
    read_header,
    read_json,
)

# Names that only one architecture's original code has, in the order in which they are looked for.
OTHERS: Mapping[str, str] = {
    "double_blocks.": "a Flux model, or one built like it",
    "single_blocks.": "a Flux model, or one built like it",
    "single_transformer_blocks.": "a Flux model, or one built like it",
    "joint_blocks.": "a Stable Diffusion 3 model",
    "double_layers.": "an AuraFlow model",
    "input_hint_block.": "a ControlNet",
    "control_model.": "a ControlNet",
    "controlnet_": "a ControlNet",
    "cond_stage_model.transformer.": "a Stable Diffusion 1.x model",
    "cond_stage_model.model.": "a Stable Diffusion 2.x model",
}
REFINER = "conditioner.embedders.0.model."
SECOND_ENCODER = "conditioner.embedders.1.model."
VAE_DECODER, VAE_PREFIX = "decoder.conv_in.weight", "first_stage_model."
SDXL_WIDTH, LATENT_CHANNELS = 2048, 4
CROSS_ATTENTION = "attn2.to_k.weight"

# What programs that quantise call a scale beside `X.weight`: ComfyUI, first and second edition.
SCALES = (".scale_weight", ".weight_scale")
FP8 = frozenset({"F8_E4M3", "F8_E5M2"})
QUANTISERS: Mapping[str, str] = {  # by the ends of keys
    ".weight_scale_2": "NVFP4",
    "__nf4": "bitsandbytes NF4",
    "__fp4": "bitsandbytes FP4",
    ".SCB": "bitsandbytes int8",
    ".qweight": "GPTQ, AWQ or Nunchaku",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The tensor `key` of a single file multiplies the weight of one layer: as one number, or as one for each of its rows."""

    key: str
    place: Place


def check_checkpoint(file: Path, config: Path | None, *, has_vae: bool) -> None:
    """Raises WeightsError unless a single file is an SDXL model that can be read; `config` is the folder that describes it
    (None: SDXL itself), `has_vae`: the VAE comes from elsewhere.
    """
    header = read_header(file)
    if not any(key.startswith(UNET_PREFIX) for key in header.shapes):
        raise WeightsError(_what_else(header))
    has_encoder = any(key.startswith(SECOND_ENCODER) for key in header.shapes)
    is_whole = has_encoder and any(key.startswith(f"{UNET_PREFIX}input_blocks.") for key in header.shapes)
    if not is_whole and (found := _other_architecture(header)):  # merges leave tensors of others beside a whole model
        raise WeightsError(f"is {found}, not an SDXL model")
    if not any(key.startswith(f"{UNET_PREFIX}input_blocks.") for key in header.shapes):
        raise WeightsError("is a model of another architecture than SDXL's")
    wanted = read_json(config / "unet" / "config.json") if config is not None else {}
    _compare_unet(header, UNET_PREFIX, wanted)
    if not has_encoder:
        is_refiner = any(key.startswith(REFINER) for key in header.shapes)
        raise WeightsError("is SDXL's refiner, which cannot draw alone" if is_refiner else "has no text encoders of SDXL")
    if not has_vae and VAE_PREFIX + VAE_DECODER not in header.shapes:
        raise WeightsError("has no VAE; name one under [vae] in the profile")
    scales_of(header)


def scales_of(header: Header) -> tuple[Scale, ...]:
    """Returns the scales of a single file with weights in fp8. Raises WeightsError, by name, for other quantised files."""
    _refuse_quantised(header)
    places_of = original_places(header)
    scales: list[Scale] = []
    for key in header.shapes:
        if ending := next((end for end in SCALES if key.endswith(end)), None):
            weight = f"{key.removesuffix(ending)}.weight"
            places = places_of(weight)
            if header.dtypes.get(weight) not in FP8 or len(places) != 1:
                raise WeightsError(f"is quantised in a way that Pastel does not read: {key} scales no layer in fp8")
            if math.prod(header.shapes[key]) not in {1, header.shapes[weight][0]}:
                raise WeightsError(
                    "is quantised with scales for blocks of a row (MXFP8 or the like), which Pastel does not read"
                )
            scales.append(Scale(key=key, place=places[0]))
    return tuple(scales)


def check_components(folder: Path, variant: str | None) -> None:
    """Raises WeightsError unless the parts of a complete diffusers folder are those of an SDXL model, unquantised."""
    for component in MODEL_COMPONENTS:
        config = read_json(folder / component / "config.json")
        settings: Any = config.get("quantization_config")
        if isinstance(settings, dict):
            method: object = settings.get("quant_method", "unknown")  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] # JSON
            raise WeightsError(f"has a quantised {component} ({method}), which Pastel does not read; get one in float16")
        for file in component_files(folder / component, variant):
            _check_component(component, file, config, folder)


def check_vae(header: Header) -> None:
    """Raises WeightsError unless a file has a VAE, alone or in a checkpoint."""
    if not any(key in header.shapes for key in (VAE_DECODER, VAE_PREFIX + VAE_DECODER)):
        kind = adapter_kind(header)
        raise WeightsError(f"is {_named(kind)}, not a VAE" if kind else "is no VAE")
    _refuse_quantised(header)


def _check_component(component: str, file: Path, config: Mapping[str, Any], folder: Path) -> None:
    name, header = file.relative_to(folder), read_header(file)
    try:
        if kind := adapter_kind(header):
            raise WeightsError(f"is {_named(kind)}, not a model")
        _refuse_quantised(header)
        if any(key.endswith(SCALES) for key in header.shapes):
            raise WeightsError("is in scaled fp8, which Pastel reads in single files only; get one in float16")
        if component == "unet":
            _compare_unet(header, "", config)
    except WeightsError as error:
        raise WeightsError(f"has a bad file: {name} {error}") from None


def _named(kind: str) -> str:
    return "a LoRA" if kind == "LoRA" else f"in the format {kind}"


def _what_else(header: Header) -> str:
    """Returns the kind of a file without SDXL's UNet, as the end of a sentence."""
    if kind := adapter_kind(header):
        return f"is {_named(kind)}, not a model; a LoRA belongs into `loras`, and a style's file names it"
    if found := _other_architecture(header):
        return f"is {found}, not an SDXL model"
    keys = header.shapes
    if any(key.startswith("down_blocks.") for key in keys):
        return "is the UNet of a diffusers folder; the profile needs the whole folder, or a checkpoint in one file"
    if VAE_DECODER in keys or any(key.startswith(VAE_PREFIX) for key in keys):
        return "is a VAE, not a model; name it under [vae] in the profile"
    return "is not an SDXL model: it holds nothing of its UNet"


def _other_architecture(header: Header) -> str | None:
    return next((name for mark, name in OTHERS.items() if any(mark in key for key in header.shapes)), None)


def _compare_unet(header: Header, prefix: str, config: Mapping[str, Any]) -> None:
    """Compare the UNet with its configuration; an empty one is SDXL's. Raises WeightsError."""
    wanted = config.get("cross_attention_dim", SDXL_WIDTH)
    shapes = (shape for key, shape in header.shapes.items() if key.startswith(prefix) and key.endswith(CROSS_ATTENTION))
    width = next((shape[1] for shape in shapes if len(shape) == 2), None)
    if width is not None and width != wanted:
        known = ARCHITECTURE_OF_WIDTH.get(width)
        what = f"a {known} model" if known else "another model than its configuration describes"
        raise WeightsError(f"is {what}: its text has a width of {width}, not {wanted}")
    first = header.shapes.get(f"{prefix}input_blocks.0.0.weight") or header.shapes.get(f"{prefix}conv_in.weight")
    channels = config.get("in_channels", LATENT_CHANNELS)
    if first is not None and len(first) == 4 and first[1] != channels:
        what = "an inpainting model" if first[1] == 2 * channels + 1 else "another kind of model"
        raise WeightsError(f"is {what}: its UNet takes {first[1]} channels, not {channels}")


def _refuse_quantised(header: Header) -> None:
    for ending, name in QUANTISERS.items():
        if any(key.endswith(ending) for key in header.shapes):
            raise WeightsError(f"is quantised ({name}), which Pastel does not read; get it in float16 or in scaled fp8")
    for key, shape in header.shapes.items():
        if key.endswith(".weight") and len(shape) > 1 and (dtype := quantised_dtype(header.dtypes[key])):
            raise WeightsError(f"is quantised ({dtype}), which Pastel does not read; get it in float16 or in scaled fp8")
