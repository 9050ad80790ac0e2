"""diffusers' own SDXL pipeline on the weights of a loaded model: the base that the step engine is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from bot.domain.prompt import compose
from bot.domain.request import GenerationRequest
from bot.inference.denoising.noise import cpu_generator
from bot.inference.faults import free_memory, is_out_of_memory
from bot.inference.loading.pipelines import LoadedModel, TextToImage
from bot.inference.loading.vae_range import in_float32, is_scaled
from bot.inference.samplers.schedulers import build_scheduler


class StockPipeline:
    """The stock pipeline. It shares the modules with `model`, but not the scheduler. The same request gives the engine's
    picture, so both do the same work; only one of them may draw at a time. Where diffusers decodes in float32 and the engine in
    float16, it has a decoder of its own, which need not be cast for each picture as diffusers does.
    """

    def __init__(self, model: LoadedModel) -> None:
        source = model.text2img
        self._profile = model.profile
        self._most: int | None = None  # pictures a call, once memory ran out
        parts = dict(source.components)
        parts["scheduler"] = source.scheduler.from_config(source.scheduler.config)
        if is_scaled(source.vae):
            parts["vae"] = in_float32(source.vae)
        self._pipeline: Any = TextToImage(
            **parts, force_zeros_for_empty_prompt=source.config.force_zeros_for_empty_prompt, add_watermarker=False
        )
        self._pipeline.set_progress_bar_config(disable=True)

    def draw(self, requests: Sequence[GenerationRequest]) -> list[Image.Image]:
        """Draw all in one call, each with its own seed and prompt; steps, guidance, size and sampler are the first one's.

        When memory runs out, calls have half as many from then on.
        """
        most = self._most or len(requests)
        if len(requests) > most:
            return [image for start in range(0, len(requests), most) for image in self.draw(requests[start : start + most])]
        try:
            return self._draw_together(requests)
        except Exception as error:
            if not is_out_of_memory(error) or len(requests) == 1:
                raise
        free_memory()
        self._most = len(requests) // 2
        return self.draw(requests)

    def _draw_together(self, requests: Sequence[GenerationRequest]) -> list[Image.Image]:
        pipeline, profile, first = self._pipeline, self._profile, requests[0]
        pipeline.scheduler = build_scheduler(pipeline.scheduler.config, profile, scheduler=first.scheduler)
        composed = [compose(request, profile, ()) for request in requests]
        output = pipeline(
            prompt=[one.prompt for one in composed],
            negative_prompt=[one.negative_prompt for one in composed],
            width=first.width,
            height=first.height,
            num_inference_steps=first.num_inference_steps,
            guidance_scale=first.guidance_scale,
            guidance_rescale=profile.guidance_rescale,
            clip_skip=profile.clip_skip,
            original_size=profile.original_size,
            target_size=profile.target_size,
            generator=[cpu_generator(request.image_seeds(0).seed) for request in requests],
        )
        images: list[Image.Image] = output.images
        return images
