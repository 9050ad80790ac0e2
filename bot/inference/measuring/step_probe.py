"""Times a call of the UNet on a loaded model."""

# torch is partly unannotated.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from bot.inference.denoising.unet_call import padded_rows, predict
from bot.inference.faults import free_memory, is_out_of_memory
from bot.inference.loading.pipelines import LoadedModel
from bot.inference.measuring.machine import timed

TOKENS = 77  # of one chunk of a prompt
TIMESTEP = 500.0  # in the middle; its value changes nothing


class StepProbe:
    """Times calls on the drawing thread. Rows are filled up to `buckets`, as the engine's are, and where the model has graphs,
    one is captured first.
    """

    def __init__(self, model: LoadedModel, *, width: int, height: int, buckets: Sequence[int] = ()) -> None:
        self._model = model
        self._width = width
        self._height = height
        self._buckets = buckets

    def seconds(self, pictures: int) -> float | None:
        """Returns how long one guided step of `pictures` images takes; None if memory does not suffice.

        The inputs are random: an H200 multiplies zeros 13 % faster.
        """
        try:
            return timed(self._model.device, self._call(padded_rows(2 * pictures, self._buckets)))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        free_memory()  # outside the except block: a caught error keeps its frames' tensors alive
        return None

    def _call(self, rows: int) -> Callable[[], object]:
        unet: Any = self._model.unet
        inputs = random_inputs(self._model, rows, width=self._width, height=self._height)
        if self._model.graphs is not None:
            self._model.graphs.capture(inputs)

        def call() -> None:
            with torch.no_grad():
                predict(unet, *inputs)

        return call


def random_inputs(
    model: LoadedModel, rows: int, *, width: int, height: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns the arguments of `predict` for pictures of that size in pixels: a row is one of two with guidance."""
    pipeline = model.text2img
    config, scale = pipeline.unet.config, pipeline.vae_scale_factor

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(rows, *shape, device=model.device, dtype=pipeline.unet.dtype)

    latents = noise(config.in_channels, height // scale, width // scale)
    embeddings = noise(TOKENS, config.cross_attention_dim)
    pooled = noise(int(pipeline.text_encoder_2.config.projection_dim))
    return latents, torch.full((rows,), TIMESTEP), embeddings, pooled, noise(6)
