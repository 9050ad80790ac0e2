"""Counts the arithmetic of a picture, operation by operation, without doing any of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from bot.bench.torch_side.meta_model import TOKENS, meta_unet, meta_vae
from bot.domain.request import GenerationRequest
from bot.inference.loading.pipelines import LoadedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """FLOPs (a multiplication and an addition are two) of the parts of a picture in one size: matrix products, convolutions and
    attention. `step_row` is one row of the UNet's call, of which guidance takes two; `text` encodes one prompt.
    """

    step_row: int
    decoding: int
    text: int

    def of(self, request: GenerationRequest) -> int:
        """Returns the FLOPs of one picture; both prompts are counted, even if one is cached."""
        steps = request.steps_run
        rows = sum(2 if request.is_guided(step, steps) else 1 for step in range(steps))
        return rows * self.step_row + self.decoding + 2 * self.text


def count_work(model: LoadedModel, *, width: int, height: int) -> Work:
    """Returns the work for pictures of that size, in pixels."""
    pipeline = model.text2img
    unet, vae = meta_unet(model, width=width, height=height), meta_vae(model)
    with torch.device("meta"):
        encoders = [type(encoder)(encoder.config) for encoder in (pipeline.text_encoder, pipeline.text_encoder_2)]
        latents, tokens = torch.zeros(1, *unet.latents), torch.zeros(1, TOKENS, dtype=torch.long)
        return Work(
            step_row=count_flops(lambda: unet.call(1)),
            decoding=count_flops(lambda: vae.decode(latents)),
            text=sum(count_flops(lambda encoder=encoder: encoder(tokens)) for encoder in encoders),
        )


def count_flops(work: Callable[[], object]) -> int:
    """Returns the FLOPs that `work` computes."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        work()
    return int(counter.get_total_flops())
