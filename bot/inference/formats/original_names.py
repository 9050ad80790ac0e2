"""Translates between the names of layers in SDXL's original code and in diffusers. Does not import torch.

Checkpoints in one file and most LoRAs have the original ones (github.com/Stability-AI/generative-models, `openaimodel.py`; the
second text encoder's are open_clip's).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

UNET_PREFIX = "model.diffusion_model."
TEXT_ENCODER_PREFIX = "conditioner.embedders.0.transformer.text_model."
TEXT_ENCODER_2_PREFIX = "conditioner.embedders.1.model.transformer.resblocks."

RESNET: Mapping[str, str] = {
    "conv1": "in_layers.2",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
ENDS: Mapping[str, str] = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
OPEN_CLIP: Mapping[str, str] = {
    "attn.out_proj.weight": "self_attn.out_proj",
    "mlp.c_fc.weight": "mlp.fc1",
    "mlp.c_proj.weight": "mlp.fc2",
}
JOINED = "attn.in_proj_weight"  # open_clip keeps these three in one tensor, in this order
PARTS_OF_JOINED = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
INNER = {"resnets": 0, "attentions": 1, "downsamplers": 0, "upsamplers": 2}

_PATH_OF_RESNET = {original: ours for ours, original in RESNET.items()}
_PATH_OF_END = {original: ours for ours, original in ENDS.items()}


def unet_name(path: str, layers: int) -> str:
    """Returns the original name of a layer of diffusers' UNet, with `layers` ResNets a level. Raises ValueError."""
    if path in ENDS:
        return ENDS[path]
    if match := re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d)\.(.+)", path):
        kind, index, rest = match.groups()
        return f"middle_block.{1 if kind == 'attentions' else 2 * int(index)}.{RESNET.get(rest, rest)}"
    match = re.fullmatch(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.+)", path)
    if match is None:
        raise ValueError(f"{path} has no name in the original code")
    side, level, kind, index, rest = match.groups()
    place = (layers + 1) * int(level) + (layers if kind.endswith("samplers") else int(index)) + (side == "down")
    rest = "op" if kind == "downsamplers" else RESNET.get(rest, rest)
    return f"{'input' if side == 'down' else 'output'}_blocks.{place}.{INNER[kind]}.{rest}"


def unet_path(name: str, layers: int) -> str:
    """Returns the inverse of `unet_name`; an upsampler's second number may be any (1 where its level has no attention). Raises
    ValueError.
    """
    if name in _PATH_OF_END:
        return _PATH_OF_END[name]
    if match := re.fullmatch(r"middle_block\.([012])\.(.+)", name):
        index, rest = int(match[1]), match[2]
        kind = "attentions.0" if index == 1 else f"resnets.{index // 2}"
        return f"mid_block.{kind}.{_PATH_OF_RESNET.get(rest, rest)}"
    match = re.fullmatch(r"(input|output)_blocks\.(\d{1,2})\.(\d)\.(.+)", name)
    if match is None:
        raise ValueError(f"{name} is no layer of SDXL's UNet")
    side, place, inner, rest = match.groups()
    level, index = divmod(int(place) - (side == "input"), layers + 1)
    block = f"{'down' if side == 'input' else 'up'}_blocks.{level}"
    if rest == "op":
        return f"{block}.downsamplers.0.conv"
    if rest == "conv":
        return f"{block}.upsamplers.0.conv"
    kind = "resnets" if inner == "0" else "attentions"
    return f"{block}.{kind}.{index}.{_PATH_OF_RESNET.get(rest, rest)}"


def layers_a_level(paths: Iterator[str]) -> int:
    """Returns how many ResNets the first level has, given all paths of diffusers' UNet."""
    numbers = (re.match(r"down_blocks\.0\.resnets\.(\d+)\.", path) for path in paths)
    return 1 + max((int(match[1]) for match in numbers if match), default=0)


def layers_a_level_of_original(names: Iterator[str]) -> int:
    """Returns the same, given all original names: each level but the last is followed by what halves its size."""
    numbers = (re.match(r"input_blocks\.(\d+)\.0\.op", name) for name in names)
    return min((int(match[1]) for match in numbers if match), default=3) - 1


def second_encoder_paths(name: str) -> tuple[str, ...]:
    """Returns the layers, one, three or none, whose weights are in a tensor of the second text encoder (without its prefix)."""
    number, _, rest = name.partition(".")
    parts = PARTS_OF_JOINED if rest == JOINED else (OPEN_CLIP[rest],) if rest in OPEN_CLIP else ()
    return tuple(f"encoder.layers.{number}.{part}" for part in parts)
