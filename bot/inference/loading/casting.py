"""Runs a model's UNet and VAE in bfloat16, channels last, between others that stay in float32."""

from __future__ import annotations

from typing import Any

import torch

from bot.inference.loading.rounding_residue import keep_rounded_off

TEXT = "encoder_hidden_states"


def lower(pipeline: Any) -> None:
    """Make UNet and VAE compute in bfloat16, channels last. They take and return float32 as before, so latents, samplers and
    text encoders are unaffected.
    """
    for layer in pipeline.unet.modules():
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
            keep_rounded_off(layer)
    lower_unet(pipeline.unet)
    vae: Any = pipeline.vae
    vae.to(dtype=torch.bfloat16, memory_format=torch.channels_last)
    vae.register_to_config(force_upcast=False)  # that is for float16; bfloat16 reaches as far as float32
    layout = torch.channels_last
    speak_float32(vae.encoder, vae.encoder if vae.quant_conv is None else vae.quant_conv, layout=layout)
    speak_float32(vae.decoder if vae.post_quant_conv is None else vae.post_quant_conv, vae.decoder, layout=layout)


def lower_unet(unet: Any) -> None:
    """Do the same for a UNet alone, which is to have no LoRAs."""
    unet.to(dtype=torch.bfloat16, memory_format=torch.channels_last)
    speak_float32(unet, unet, layout=torch.channels_last)
    for norm in unet.modules():
        if isinstance(norm, torch.nn.GroupNorm):
            _reckon_in_float32(norm)


def _reckon_in_float32(norm: torch.nn.GroupNorm) -> None:
    """Compute the norm in float32: in bfloat16, channels last, torch 2.13 takes 3 to 5 times as long for few pixels with many
    channels, casts included; a step of the shipped model is 6 % shorter this way.
    """
    norm.float()
    norm.register_forward_pre_hook(lambda _, given: (given[0].float(),))
    norm.register_forward_hook(lambda _module, _given, output: output.to(torch.bfloat16))


def speak_float32(first: Any, last: Any, *, layout: torch.memory_format = torch.preserve_format) -> None:
    """Cast the input of one module and the output of the other: the image, and a UNet's text. Its times and sizes are numbers
    with more digits than bfloat16 has; the UNet casts them once they are waves.

    The weights' type is read at each call, from the module that is called: a picture that came out empty is decoded once more
    by a copy in float32.
    """

    def cast_in(module: Any, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        dtype = next(module.parameters()).dtype
        image, *others = given
        text = {TEXT: named[TEXT].to(dtype)} if TEXT in named else {}
        return (image.to(dtype, memory_format=layout), *others), named | text

    def cast_out(_module: Any, _given: Any, output: Any) -> Any:
        return tuple(part.float() for part in output) if isinstance(output, tuple) else output.float()

    first.register_forward_pre_hook(cast_in, with_kwargs=True)
    last.register_forward_hook(cast_out)
