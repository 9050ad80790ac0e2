"""Checks which LoRA files can be applied, layer by layer, by their headers alone. Does not import torch.

An unsupported format is refused by its name, and no file is applied in part.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.inference.formats.lora_keys import BUNDLE, LayerTensors, LoraFormatError, Part, layer_table, sort_keys
from bot.inference.formats.model_layers import Layers, Place, text_width
from bot.inference.formats.peft_settings import PeftSettings
from bot.inference.formats.weights import Header, quantised_dtype

# The part of a key's ending that names what a tensor is; a person's words are never there.
UNSUPPORTED: Mapping[str, str] = {
    "lora_mid": "LoCon with Tucker decomposition (LyCORIS)",
    "dora_scale": "DoRA",
    "lora_magnitude_vector": "DoRA",
    "on_input": "IA3 (LyCORIS)",
    "ia3_l": "IA3",
    "a1": "GLoRA (LyCORIS)",
    "lora_E": "AdaLoRA",
    "diff": "full weights (LyCORIS)",
    "diff_b": "full weights (LyCORIS)",
    "w_norm": "norms (LyCORIS)",
    "b_norm": "norms (LyCORIS)",
    "bias_values": "LoRA with sparse weights (LyCORIS)",
    "lora_embedding_A": "LoRA of the word table (PEFT)",
    "reshape_weight": "LoRA that changes shapes (ComfyUI)",
    "emb_params": "textual inversion",
    "string_to_param": "textual inversion",
}
UNSUPPORTED_BEGINNINGS: Mapping[str, str] = {
    "hada_": "LoHa (LyCORIS)",
    "lokr_": "LoKr (LyCORIS)",
    "oft_": "OFT",
    "boft_": "BOFT",
    "vera_lambda": "VeRA",
}
UNSUPPORTED_ENDINGS: Mapping[str, str] = {
    ".lora_up.bias": "LoRA with biases",
    ".lora_B.bias": "LoRA with biases",
    ".lora_B.default.bias": "LoRA with biases",
}
TEXTUAL_INVERSION = frozenset({"clip_l", "clip_g"})  # whole keys of an embedding for SDXL
OTHER_ARCHITECTURES = ("double_blocks", "single_blocks", "single_transformer_blocks", "joint_blocks", "diffusion_model.layers")
OTHER_BEGINNINGS = ("lora_transformer_", "transformer.", "base_model.model.transformer", "lora_te3_", "lora_unet_blocks_")
ARCHITECTURE_OF_WIDTH: Mapping[int, str] = {768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x", 2048: "SDXL"}
CROSS_ATTENTION = ("to_k", "to_v")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPart:
    """The file's tensors for one layer of the model. `scale` is that of a layer without an alpha of its own."""

    place: Place
    tensors: LayerTensors
    rank: int
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraPlan:
    """The applied part of a file. `strangers` are layers that the model lacks, `embeddings` are those beside the LoRA."""

    parts: tuple[LayerPart, ...]
    strangers: tuple[str, ...] = ()
    embeddings: tuple[str, ...] = ()


def plan_adapter(header: Header, layers: Layers) -> LoraPlan:
    """Returns the plan for a model with these `layers`. Raises LoraFormatError."""
    tensors = check_format(header)
    _check_width(header, tensors, text_width(layers))
    table = layer_table(layers)
    known = [one for one in tensors if one.name in table]
    strangers = tuple(one.name for one in tensors if one.name not in table)
    if not known:
        raise LoraFormatError(f"does not fit this model: it has no layer called {strangers[0]}")
    if (key := next((key for key in sort_keys(header.shapes)[1] if _speaks_of_a_layer(key, table)), None)) is not None:
        raise LoraFormatError(f"holds {key}, which Pastel does not understand")
    settings = PeftSettings(header.metadata)
    parts = tuple(_part(one, table[one.name], header, layers, settings) for one in known)
    _check_once(parts)
    return LoraPlan(parts=parts, strangers=strangers, embeddings=_embeddings(header.shapes))


def check_format(header: Header) -> list[LayerTensors]:
    """Check the file without the model. Returns the layers that it has a matrix for. Raises LoraFormatError."""
    layers, others = sort_keys(header.shapes)
    others = [key for key in others if not key.startswith(BUNDLE)]
    if (name := next(filter(None, map(_unsupported, others)), None)) is not None:
        raise LoraFormatError(f"is in the format {name}, which cannot be used; a plain LoRA or LoCon is needed")
    used = [one for one in layers if Part.DOWN in one.keys or Part.UP in one.keys]
    if not used:
        whole = any("diffusion_model." in key for key in others)
        raise LoraFormatError("is a whole checkpoint, not a LoRA" if whole else "holds no LoRA weights")
    for one in used:
        _check_tensors(one, header)
    if any(_is_foreign(one.name) for one in used):
        raise LoraFormatError("was made for another architecture than this model's (SDXL)")
    return used


