"""Runs SDXL's VAE in float16: values between its norms are scaled by a power of two, and the norms take the scale out again.

Those values grow beyond float16's 65,504 (model card of madebyollin/sdxl-vae-fp16-fix, which mends it by training, so that its
pictures differ a little). A power of two changes no digit of a number, only its exponent: in float32 the pictures are the same
to the last bit.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.autoencoders.vae import Decoder, Encoder
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D

from bot.inference.loading.casting import speak_float32

# Leaves room for values up to 2 million. Not less: float16 has no digits below 2^-24. Of weights as torch begins with, around
# 0.01 for 512 channels, 2^-5 costs up to 0.003 % and 2^-7 0.02 %, as much as rounding them to float16 did (measured).
SCALE = 2.0**-5
MOST_LOST = 2.0**-11  # of a layer's weights, by their norm: the most that rounding to float16 changes a weight
SCALED = "is_scaled"  # the attribute that a VAE has then

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """An encoder's or decoder's layers with weights, by what they do to scaled values."""

    making: list[Any] = field(default_factory=list[Any])  # scaled values of others: weights and biases are scaled
    passing: list[Any] = field(default_factory=list[Any])  # scaled values of scaled ones: biases are
    undoing: list[Any] = field(default_factory=list[Any])  # norms; their addend to a variance is scaled twice
    apart: list[Any] = field(default_factory=list[Any])  # they see values between a norm and a `making` layer


def settle_type(vae: Any) -> None:
    """Make a VAE in float16 that asks to be cast to float32 for each picture keep one type for good: float16, scaled, if that
    costs almost nothing, else float32. Either takes and returns float32. Other VAEs stay unchanged.
    """
    if vae.dtype != torch.float16 or not vae.config.get("force_upcast", False):
        return
    halves = [layers_of(vae.encoder), layers_of(vae.decoder)]
    known = [half for half in halves if half is not None]
    if len(known) == len(halves) and all(_survives(layer.weight, SCALE) for half in known for layer in half.making):
        for half in known:
            scale(half, SCALE)
        setattr(vae, SCALED, True)
    else:
        logger.info("The model's VAE cannot be scaled to fit float16: it works in float32, which takes longer.")
        vae.to(dtype=torch.float32)
    vae.register_to_config(force_upcast=False)
    quant, post_quant = (getattr(vae, name, None) for name in ("quant_conv", "post_quant_conv"))
    speak_float32(vae.encoder, vae.encoder if quant is None else quant)
    speak_float32(vae.decoder if post_quant is None else post_quant, vae.decoder)


def is_scaled(vae: Any) -> bool:
    """Returns whether diffusers would cast the VAE to float32 for each picture, but it works in float16 here."""
    return getattr(vae, SCALED, False)


def in_float32(vae: Any) -> Any:
    """Returns a VAE that decodes in float32, with a copy of the decoder if it works in another type. The given one is
    unchanged, including its addresses, which compiled code remembers.
    """
    if vae.decoder.conv_in.weight.dtype == torch.float32:
        return vae
    copied = copy.copy(vae)
    copied._modules = dict(vae._modules)
    for name in ("post_quant_conv", "decoder"):
        module = getattr(vae, name, None)
        if module is not None:
            setattr(copied, name, copy.deepcopy(module).float())
    return copied


def layers_of(half: Any) -> Layers | None:
    """Returns the layers of an encoder or decoder like SDXL's; None for others, or if a layer is not accounted for."""
    if type(half) not in {Encoder, Decoder}:
        return None
    layers = Layers(making=[half.conv_in], undoing=[half.conv_norm_out], apart=[half.conv_out])
    for module in half.modules():
        _sort_in(layers, module)
    plain = [*layers.making, *layers.passing, *layers.apart]
    if not all(isinstance(layer, torch.nn.Conv2d | torch.nn.Linear) for layer in plain):
        return None
    if not all(isinstance(norm, torch.nn.GroupNorm) for norm in layers.undoing):
        return None
    weighted = {id(module) for module in half.modules() if next(module.parameters(recurse=False), None) is not None}
    return layers if {id(layer) for layer in (*plain, *layers.undoing)} == weighted else None


@torch.no_grad()
def scale(layers: Layers, factor: float) -> None:
    """Scale values between the norms by `factor`, which is a power of two; the output stays the same."""
    for layer in layers.making:
        layer.weight.mul_(factor)
    for layer in (*layers.making, *layers.passing):
        if layer.bias is not None:
            layer.bias.mul_(factor)
    for norm in layers.undoing:
        norm.eps *= factor**2


def _sort_in(layers: Layers, module: Any) -> None:
    if isinstance(module, ResnetBlock2D):
        layers.making.extend((module.conv1, module.conv2))
        layers.undoing.extend((module.norm1, module.norm2))
        if module.conv_shortcut is not None:
            layers.passing.append(module.conv_shortcut)
    elif isinstance(module, Attention):
        layers.making.append(module.to_out[0] if module.to_out is not None else None)
        layers.undoing.append(module.group_norm)
        layers.apart.extend((module.to_q, module.to_k, module.to_v))
    elif isinstance(module, Upsample2D | Downsample2D) and isinstance(module.conv, torch.nn.Conv2d):
        layers.passing.append(module.conv)


def _survives(weight: torch.Tensor, factor: float) -> bool:
    """Returns whether float16 can represent the scaled weights: the smallest ones lose digits. Biases are not checked: one so
    small is lost in its sum anyway.
    """
    exact = weight.float() * factor
    return bool((exact.to(weight.dtype).float() - exact).norm() <= MOST_LOST * exact.norm())
