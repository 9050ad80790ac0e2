"""Identifies the tensors of a LoRA file, and the layers of the model that they belong to. Does not import torch."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from bot.inference.formats.model_layers import Layers, Place
from bot.inference.formats.original_names import layers_a_level, unet_name

# How trainers begin the name of a layer, by the component; `_` at the end: the points in the layer's name are `_` too.
# kohya (lora_), LyCORIS, diffusers (unet., text_encoder.), PEFT (base_model.), ComfyUI (diffusion_model., text_encoders.),
# OneTrainer (lora_unet., clip_l., clip_g.).
PREFIXES: Mapping[str, tuple[str, ...]] = {
    "unet": (
        "lora_unet_",
        "lora_unet.",
        "lycoris_unet_",
        "lycoris_",
        "unet.",
        "diffusion_model.",
        "model.diffusion_model.",
        "base_model.model.",
        "base_model.model.unet.",
        "",
    ),
    "text_encoder": (
        "lora_te1_",
        "lora_te1.",
        "lora_te_",
        "lycoris_te1_",
        "lycoris_",
        "text_encoder.",
        "clip_l.",
        "text_encoders.clip_l.transformer.",
        "base_model.model.",
        "base_model.model.text_encoder.",
    ),
    "text_encoder_2": (
        "lora_te2_",
        "lora_te2.",
        "lycoris_te2_",
        "lycoris_",
        "text_encoder_2.",
        "clip_g.",
        "text_encoders.clip_g.transformer.",
        "base_model.model.",
        "base_model.model.text_encoder_2.",
    ),
}
# diffusers before 0.20 named the layers of an attention after its processor's
PROCESSOR = re.compile(r"(?:\.processor)?\.(to_[qkv]|to_out)_lora(?=\.(?:down|up|alpha)(?:\.|$))")
PROCESSOR_NAMES: Mapping[str, str] = {
    "q_proj": "to_q",
    "k_proj": "to_k",
    "v_proj": "to_v",
    "out_proj": "to_out",
    "to_out.0": "to_out",
}
TEXT_MODEL = "text_model."  # transformers 5.6 took it out of one encoder's names and not out of the other's
MAX_REASON = 300  # characters
BUNDLE = "bundle_emb."  # OneTrainer's name of the embeddings beside a LoRA; the next part is a person's word


class LoraFormatError(Exception):
    """Tells why a LoRA cannot be used, as the end of a sentence about the file; short, whatever names the file has."""

    def __init__(self, reason: str) -> None:
        super().__init__(textwrap.shorten(reason, MAX_REASON, placeholder=" …"))


class Part(StrEnum):
    """The role of a tensor in its layer."""

    DOWN = "down"
    UP = "up"
    ALPHA = "alpha"
    SCALAR = "scalar"  # LyCORIS: a trained factor


# PEFT puts the adapter's name, a person's word, between `lora_A` and `weight` where it is not taken out.
ENDINGS: Mapping[Part, re.Pattern[str]] = {
    Part.DOWN: re.compile(r"\.(?:lora_down|lora_A(?:\.[^.]+)?|lora\.down|lora_linear_layer\.down)\.weight$"),
    Part.UP: re.compile(r"\.(?:lora_up|lora_B(?:\.[^.]+)?|lora\.up|lora_linear_layer\.up)\.weight$"),
    Part.ALPHA: re.compile(r"(?:\.lora|\.lora_linear_layer|\.lora_[AB])?\.alpha$"),
    Part.SCALAR: re.compile(r"\.scalar$"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTensors:
    """The keys of one layer's tensors; `name` is the layer's name in the file."""

    name: str
    keys: Mapping[Part, str]


def sort_keys(keys: Iterable[str]) -> tuple[list[LayerTensors], list[str]]:
    """Returns the tensors by their layers, and the keys that belong to no LoRA. Raises LoraFormatError."""
    layers: dict[str, dict[Part, str]] = {}
    others: list[str] = []
    for key in keys:
        read = None if key.startswith(BUNDLE) else _read(key)
        if read is None:
            others.append(key)
            continue
        name, part = read
        if part in layers.setdefault(name, {}):
            raise LoraFormatError(f"is damaged: it has two tensors for the {part} of {name}")
        layers[name][part] = key
    return [LayerTensors(name=name, keys=parts) for name, parts in layers.items()], others


def _read(key: str) -> tuple[str, Part] | None:
    plain = PROCESSOR.sub(r".\1.lora", key)
    for part, ending in ENDINGS.items():
        if match := ending.search(plain):
            return plain[: match.start()], part
    return None


def layer_table(layers: Layers) -> Mapping[str, tuple[Place, ...]]:
    """Returns every name that trainers give a layer of this model. A name without its component may mean several layers."""
    table: dict[str, list[Place]] = {}
    ours = layers_a_level(path for part, path in layers if part == "unet")
    for place in layers:
        for name in _names(place, ours):
            table.setdefault(name, []).append(place)
    return {name: tuple(places) for name, places in table.items()}


def _names(place: Place, layers: int) -> Iterator[str]:
    part, path = place
    spellings = dict.fromkeys(_unet_spellings(path, layers) if part == "unet" else _text_spellings(path))
    for spelling in tuple(spellings):
        spellings |= {spelling.removesuffix(end) + old: None for end, old in PROCESSOR_NAMES.items() if spelling.endswith(end)}
    for prefix in PREFIXES[part]:
        yield from (prefix + (name.replace(".", "_") if prefix.endswith("_") else name) for name in spellings)


def _unet_spellings(path: str, layers: int) -> Iterator[str]:
    yield path
    try:
        original = unet_name(path, layers)
    except ValueError:
        return
    yield original
    if path.endswith("upsamplers.0.conv"):  # its number is 1 where the level has no attention
        yield re.sub(r"\.2\.conv$", ".1.conv", original)


def _text_spellings(path: str) -> Iterator[str]:
    bare = path.removeprefix(TEXT_MODEL)
    yield from (TEXT_MODEL + bare, bare)
