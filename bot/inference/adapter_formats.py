"""Which LoRA files diffusers can really apply to SDXL, judged by their headers before anything is loaded.

Some formats it refuses with a list of keys, some it half applies with a line in its log; both become a sentence here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from bot.inference.weights import Header

UNSUPPORTED: Mapping[str, str] = {
    "hada_": "LoHa (LyCORIS)",
    "lokr_": "LoKr (LyCORIS)",
    "lora_mid": "LoCon with Tucker decomposition (LyCORIS)",
    "dora_scale": "DoRA",
    "lora_magnitude_vector": "DoRA",
    "oft_": "OFT",
    "vera_lambda": "VeRA",
    "emb_params": "textual inversion",
}
UNSUPPORTED_ENDINGS: Mapping[str, str] = {  # too short to be looked for anywhere in a key
    ".on_input": "IA3 (LyCORIS)",
    ".a1.weight": "GLoRA (LyCORIS)",
    ".diff": "full weights (LyCORIS)",
    ".diff_b": "full weights (LyCORIS)",
    ".w_norm": "norms (LyCORIS)",
    ".b_norm": "norms (LyCORIS)",
}
DOWN_ENDINGS = ("lora_down.weight", "lora_A.weight", "lora.down.weight", "lora_linear_layer.down.weight")
OTHER_ARCHITECTURES = (
    "double_blocks",
    "single_blocks",
    "joint_blocks",
    "lora_transformer_",
    "transformer.",
    "diffusion_model.layers",
)
ARCHITECTURE_OF_WIDTH: Mapping[int, str] = {768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x", 2048: "SDXL"}


class AdapterFormatError(Exception):
    """Why a LoRA cannot be used, as the end of a sentence about the file."""


def check_adapter(header: Header, cross_attention_dim: int) -> None:
    """`cross_attention_dim` is the width of the text that the UNet sees (2048 for SDXL). Raises AdapterFormatError."""
    keys = tuple(header.shapes)
    if (name := _unsupported(keys)) is not None:
        raise AdapterFormatError(f"is in the format {name}, which cannot be used; a plain LoRA or LoCon is needed")
    if not any(key.endswith(DOWN_ENDINGS) for key in keys):
        what = (
            "is a whole checkpoint, not a LoRA" if any("diffusion_model." in key for key in keys) else "holds no LoRA weights"
        )
        raise AdapterFormatError(what)
    if any(mark in key for key in keys for mark in OTHER_ARCHITECTURES):
        raise AdapterFormatError("was made for another architecture than this model's (SDXL)")
    for key, shape in header.shapes.items():
        if _sees_text(key) and len(shape) >= 2 and shape[1] != cross_attention_dim:
            made_for = ARCHITECTURE_OF_WIDTH.get(shape[1], f"a model with text of width {shape[1]}")
            raise AdapterFormatError(f"was made for {made_for}, not for this model")


def count_modules(header: Header) -> int:
    """How many modules of the model the file changes."""
    return sum(key.endswith(DOWN_ENDINGS) for key in header.shapes)


def _unsupported(keys: Sequence[str]) -> str | None:
    """The name of a format that diffusers would refuse, or drop parts of without a word."""
    anywhere = (name for mark, name in UNSUPPORTED.items() if any(mark in key for key in keys))
    at_the_end = (name for ending, name in UNSUPPORTED_ENDINGS.items() if any(key.endswith(ending) for key in keys))
    return next(chain(anywhere, at_the_end), None)


def _sees_text(key: str) -> bool:
    """Whether the weight's input is the text: keys and values of the cross attention, kohya's or diffusers' spelling."""
    is_cross = "attn2" in key and any(part in key for part in ("to_k", "to_v"))
    return is_cross and key.endswith(DOWN_ENDINGS)
