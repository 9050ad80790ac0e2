"""The names of a LoRA's matrices, on the real SDXL's layers (without their weights)."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel
from diffusers.utils.state_dict_utils import convert_unet_state_dict_to_peft
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from bot.errors import ModelError
from bot.inference.formats.lora_keys import layer_table
from bot.inference.formats.original_names import unet_name
from bot.training.lora.weights import ADAPTER, add_lora
from tests.training.lora_examples import options


def sdxl_unet(levels: int = 3) -> UNet2DConditionModel:
    with torch.device("meta"):
        return UNet2DConditionModel(
            sample_size=128,
            down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * (levels - 1)),
            up_block_types=(*("CrossAttnUpBlock2D",) * (levels - 1), "UpBlock2D"),
            block_out_channels=(320, 640, 1280, 1280)[:levels],
            transformer_layers_per_block=(1, 2, 10, 1)[:levels],
            attention_head_dim=(5, 10, 20, 20)[:levels],
            use_linear_projection=True,
            cross_attention_dim=2048,
            addition_embed_type="text_time",
            addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=2816,
        )


def encoders() -> tuple[Any, Any]:
    small = {"hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2, "vocab_size": 8}
    with torch.device("meta"):
        first = CLIPTextModel(CLIPTextConfig(num_hidden_layers=12, **small))
        return first, CLIPTextModelWithProjection(CLIPTextConfig(num_hidden_layers=32, projection_dim=32, **small))


def test_every_layer_of_sdxl_gets_the_name_that_diffusers_reads_back() -> None:
    unet, (first, second) = sdxl_unet(), encoders()
    pipeline = SimpleNamespace(unet=unet, text_encoder=first, text_encoder_2=second)
    weights = add_lora(pipeline, options("x", Path(), Path("a.safetensors"), target="all", text_encoders=True))
    names = [*weights.down]
    endings = ("lora_down.weight", "lora_up.weight", "alpha")
    tensors = {f"{name}.{ending}": torch.zeros(1) for name in names for ending in endings}
    read: Any = StableDiffusionXLPipeline.lora_state_dict(tensors, unet_config=unet.config)[0]

    layers = {name for name, layer in unet.named_modules() if ADAPTER in getattr(layer, "lora_A", {})}
    of_unet = {key.removeprefix("unet."): value for key, value in read.items() if key.startswith("unet.")}
    assert {key.split(".lora_")[0] for key in convert_unet_state_dict_to_peft(of_unet)} == layers
    shapes = dict.fromkeys((("unet", name) for name in layers), (1, 1))
    table = layer_table(shapes)
    assert {table[name] for name in names if name.startswith("lora_unet_")} == {(place,) for place in shapes}
    # kohya's trainer finds 722 layers in the attention blocks of SDXL's UNet, 72 and 192 in its text encoders
    in_transformers = [name for name in layers if "attentions" in name]
    prefixes = [name.split("_")[1] for name in names]
    assert (len(in_transformers), prefixes.count("te1"), prefixes.count("te2")) == (722, 72, 192)


@pytest.mark.parametrize(
    ("name", "original"),
    [
        ("down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q", "input_blocks.4.1.transformer_blocks.0.attn1.to_q"),
        ("down_blocks.0.resnets.1.conv1", "input_blocks.2.0.in_layers.2"),
        ("down_blocks.0.downsamplers.0.conv", "input_blocks.3.0.op"),
        ("down_blocks.2.resnets.0.conv_shortcut", "input_blocks.7.0.skip_connection"),
        ("mid_block.attentions.0.proj_in", "middle_block.1.proj_in"),
        ("mid_block.resnets.1.time_emb_proj", "middle_block.2.emb_layers.1"),
        ("up_blocks.0.attentions.2.proj_out", "output_blocks.2.1.proj_out"),
        ("up_blocks.1.upsamplers.0.conv", "output_blocks.5.2.conv"),
        ("up_blocks.2.resnets.2.conv2", "output_blocks.8.0.out_layers.3"),
    ],
)
def test_sdxl_layers_have_the_names_of_the_original_code(name: str, original: str) -> None:
    assert unet_name(name, 2) == original


def test_a_unet_with_more_blocks_than_lora_files_can_name_is_refused() -> None:
    with pytest.raises(ModelError, match="more blocks than SDXL's"):
        add_lora(SimpleNamespace(unet=sdxl_unet(levels=4)), options("x", Path(), Path("a.safetensors")))
