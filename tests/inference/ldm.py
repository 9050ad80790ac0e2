"""A diffusers SDXL written as one file in the layout of the original code, as Civitai's checkpoints are.

The inverse of what diffusers' `from_single_file` converts; for models of two UNet levels with two layers each.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

LAYERS = 3  # entries a level in input_blocks and output_blocks: layers_per_block + 1
RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
VAE_PARTS = {
    "mid_block.resnets.0": "mid.block_1",
    "mid_block.resnets.1": "mid.block_2",
    "mid_block.attentions.0": "mid.attn_1",
    "group_norm": "norm",
    "to_out.0": "proj_out",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "downsamplers.0": "downsample",
    "upsamplers.0": "upsample",
    "conv_shortcut": "nin_shortcut",
    "conv_norm_out": "norm_out",
    "resnets": "block",
}
OPEN_CLIP = {
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}

Tensors = dict[str, torch.Tensor]


def write_single_file(
    pipeline: Any, path: Path, *, marks: tuple[str, ...] = (), metadata: dict[str, str] | None = None
) -> None:
    """`marks` are names of empty tensors, such as `v_pred`."""
    tensors = unet_tensors(pipeline.unet) | vae_tensors(pipeline.vae)
    tensors |= first_text_tensors(pipeline.text_encoder) | second_text_tensors(pipeline.text_encoder_2)
    tensors |= {mark: torch.zeros(0) for mark in marks}
    save_file({key: tensor.contiguous().clone() for key, tensor in tensors.items()}, path, metadata=metadata)


def unet_name(key: str) -> str:
    """A diffusers name below `unet`, in the original layout."""
    for ours, theirs in UNET_ENDS.items():
        if key.startswith(ours + "."):
            return theirs + key.removeprefix(ours)
    if match := re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.*)", key):
        kind, index, rest = match.groups()
        return f"middle_block.{1 if kind == 'attentions' else 2 * int(index)}.{_resnet(rest)}"
    match = re.match(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.*)", key)
    assert match is not None, key
    side, level, kind, index, rest = match.groups()
    first = 1 if side == "down" else 0
    place = first + LAYERS * int(level) + (LAYERS - 1 if kind.endswith("samplers") else int(index))
    stem = f"{'input' if side == 'down' else 'output'}_blocks.{place}"
    if kind == "downsamplers":
        return f"{stem}.0.{rest.replace('conv.', 'op.')}"
    if kind == "upsamplers":
        return f"{stem}.{2 if level == '0' else 1}.{rest}"  # level 0 going up has attention in between
    return f"{stem}.{0 if kind == 'resnets' else 1}.{_resnet(rest)}"


def unet_tensors(unet: Any) -> Tensors:
    return {f"model.diffusion_model.{unet_name(key)}": tensor for key, tensor in unet.state_dict().items()}


def vae_tensors(vae: Any) -> Tensors:
    levels = len(vae.config.block_out_channels)
    tensors: Tensors = {}
    for key, tensor in vae.state_dict().items():
        name = re.sub(r"up_blocks\.(\d)", lambda match: f"up.{levels - 1 - int(match.group(1))}", key)
        name = name.replace("down_blocks", "down")
        for ours, theirs in VAE_PARTS.items():
            name = re.sub(rf"(?<![a-z_]){re.escape(ours)}(?![a-z_])", theirs, name)
        is_linear = "attn_1" in name and tensor.ndim == 2
        tensors[f"first_stage_model.{name}"] = tensor[:, :, None, None] if is_linear else tensor
    return tensors


def first_text_tensors(encoder: Any) -> Tensors:
    prefix = "conditioner.embedders.0.transformer.text_model."
    return {prefix + key.removeprefix("text_model."): tensor for key, tensor in encoder.state_dict().items()}


def second_text_tensors(encoder: Any) -> Tensors:
    prefix = "conditioner.embedders.1.model."
    state = {key.removeprefix("text_model."): tensor for key, tensor in encoder.state_dict().items()}
    tensors = {
        prefix + "token_embedding.weight": state.pop("embeddings.token_embedding.weight"),
        prefix + "positional_embedding": state.pop("embeddings.position_embedding.weight"),
        prefix + "text_projection": state.pop("text_projection.weight").T,
    }
    for part in ("weight", "bias"):
        tensors[f"{prefix}ln_final.{part}"] = state.pop(f"final_layer_norm.{part}")
        for layer in range(encoder.config.num_hidden_layers):
            stem = f"encoder.layers.{layer}.self_attn"
            joined = torch.cat([state.pop(f"{stem}.{which}_proj.{part}") for which in "qkv"])
            tensors[f"{prefix}transformer.resblocks.{layer}.attn.in_proj_{part}"] = joined
    for key, tensor in state.items():
        if key.startswith("encoder.layers."):
            name = key.replace("encoder.layers", "transformer.resblocks")
            for ours, theirs in OPEN_CLIP.items():
                name = name.replace(ours, theirs)
            tensors[prefix + name] = tensor
    return tensors


def _resnet(rest: str) -> str:
    head, _, tail = rest.partition(".")
    return f"{RESNET.get(head, head)}.{tail}"
