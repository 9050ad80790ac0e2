"""How much arithmetic a picture takes, counted operation by operation without doing any of it."""

# torch and diffusers are partly unannotated.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel  # pyright: ignore[reportPrivateImportUsage] # diffusers exports lazily
from torch.utils.flop_counter import FlopCounterMode

from bot.domain.request import GenerationRequest
from bot.inference.pipelines import LoadedModel

TOKENS = 77  # of one chunk of a prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """FLOPs (a multiplication and an addition are two) of the parts of a picture in one size: matrix products, convolutions
    and attention. `step_row` is one row of the UNet's call, of which guidance takes two; `text` encodes one prompt.
    """

    step_row: int
    decoding: int
    text: int

    def of(self, request: GenerationRequest) -> int:
        """One picture; both prompts are counted, whoever remembers one."""
        steps = request.steps_run
        rows = sum(2 if request.is_guided(step, steps) else 1 for step in range(steps))
        return rows * self.step_row + self.decoding + 2 * self.text


def count_work(model: LoadedModel, *, width: int, height: int) -> Work:
    """For pictures of that size, in pixels."""
    pipeline = model.text2img
    latents = (
        1,
        int(pipeline.unet.config.in_channels),
        height // pipeline.vae_scale_factor,
        width // pipeline.vae_scale_factor,
    )
    with torch.device("meta"):  # shapes without data: full-size models take no memory
        unet: Any = UNet2DConditionModel.from_config(pipeline.unet.config)
        vae: Any = AutoencoderKL.from_config(pipeline.vae.config)
        encoders = [type(encoder)(encoder.config) for encoder in (pipeline.text_encoder, pipeline.text_encoder_2)]
        conditions = {
            "encoder_hidden_states": torch.zeros(1, TOKENS, int(unet.config.cross_attention_dim)),
            "added_cond_kwargs": {
                "text_embeds": torch.zeros(1, int(pipeline.text_encoder_2.config.projection_dim)),
                "time_ids": torch.zeros(1, 6),
            },
        }
        noise, time, tokens = torch.zeros(latents), torch.zeros(1), torch.zeros(1, TOKENS, dtype=torch.long)
        return Work(
            step_row=count_flops(lambda: unet(noise, time, **conditions)),
            decoding=count_flops(lambda: vae.decode(noise)),
            text=sum(count_flops(lambda encoder=encoder: encoder(tokens)) for encoder in encoders),
        )


def count_flops(work: Callable[[], object]) -> int:
    """Of what `work` computes."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        work()
    return int(counter.get_total_flops())