def _unsupported(key: str) -> str | None:
    """Returns the name of an unsupported format from a key. Looks at its end only: the rest may be a person's words."""
    if key in TEXTUAL_INVERSION:
        return "textual inversion"
    ends = key.split(".")[-3:]  # PEFT may put "default" and "weight" behind it
    by_name = (UNSUPPORTED.get(end) for end in ends)
    by_beginning = (name for start, name in UNSUPPORTED_BEGINNINGS.items() if any(end.startswith(start) for end in ends))
    by_ending = (name for end, name in UNSUPPORTED_ENDINGS.items() if key.endswith(end))
    return next(filter(None, (*by_name, *by_beginning, *by_ending)), None)


def _check_tensors(one: LayerTensors, header: Header) -> None:
    if lacking := next((part for part in (Part.DOWN, Part.UP) if part not in one.keys), None):
        raise LoraFormatError(f"is incomplete: it lacks the {lacking} matrix of {one.name}")
    for part, key in one.keys.items():
        if part in {Part.ALPHA, Part.SCALAR}:
            if math.prod(header.shapes[key]) != 1:
                raise LoraFormatError(f"is damaged: the {part} of {one.name} is not one number")
        elif dtype := quantised_dtype(header.dtypes[key]):
            raise LoraFormatError(f"is quantised ({dtype}), which cannot be used; a LoRA in float16 or float32 is needed")


def _check_width(header: Header, tensors: Iterable[LayerTensors], wanted: int | None) -> None:
    """Compare the width of the text that cross attention's keys and values see, in kohya's and diffusers' spelling."""
    for one in tensors:
        shape = header.shapes[one.keys[Part.DOWN]]
        sees_text = "attn2" in one.name and one.name.endswith(CROSS_ATTENTION)
        if sees_text and wanted is not None and len(shape) >= 2 and shape[1] != wanted:
            made_for = ARCHITECTURE_OF_WIDTH.get(shape[1], f"a model with text of width {shape[1]}")
            raise LoraFormatError(f"was made for {made_for}, not for this model")


def _is_foreign(name: str) -> bool:
    return name.startswith(OTHER_BEGINNINGS) or any(mark in name for mark in OTHER_ARCHITECTURES)


def _speaks_of_a_layer(key: str, table: Mapping[str, object]) -> bool:
    """Returns whether the key begins with the name of a layer, so that dropping it would lose part of the LoRA."""
    parts = key.split(".")
    return not key.startswith(BUNDLE) and any(".".join(parts[:end]) in table for end in range(1, len(parts)))


def _part(one: LayerTensors, places: Sequence[Place], header: Header, layers: Layers, settings: PeftSettings) -> LayerPart:
    down, up = (header.shapes[one.keys[part]] for part in (Part.DOWN, Part.UP))
    fitting = [place for place in places if _fits(down, up, layers[place])]
    if len(fitting) == 1:
        return LayerPart(place=fitting[0], tensors=one, rank=down[0], scale=settings.scale(fitting[0], down[0]))
    if fitting:
        raise LoraFormatError(f"does not say which layer it means by {one.name}: several fit")
    shapes = " and ".join("x".join(map(str, shape)) for shape in (up, down))
    raise LoraFormatError(f"does not fit this model: {one.name} has {shapes}")


def _fits(down: tuple[int, ...], up: tuple[int, ...], weight: tuple[int, ...]) -> bool:
    """Returns whether `up` @ `down` has this weight's shape: `down` has the kernel, as dimensions of its own or flattened; `up`
    has one pixel.
    """
    if len(down) < 2 or len(up) < 2 or down[0] < 1:
        return False
    outer = up[0] == weight[0] and math.prod(up[1:]) == down[0] == up[1]
    kernel = len(down) == 2 or (down[1] == weight[1] and down[2:] == (weight[2:] or (1,) * len(down[2:])))
    return outer and kernel and math.prod(down[1:]) == math.prod(weight[1:])


def _check_once(parts: Iterable[LayerPart]) -> None:
    """Raises LoraFormatError if two names mean one layer; they would add up, which no trainer means."""
    seen: dict[Place, str] = {}
    for part in parts:
        if part.place in seen:
            raise LoraFormatError(f"names a layer of the model twice: {seen[part.place]} and {part.tensors.name}")
        seen[part.place] = part.tensors.name


def _embeddings(keys: Iterable[str]) -> tuple[str, ...]:
    """Returns the names that a person gave a bundle's embeddings; the last part of a key says which text encoder's it is."""
    names = (key.removeprefix(BUNDLE).removesuffix(".*").rpartition(".")[0] for key in keys if key.startswith(BUNDLE))
    return tuple(dict.fromkeys(names))


def adapter_kind(header: Header) -> str | None:
    """Returns what kind of LoRA, or of something like it, the file is; None if it is none."""
    try:
        layers, others = sort_keys(header.shapes)
    except LoraFormatError:
        return "LoRA"
    if any(Part.DOWN in one.keys for one in layers):
        return "LoRA"
    return next(filter(None, map(_unsupported, others)), None)
