"""The initial noise of a picture, and variations of it."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# torch and diffusers are partly unannotated.

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from diffusers import StableDiffusionXLImg2ImgPipeline  # pyright: ignore[reportPrivateImportUsage] # diffusers exports lazily
from diffusers.utils.torch_utils import randn_tensor

from bot.domain.request import NoiseBlend

NEARLY_PARALLEL = 0.9995  # cosine beyond which slerp divides by almost nothing and lerp is as good


def cpu_generator(seed: int) -> torch.Generator:
    """On the CPU whatever the device, so that a seed means the same noise everywhere."""
    return torch.Generator("cpu").manual_seed(seed)


def initial_noise(
    shape: tuple[int, ...], generator: torch.Generator, blends: Sequence[NoiseBlend], *, device: Any, dtype: Any
) -> torch.Tensor:
    """Draw the noise as diffusers would, which advances `generator`, then move it along the blends.

    Without blends, or with shares of 0, it is diffusers' own noise bit for bit. All happens on the CPU, where the
    generators are and where slerp has float64 (Apple's GPUs have none).
    """
    noise = randn_tensor(shape, generator=generator, dtype=dtype)
    for blend in blends:
        other = randn_tensor(shape, generator=cpu_generator(blend.seed), dtype=dtype)
        noise = slerp(noise, other, blend.strength)
    return noise.to(device)


def slerp(start: torch.Tensor, end: torch.Tensor, share: float) -> torch.Tensor:
    """Move on the sphere from `start` (share 0) to `end` (share 1); the whole tensor counts as one vector.

    A straight mean of two noises has a smaller deviation than either, and the model turns that into grey pictures.
    """
    if share == 0:
        return start
    a, b = start.flatten().double(), end.flatten().double()
    cosine = float(torch.dot(a, b) / (a.norm() * b.norm()))
    if abs(cosine) > NEARLY_PARALLEL:
        mixed = (1 - share) * a + share * b
    else:
        angle = math.acos(cosine)
        mixed = (math.sin((1 - share) * angle) * a + math.sin(share * angle) * b) / math.sin(angle)
    return mixed.reshape(start.shape).to(start.dtype)


class VariedImg2ImgPipeline(StableDiffusionXLImg2ImgPipeline):
    """diffusers' img2img, with blends in the noise that is laid over the encoded picture.

    Set `blends` before a call. Without any, pictures are diffusers' own bit for bit.
    """

    blends: Sequence[NoiseBlend] = ()

    def prepare_latents(
        self,
        image: Any,
        timestep: Any,
        batch_size: int,
        num_images_per_prompt: int,
        dtype: Any,
        device: Any,
        generator: Any = None,
        add_noise: bool = True,  # noqa: FBT001, FBT002 (diffusers' signature)
    ) -> torch.Tensor:
        """Encode the picture as diffusers does, then add our noise."""
        latents: Any = super().prepare_latents(
            image, timestep, batch_size, num_images_per_prompt, dtype, device, generator, add_noise=False
        )
        if not add_noise:
            return latents
        noise = initial_noise(tuple(latents.shape), generator, self.blends, device=device, dtype=dtype)
        scheduler: Any = self.scheduler
        return scheduler.add_noise(latents, noise, timestep)
