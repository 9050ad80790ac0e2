"""The layers of a model that a LoRA can change, by their paths in diffusers, read from headers. Does not import torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from bot.inference.formats.original_names import (
    TEXT_ENCODER_2_PREFIX,
    TEXT_ENCODER_PREFIX,
    UNET_PREFIX,
    layers_a_level_of_original,
    second_encoder_paths,
    unet_path,
)
from bot.inference.formats.weights import Header, component_files, read_header

Place = tuple[str, str]  # the component, and the layer's path in it
Layers = Mapping[Place, tuple[int, ...]]  # the shape of each layer's weight

UNET = ("unet",)
TEXT_ENCODERS = ("text_encoder", "text_encoder_2")
COMPONENTS = (*UNET, *TEXT_ENCODERS)
WEIGHT = ".weight"
LOOKED_UP = ("token_embedding", "position_embedding")  # tables, not layers


def layers_of_folder(folder: Path, variant: str | None) -> Layers:
    """Returns the layers of a folder in diffusers layout. Raises WeightsError."""
    return {
        (component, key.removesuffix(WEIGHT)): shape
        for component in COMPONENTS
        for file in component_files(folder / component, variant)
        for key, shape in read_header(file).shapes.items()
        if key.endswith(WEIGHT) and is_layer(key.removesuffix(WEIGHT), shape)
    }


def layers_of_checkpoint(header: Header) -> Layers:
    """Returns the layers of a single file in the original layout."""
    found: dict[Place, tuple[int, ...]] = {}
    places_of = original_places(header)
    for key, shape in header.shapes.items():
        places = places_of(key)
        found |= {place: (shape[0] // len(places), *shape[1:]) for place in places if is_layer(place[1], shape)}
    return found


def is_layer(path: str, shape: tuple[int, ...]) -> bool:
    """Returns whether a weight of this shape is a matrix's or a convolution's."""
    return len(shape) in {2, 4} and path.rpartition(".")[2] not in LOOKED_UP


def original_places(header: Header) -> Callable[[str], tuple[Place, ...]]:
    """Returns a function from the name of a tensor in this single file to the layers whose weights it has: several if it stacks
    theirs, none if it is no weight.
    """
    layers = layers_a_level_of_original(key.removeprefix(UNET_PREFIX) for key in header.shapes if key.startswith(UNET_PREFIX))

    def places_of(key: str) -> tuple[Place, ...]:
        if key.startswith(TEXT_ENCODER_2_PREFIX):
            return tuple(("text_encoder_2", path) for path in second_encoder_paths(key.removeprefix(TEXT_ENCODER_2_PREFIX)))
        if not key.endswith(WEIGHT):
            return ()
        if key.startswith(TEXT_ENCODER_PREFIX):
            return (("text_encoder", key.removeprefix(TEXT_ENCODER_PREFIX).removesuffix(WEIGHT)),)
        try:
            path = unet_path(key.removeprefix(UNET_PREFIX).removesuffix(WEIGHT), layers)
        except ValueError:
            return ()
        return (("unet", path),) if key.startswith(UNET_PREFIX) else ()

    return places_of


def text_width(layers: Layers) -> int | None:
    """Returns the width of the text that the UNet sees: 2048 for SDXL."""
    return next((shape[1] for (part, path), shape in layers.items() if part == "unet" and path.endswith("attn2.to_k")), None)
