"""Measures how much quicker a model's steps are in bfloat16 on this CPU."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from bot.inference.denoising.unet_call import predict
from bot.inference.loading.casting import lower_unet
from bot.inference.loading.pipelines import LoadedModel
from bot.inference.measuring.step_probe import random_inputs

ROUNDS = 5  # of both, one right after the other, so that neighbours on the machine slow both down
HOPELESS = 4.0  # times as slow, which a processor without bfloat16 can be; it is not asked again
LARGE = 200_000_000  # parameters of a UNet that is not copied: SDXL has 2.6e9, the shipped model 2e7
SIDE = 16  # pixels of a block's input, small enough for SDXL's widest to take a tenth of a second
Call = Callable[[], object]


def speed_up(model: LoadedModel) -> float:
    """Returns how many times as quick as float32 bfloat16 is; takes well under a second where bfloat16 is of any use."""
    plain, half = _calls(model)
    first = timed(plain)  # the first call of either chooses kernels and fills caches
    if (took := timed(half)) > HOPELESS * first:
        return first / took
    return statistics.median(timed(plain) / timed(half) for _ in range(ROUNDS))


def timed(call: Call) -> float:
    """Returns the seconds of one call."""
    began = time.perf_counter()
    with torch.no_grad():
        call()
    return time.perf_counter() - began


def _calls(model: LoadedModel) -> tuple[Call, Call]:
    """Returns the same call in both types: a guided step of one picture, or a block of a large UNet, one of its widest."""
    unet: Any = model.text2img.unet
    if sum(weights.numel() for weights in unet.parameters()) > LARGE:
        return _block_calls(unet)
    size = model.profile.size(None)
    inputs = random_inputs(model, 2, width=size.width, height=size.height)
    lowered = copy.deepcopy(unet)
    lower_unet(lowered)
    return lambda: predict(unet, *inputs), lambda: predict(lowered, *inputs)


def _block_calls(unet: Any) -> tuple[Call, Call]:
    """Returns calls of the layers with nearly all of an SDXL's arithmetic: two convolutions, attention and feed-forward."""
    level: Any = next(level for level in reversed(unet.down_blocks) if getattr(level, "attentions", None))
    resnet: Any = level.resnets[-1]
    plain: Any = torch.nn.ModuleList([resnet, level.attentions[-1].transformer_blocks[0]])
    half = copy.deepcopy(plain).to(dtype=torch.bfloat16, memory_format=torch.channels_last)
    inputs = (
        torch.randn(2, int(resnet.in_channels), SIDE, SIDE),
        torch.randn(2, int(resnet.time_emb_proj.in_features)),
        torch.randn(2, 77, int(unet.config.cross_attention_dim)),
    )
    rounded = [one.to(torch.bfloat16) for one in inputs]
    return lambda: _through(plain, *inputs), lambda: _through(half, *rounded)


def _through(block: Any, image: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    resnet, attention = block
    return attention(resnet(image, time).flatten(2).transpose(1, 2), encoder_hidden_states=text)
