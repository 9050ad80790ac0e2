"""One request on the drawing thread: pictures one after another, each as diffusers alone would draw it."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from bot.domain.image import GeneratedImage, GenerationResult
from bot.domain.profile import Style
from bot.domain.progress import Phase, Progress
from bot.domain.prompt import compose
from bot.domain.request import GenerationRequest
from bot.errors import GenerationError
from bot.inference.adapters import Adapter, Adapters
from bot.inference.control import DrawingControl
from bot.inference.decoding import decode
from bot.inference.faults import free_memory, is_out_of_memory
from bot.inference.metadata import encode_png
from bot.inference.noise import cpu_generator, initial_noise
from bot.inference.parameters import Recipe, parameters_text
from bot.inference.pipelines import LoadedModel
from bot.inference.schedulers import build_scheduler

PREVIEW_SECONDS = 2.0  # Discord lets a message be edited about that often


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A request with what was looked up for it."""

    request: GenerationRequest
    style: Style | None
    init_image: Image.Image | None


def draw(model: LoadedModel, adapters: Adapters, order: Order, control: DrawingControl) -> GenerationResult:
    """Draw all pictures. Raises GenerationError, DrawingStoppedError, or what torch raises."""
    started = time.monotonic()
    adapter = adapters.activate(order.style, order.request.adapter_weight)
    drawer = _Drawer(model, order, adapter, control)
    images = tuple(drawer.draw(index) for index in range(order.request.num_images))
    return GenerationResult(images=images, seconds=time.monotonic() - started)


def read_init_image(data: bytes | None, request: GenerationRequest) -> Image.Image | None:
    """The picture that img2img starts from, in the request's size. Raises GenerationError."""
    if data is None or request.init_image is None:
        return None
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        if image.size != (request.width, request.height):
            raise GenerationError("The image to start from has another size than the request.", retryable=False)
        return image.convert("RGB")


class _Drawer:
    """Draws the pictures of one order."""

    def __init__(self, model: LoadedModel, order: Order, adapter: Adapter | None, control: DrawingControl) -> None:
        self._model = model
        self._order = order
        self._adapter = adapter
        self._control = control
        self._last_preview = time.monotonic()

    def draw(self, index: int) -> GeneratedImage:
        request = self._order.request
        image = self._with_recovery(index)
        recipe = Recipe(
            request=request,
            index=index,
            profile=self._model.profile,
            style=self._order.style,
            model_hash=self._model.model_hash,
            adapter_hash=self._adapter.hash if self._adapter else None,
        )
        text = parameters_text(recipe)
        return GeneratedImage(
            seed=request.image_seeds(index).seed,
            width=image.width,
            height=image.height,
            parameters=text,
            data=encode_png(image, text),
        )

    def _with_recovery(self, index: int) -> Image.Image:
        """When memory runs out: free what is free, decode in tiles, and try once more.

        The second try is outside the `except` block, since a caught error keeps its frames' tensors alive.
        """
        try:
            return self._draw_once(index)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        free_memory()
        vae = self._model.text2img.vae
        vae.to(dtype=self._model.text2img.unet.dtype)  # img2img may have been stopped while it was in float32
        vae.enable_tiling()
        try:
            return self._draw_once(index)
        finally:
            vae.disable_tiling()

    def _draw_once(self, index: int) -> Image.Image:
        self._control.check()
        latents = self._denoised(index)
        self._control.check()
        self._control.report(self._progress(Phase.DECODING, index, self._steps))
        return decode(self._model.text2img, latents)

    def _denoised(self, index: int) -> torch.Tensor:
        request, profile = self._order.request, self._model.profile
        composed = compose(request, profile, self._order.style)
        arguments: dict[str, Any] = {
            "prompt": composed.prompt,
            "negative_prompt": composed.negative_prompt or None,
            "num_inference_steps": request.num_inference_steps,
            "guidance_scale": request.guidance_scale,
            "guidance_rescale": profile.guidance_rescale,
            "clip_skip": profile.clip_skip,
            "original_size": profile.original_size,
            "target_size": profile.target_size,
            "output_type": "latent",
            "callback_on_step_end": self._callback(index),
        }
        pipeline, special = self._img2img(index) if self._order.init_image else self._text2img(index)
        own = pipeline.scheduler
        if request.scheduler is not None:
            pipeline.scheduler = build_scheduler(own.config, profile, scheduler=request.scheduler)
        try:
            with torch.no_grad():
                latents: torch.Tensor = pipeline(**arguments, **special).images
        finally:
            pipeline.scheduler = own
        return latents

    def _text2img(self, index: int) -> tuple[Any, dict[str, Any]]:
        request, pipeline = self._order.request, self._model.text2img
        seeds = request.image_seeds(index)
        generator = cpu_generator(seeds.seed)
        scale = pipeline.vae_scale_factor
        shape = (1, pipeline.unet.config.in_channels, request.height // scale, request.width // scale)
        # float16 noise is float32's rounded; diffusers draws it in the text encoder's type
        dtype = pipeline.text_encoder_2.dtype
        noise = initial_noise(shape, generator, seeds.blends, device=self._model.device, dtype=dtype)
        size = {"width": request.width, "height": request.height}
        return pipeline, {"latents": noise, "generator": generator, **size}

    def _img2img(self, index: int) -> tuple[Any, dict[str, Any]]:
        request, pipeline = self._order.request, self._model.img2img
        seeds = request.image_seeds(index)
        pipeline.blends = seeds.blends
        steps = request.num_inference_steps
        strength = request.init_image.strength if request.init_image else 1.0
        if int(steps * strength) < 1:  # diffusers would run no step and fail on an empty tensor
            strength = 1 / steps
        return pipeline, {"image": self._order.init_image, "strength": strength, "generator": cpu_generator(seeds.seed)}

    @property
    def _steps(self) -> int:
        """How many steps run: img2img leaves out the first ones."""
        request = self._order.request
        if request.init_image is None:
            return request.num_inference_steps
        return max(1, int(request.num_inference_steps * request.init_image.strength))

    def _callback(self, index: int) -> Any:
        def on_step_end(pipeline: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
            del timestep
            self._control.check()
            preview = self._preview(pipeline, values["latents"]) if step + 1 < self._steps else None
            self._control.report(self._progress(Phase.DENOISING, index, step + 1, preview))
            return values

        return on_step_end

    def _preview(self, pipeline: Any, latents: torch.Tensor) -> bytes | None:
        if time.monotonic() - self._last_preview < PREVIEW_SECONDS:
            return None
        self._last_preview = time.monotonic()
        scheduler = pipeline.scheduler
        # Euler and its kin carry the noise on top of the picture; DDIM and its kin keep the sum's deviation at 1
        sigma = float(scheduler.sigmas[scheduler.step_index]) if float(scheduler.init_noise_sigma) > 1 else 0.0
        return self._model.preview.render(latents, sigma)

    def _progress(self, phase: Phase, index: int, step: int, preview: bytes | None = None) -> Progress:
        total = self._order.request.num_images
        return Progress(phase=phase, image=index, num_images=total, step=step, steps=self._steps, preview=preview)
