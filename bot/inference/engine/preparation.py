"""Turns a request into the pictures that the engine takes steps with."""

from __future__ import annotations

import copy
import io
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from bot.domain.infotext.prompt_fit import PromptFit
from bot.domain.profile import Style
from bot.domain.prompt import compose
from bot.domain.request import GenerationRequest
from bot.errors import GenerationError
from bot.inference.denoising.denoising_state import Conditions, DenoisingState, Group, Guidance
from bot.inference.denoising.noise import PictureNoise
from bot.inference.engine.decoding import is_large, tiling
from bot.inference.loading.pipelines import LoadedModel
from bot.inference.prompts.encoder import Conditioning, PromptEncoder
from bot.inference.samplers.batched_steps import batched_steps
from bot.inference.samplers.schedulers import build_scheduler
from bot.inference.samplers.step_arithmetic import BatchedSteps
from bot.inference.transfers import Sending, sent


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRequest:
    """A request with its looked-up parts; `styles` are its LoRAs with their weights."""

    request: GenerationRequest
    styles: tuple[tuple[Style, float], ...]
    init_image: Image.Image | None

    @property
    def adapters(self) -> tuple[tuple[str, float], ...]:
        """Returns the key by which two requests can share the model's weights."""
        return tuple((style.name, weight) for style, weight in self.styles if weight)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Schedule:
    """The steps of a request. Each picture has a copy of `scheduler`, which counts them and keeps what multistep methods
    remember.
    """

    scheduler: Any
    timesteps: torch.Tensor
    batched: BatchedSteps | None

    def begins_as(self, dtype: torch.dtype) -> tuple[float, float]:
        """Returns the shares of picture and noise in latents that the first step can take. diffusers' `add_noise` knows them
        too, but asks the device for numbers if the latents are there.
        """
        one, nothing = torch.ones(1, 1, 1, 1, dtype=dtype), torch.zeros(1, 1, 1, 1, dtype=dtype)
        first = self.timesteps[:1]
        kept, added = self.scheduler.add_noise(one, nothing, first), self.scheduler.add_noise(nothing, one, first)
        return float(kept), float(added)


def read_init_image(data: bytes | None, request: GenerationRequest) -> Image.Image | None:
    """Returns the picture that img2img starts from, in the request's size. Raises GenerationError."""
    if data is None or request.init_image is None:
        return None
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        if image.size != (request.width, request.height):
            raise GenerationError("The picture to start from doesn't have the size that you asked for.", retryable=False)
        return image.convert("RGB")


