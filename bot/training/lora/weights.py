"""The matrices that a LoRA training changes, in the model as peft puts them and under the names that kohya's trainer gave them.

For SDXL these are the names of the original code's UNet (`input_blocks_4_1_...`), which every program that loads LoRAs knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from peft import LoraConfig
from torch import Tensor, nn

from bot.errors import ModelError
from bot.inference.formats.original_names import unet_name
from bot.training.lora.options import LoraOptions

ADAPTER = "lora_in_training"  # long: transformers takes any weight whose name contains it for a part of the adapter
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
# the layers of kohya's conv_dim; the last means the layers that change the resolution
REST = ("proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "conv1", "conv2", "conv_shortcut", "time_emb_proj", "conv")
TEXT = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
MOST_BLOCKS = 10  # diffusers reads input_blocks_1 out of input_blocks_10


class LoraWeights(nn.Module):
    """The trained matrices: `down` and `up` by kohya's name of the layer; the same parameters as in the model, in float32."""

    def __init__(self, layers: Mapping[str, Any]) -> None:
        super().__init__()
        self.down = nn.ParameterDict({name: layer.lora_A[ADAPTER].weight for name, layer in layers.items()})
        self.up = nn.ParameterDict({name: layer.lora_B[ADAPTER].weight for name, layer in layers.items()})


def add_lora(pipeline: Any, options: LoraOptions) -> LoraWeights:
    """Freeze the model and put a LoRA that changes nothing yet around its layers. Raises ModelError."""
    unet = pipeline.unet
    if (unet.config.layers_per_block + 1) * len(unet.config.block_out_channels) > MOST_BLOCKS:
        raise ModelError("The model's UNet has more blocks than SDXL's; LoRA files have no names for them.")
    torch.manual_seed(options.seed)
    parts = {"unet": unet, "te1": pipeline.text_encoder, "te2": pipeline.text_encoder_2}
    layers: dict[str, Any] = {}
    for prefix, module in parts.items():
        module.requires_grad_(requires_grad=False)
        if prefix == "unet" or options.text_encoders:
            targets = TEXT if prefix != "unet" else ATTENTION if options.target == "attention" else ATTENTION + REST
            config = LoraConfig(r=options.rank, lora_alpha=options.network_alpha, target_modules=list(targets))  # pyright: ignore[reportArgumentType] # a float serves
            module.add_adapter(config, adapter_name=ADAPTER)
            layers |= _layers(prefix, module)
    for layer in layers.values():
        for part in (layer.lora_A, layer.lora_B):
            part[ADAPTER].float()
    return LoraWeights(layers)


def _layers(prefix: str, module: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, layer in module.named_modules():
        if ADAPTER in getattr(layer, "lora_A", {}):
            original = unet_name(name, module.config.layers_per_block) if prefix == "unet" else _text_name(name)
            found[f"lora_{prefix}_{original.replace('.', '_')}"] = layer
    return found


def _text_name(name: str) -> str:
    """Returns the layer's name; transformers 5.6 took `text_model.` out of one encoder's names and not of the other's."""
    return f"text_model.{name.removeprefix('text_model.')}"


def kohya_tensors(weights: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """Returns a state dict of LoraWeights as the tensors of a LoRA file, in float16."""
    tensors: dict[str, Tensor] = {}
    for name in (key.removeprefix("down.") for key in weights if key.startswith("down.")):
        tensors[f"{name}.alpha"] = torch.tensor(alpha, dtype=torch.float16)
        tensors[f"{name}.lora_down.weight"] = weights[f"down.{name}"].half().contiguous().cpu()
        tensors[f"{name}.lora_up.weight"] = weights[f"up.{name}"].half().contiguous().cpu()
    return tensors