class Preparer:
    """Makes denoising states for one model. The request's LoRAs must be active, since they affect the text encoders too."""

    def __init__(self, model: LoadedModel, encoder: PromptEncoder) -> None:
        self._model = model
        self._encoder = encoder
        self._schedulers: dict[str | None, Any] = {}  # by the name in requests; never stepped

    def prepare(self, order: PreparedRequest) -> tuple[list[DenoisingState], PromptFit]:
        """Returns a denoising state for each picture of the request. Runs the text encoders, and for img2img the VAE."""
        profile = self._model.profile
        composed = compose(order.request, profile, [style for style, _ in order.styles])
        variant = ", ".join(f"{name}:{weight:g}" for name, weight in order.adapters)
        text = self._encoder.encode(composed.prompt, composed.negative_prompt, clip_skip=profile.clip_skip, variant=variant)
        conditions = self._conditions(order.request, text)
        schedule = self._schedule(order.request)
        return [self._trajectory(order, index, conditions, schedule) for index in range(order.request.num_images)], text.fit

    def _conditions(self, request: GenerationRequest, text: Conditioning) -> Conditions:
        """Returns the UNet's inputs; the six numbers are the same for img2img, as the model knows no aesthetic scores."""
        pipeline, profile = self._model.text2img, self._model.profile
        size = (request.height, request.width)
        time_ids = pipeline._get_add_time_ids(
            profile.original_size or size,
            (0, 0),
            profile.target_size or size,
            dtype=text.prompt_embeds.dtype,
            text_encoder_projection_dim=int(pipeline.text_encoder_2.config.projection_dim),
        )
        device = self._model.device
        if request.guidance_scale <= 1:
            return Conditions(
                embeddings=sent(text.prompt_embeds, device),
                pooled=sent(text.pooled, device),
                time_ids=sent(time_ids, device),
            )
        return Conditions(
            embeddings=sent(torch.cat([text.negative_prompt_embeds, text.prompt_embeds]), device),
            pooled=sent(torch.cat([text.negative_pooled, text.pooled]), device),
            time_ids=sent(torch.cat([time_ids, time_ids]), device),
        )

    def _trajectory(self, order: PreparedRequest, index: int, conditions: Conditions, schedule: _Schedule) -> DenoisingState:
        request, model = order.request, self._model
        scheduler, timesteps = copy.deepcopy(schedule.scheduler), schedule.timesteps
        noise = PictureNoise(request.image_seeds(index))
        dtype = conditions.embeddings.dtype
        if order.init_image is None:
            latents = self._drawn(request, noise, dtype) * scheduler.init_noise_sigma
        else:
            encoded = self._encoded(order.init_image, request, noise, dtype)
            laid_over = noise.initial(encoded.shape, device=encoded.device, dtype=dtype)
            kept, added = schedule.begins_as(dtype)
            latents = encoded * kept + laid_over * added
        acts = tuple(request.is_guided(step, len(timesteps)) for step in range(len(timesteps)))
        return DenoisingState(
            group=Group(
                height=latents.shape[-2],
                width=latents.shape[-1],
                tokens=conditions.embeddings.shape[1],
                adapters=order.adapters,
            ),
            scheduler=scheduler,
            timesteps=timesteps,
            latents=latents,
            conditions=conditions,
            guidance=Guidance(scale=request.guidance_scale, acts=acts, rescale=model.profile.guidance_rescale),
            noise=noise,
            batched=schedule.batched,
        )

    def _schedule(self, request: GenerationRequest) -> _Schedule:
        """Returns the schedule, the same for all pictures of a request."""
        scheduler = copy.deepcopy(self._scheduler(request))
        scheduler.set_timesteps(request.num_inference_steps, device="cpu")
        begin = request.num_inference_steps - request.steps_run
        if hasattr(scheduler, "set_begin_index"):  # DDIM finds its place by the timestep
            scheduler.set_begin_index(begin)
        timesteps: torch.Tensor = scheduler.timesteps[begin:]
        return _Schedule(scheduler=scheduler, timesteps=timesteps, batched=batched_steps(scheduler, len(timesteps)))

    def _scheduler(self, request: GenerationRequest) -> Any:
        """Returns the scheduler to copy: building one from a configuration takes ten times as long."""
        name = request.scheduler
        if name not in self._schedulers:
            own = self._model.text2img.scheduler
            self._schedulers[name] = (
                own.from_config(own.config)
                if name is None
                else build_scheduler(own.config, self._model.profile, scheduler=name)
            )
        return self._schedulers[name]

    def _drawn(self, request: GenerationRequest, noise: PictureNoise, dtype: torch.dtype) -> torch.Tensor:
        pipeline = self._model.text2img
        scale = pipeline.vae_scale_factor
        shape = (1, pipeline.unet.config.in_channels, request.height // scale, request.width // scale)
        return noise.initial(shape, device=self._model.device, dtype=dtype)

    def _encoded(self, image: Image.Image, request: GenerationRequest, noise: PictureNoise, dtype: torch.dtype) -> torch.Tensor:
        """Returns the picture's latents, sampled from the VAE's posterior, without noise added."""
        pipeline = self._model.img2img
        pixels = sent(pipeline.image_processor.preprocess(image), self._model.device)
        large = is_large(self._model.profile, request.width, request.height)
        with torch.no_grad(), Sending(self._model.device), tiling(pipeline.vae, when=large), noise.moving(self._model.device):
            latents: torch.Tensor = pipeline.prepare_latents(
                pixels, None, 1, 1, dtype, self._model.device, noise.generator, add_noise=False
            )
        return latents
